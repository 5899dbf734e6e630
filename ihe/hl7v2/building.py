"""HL7 v2 messages of our own: values in, escaped segments out.

A field is given as its repetitions; a repetition as one value or as its components; a component as one
value or as its sub-components. Plain text is always a value and is escaped; parts taken from a message that
was read keep their spelling unless it holds control characters, which would break the message. Empty parts
at the end are not written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ihe.errors import MalformedRequest
from ihe.hl7v2.charset import UTF_8, Charset, can_write, encode
from ihe.hl7v2.delimiters import STANDARD, Delimiters
from ihe.hl7v2.er7 import Component, Field, Message, Repetition, Segment

ComponentValue = str | None | Component | Sequence[str | None]
RepetitionValue = str | None | Component | Repetition | Sequence[ComponentValue]
FieldValue = RepetitionValue | Field


_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class _Repetitions(list[FieldValue]):
    """A field with any number of repetitions but one."""


class SegmentBuilder:
    """One segment in the making.

    Args:
        name: segment identifier.
        fields: the first fields in order, one repetition each. In MSH they start at MSH-3; the delimiters are
            written by :func:`build_message`.
    """

    def __init__(self, name: str, *fields: FieldValue) -> None:
        self.name = name
        self._fields: dict[int, FieldValue | _Repetitions] = dict(enumerate(fields, 3 if name == "MSH" else 1))
        self._copied: tuple[Segment, Mapping[int, int]] | None = None

    def set(self, number: int, *repetitions: FieldValue) -> SegmentBuilder:
        """Set a field, from 1; without repetitions it becomes empty."""
        self._fields[number] = repetitions[0] if len(repetitions) == 1 else _Repetitions(repetitions)
        return self

    def add(self, number: int, repetition: FieldValue) -> SegmentBuilder:
        """Add a repetition to a field."""
        value = self._fields.get(number)
        if isinstance(value, _Repetitions):
            value.append(repetition)
        else:
            self._fields[number] = _Repetitions([repetition] if value is None else [value, repetition])
        return self

    def copy(self, segment: Segment, numbers: Mapping[int, int]) -> SegmentBuilder:
        """Let fields that are not set be those of a segment that was read, as they stand there wherever that can be.

        Args:
            numbers: of the field there, by that of the field here.
        """
        self._copied = segment, numbers
        return self

    def has(self, number: int) -> bool:
        """Whether the field was given."""
        value = self._fields.get(number)
        if isinstance(value, _Repetitions):
            return any(value)
        if value or self._copied is None:
            return bool(value)
        segment, numbers = self._copied
        return number in numbers and segment.written(numbers[number]) != ""

    def render(self, delimiters: Delimiters) -> str:
        """The segment as ER7 writes it, without terminator."""
        numbers = [*self._fields, *self._copied[1]] if self._copied is not None else self._fields
        texts = [""] * (max(numbers, default=0) + 1)
        texts[0] = self.name
        if self._copied is not None:
            segment, copied = self._copied
            if segment.raw.isprintable() and segment.delimiters == delimiters:
                written = segment.written_fields
                for number, there in copied.items():
                    if there < len(written):
                        texts[number] = written[there]
            else:
                for number, there in copied.items():
                    texts[number] = _repetition(segment.field(there), delimiters)
        for number, value in self._fields.items():
            if isinstance(value, str):
                # Most values are letters and digits alone, which no delimiter is.
                texts[number] = value if value.isalnum() else delimiters.escaped(value)
            elif isinstance(value, _Repetitions):
                texts[number] = delimiters.repetition.join([_repetition(each, delimiters) for each in value])
            elif value is not None:
                texts[number] = _repetition(value, delimiters)
        if self.name == "MSH":
            texts[1:3] = [delimiters.encoding_characters]
        return delimiters.field.join(texts).rstrip(delimiters.field)


def build_message(
    segments: Iterable[SegmentBuilder | Segment],
    *,
    delimiters: Delimiters = STANDARD,
    charset: Charset = UTF_8,
) -> Message:
    """Put a message together.

    Args:
        segments: MSH first. A segment that was read is written as it was.
        delimiters: for an answer, those of the question; missing ones are completed, and the standard ones stand
            in where the charset lacks one.
        charset: for an answer, ``question.answer_charset``. A character it lacks is written plainly. MSH-18 is
            filled in when it was not set and the message holds more than ASCII.

    Raises:
        MalformedRequest: the first segment is no MSH.
    """
    if delimiters != STANDARD:
        delimiters = delimiters.completed() if can_write("".join(delimiters), charset) else STANDARD
    parts = list(segments)
    lines = [
        segment.render(delimiters) if isinstance(segment, SegmentBuilder) else _as_read(segment, delimiters)
        for segment in parts
    ]
    header = parts[0] if parts else None
    if header is None or header.name != "MSH":
        raise MalformedRequest("the message does not start with an MSH segment", "MSH")
    text = "\r".join([*lines, ""])
    if not text.isascii():
        if isinstance(header, SegmentBuilder) and not header.has(18):
            lines[0] = header.set(18, charset.name).render(delimiters)
            text = "\r".join([*lines, ""])
        text = encode(text, charset, "".join(delimiters)).decode(charset.codec)
        lines = text.split("\r")[:-1]
    return Message(text, charset, written=(lines, delimiters))


def _keeps_spelling(part: Segment | Field | Repetition | Component, delimiters: Delimiters) -> bool:
    raw = part.raw
    return (raw.isprintable() or _CONTROLS.search(raw) is None) and part.delimiters == delimiters


def _as_read(segment: Segment, delimiters: Delimiters) -> str:
    if _keeps_spelling(segment, delimiters):
        return segment.raw
    copy = SegmentBuilder(segment.name)
    for number in range(3 if segment.name == "MSH" else 1, segment.field_count + 1):
        copy.set(number, segment.field(number))
    return copy.render(delimiters)


def _repetition(value: FieldValue, delimiters: Delimiters) -> str:
    if isinstance(value, str):
        return value if value.isalnum() else delimiters.escaped(value)  # no delimiter is a letter or digit
    if isinstance(value, (Field, Repetition)):
        if _keeps_spelling(value, delimiters):
            return value.raw
        if isinstance(value, Field):
            return delimiters.repetition.join([_repetition(each, delimiters) for each in value.repetitions])
        value = value.components
    elif value is None or isinstance(value, Component):
        return _component(value, delimiters)
    texts = []
    for each in value:
        if not each:
            texts.append("")
        elif isinstance(each, str):
            texts.append(each if each.isalnum() else delimiters.escaped(each))
        else:
            texts.append(_component(each, delimiters))
    return delimiters.component.join(texts).rstrip(delimiters.component)


def _component(value: Component | Sequence[str | None] | None, delimiters: Delimiters) -> str:
    if not value:
        return ""
    if isinstance(value, Component):
        if _keeps_spelling(value, delimiters):
            return value.raw
        value = value.subcomponents
    texts = [delimiters.escaped(each) if each else "" for each in value]
    return delimiters.subcomponent.join(texts).rstrip(delimiters.subcomponent)

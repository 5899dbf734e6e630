"""HL7 v2 messages of our own: values in, escaped segments out.

A field is given as its repetitions; a repetition as one value or as its components; a component as one
value or as its sub-components. Plain text is always a value and is escaped; parts taken from a message that
was read keep their spelling unless it holds control characters, which would break the message. Empty parts
at the end are not written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ihe.errors import MalformedRequest
from ihe.hl7v2.charset import UTF_8, Charset, can_write, encode
from ihe.hl7v2.delimiters import STANDARD, Delimiters
from ihe.hl7v2.er7 import Component, Field, Message, Repetition, Segment


class Copied(NamedTuple):
    """A field of a message that was read, written as it stands there wherever that can be."""

    segment: Segment
    number: int

    def __bool__(self) -> bool:
        return self.segment.written(self.number) != ""


ComponentValue = str | None | Component | Sequence[str | None]
RepetitionValue = str | None | Component | Repetition | Sequence[ComponentValue]
FieldValue = RepetitionValue | Field | Copied


_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class SegmentBuilder:
    """One segment in the making.

    Args:
        name: segment identifier.
        fields: the first fields in order, one repetition each. In MSH they start at MSH-3; the delimiters are
            written by :func:`build_message`.
    """

    def __init__(self, name: str, *fields: FieldValue) -> None:
        self.name = name
        self._fields: dict[int, list[FieldValue]] = {}
        for number, value in enumerate(fields, 3 if name == "MSH" else 1):
            if value is not None:
                self._fields[number] = [value]

    def set(self, number: int, *repetitions: FieldValue) -> SegmentBuilder:
        """Set a field, from 1; without repetitions it becomes empty."""
        self._fields[number] = list(repetitions)
        return self

    def add(self, number: int, repetition: FieldValue) -> SegmentBuilder:
        """Add a repetition to a field."""
        self._fields.setdefault(number, []).append(repetition)
        return self

    def has(self, number: int) -> bool:
        """Whether the field was given."""
        return any(self._fields.get(number, ()))

    def render(self, delimiters: Delimiters) -> str:
        """The segment as ER7 writes it, without terminator."""
        texts = [""] * (max(self._fields, default=0) + 1)
        texts[0] = self.name
        for number, repetitions in self._fields.items():
            if len(repetitions) != 1:
                texts[number] = delimiters.repetition.join([_repetition(each, delimiters) for each in repetitions])
                continue
            value = repetitions[0]
            if isinstance(value, str) and value.isalnum():  # most values, at once; no delimiter is a letter or digit
                texts[number] = value
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
    if isinstance(value, Copied):
        raw = value.segment.written(value.number)
        if raw.isprintable() and value.segment.delimiters == delimiters:
            return raw
        value = value.segment.field(value.number)
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

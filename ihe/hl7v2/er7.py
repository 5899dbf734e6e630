"""HL7 v2 messages in ER7 ("pipe and hat") form: reading.

Rules:

- A message is kept as the text that came; nothing is split before it is asked for, and nothing read is
  changed. ``bytes(message)`` gives the bytes that came, whatever they were.
- Carriage return ends a segment; so does a line feed, alone or behind it, because files and careless
  senders have them. A line feed that no segment follows is part of the value it stands in. Blank lines
  count for nothing, nor do blanks and a byte order mark before MSH.
- Fields, repetitions, components and sub-components are numbered from 1 as in the standard. What is absent
  reads as empty: an accessor never fails on a position beyond the end.
- A text accessor follows the standard's rule for older and newer versions: a value asked for at a coarser
  level is the first part at the finer level.

Source: HL7 v2.5: 2.5, 2.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from ihe.errors import MalformedRequest, TooLarge
from ihe.hl7v2.charset import UTF_8, Charset, answer_charset, can_write, declared_charset, decode
from ihe.hl7v2.delimiters import Delimiters

MAX_PARTS = 400_000
"""Most segments, fields, repetitions and components of one message together: memory stays bounded."""

NULL = '""'
"""The HL7 null: the receiver shall delete its value. An empty field says nothing about the value instead."""

_MSH_BYTES = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*MSH(.)([^\r\n]*)", re.DOTALL)


class Repetition:
    """One repetition of a field: its components.

    Attributes:
        raw: its text.
        delimiters: of its message.
    """

    __slots__ = ("_codec", "_components", "delimiters", "raw")

    def __init__(self, raw: str, delimiters: Delimiters, codec: str) -> None:
        self.raw: Final = raw
        self.delimiters: Final = delimiters
        self._codec = codec
        separator = delimiters.component
        self._components = raw.split(separator) if separator else [raw]

    @property
    def components(self) -> tuple[Component, ...]:
        """All components in order, at least one."""
        return tuple([Component(raw, self.delimiters, self._codec) for raw in self._components])

    def component(self, number: int) -> Component:
        """The component with this number, from 1."""
        raw = self._components[number - 1] if 0 < number <= len(self._components) else ""
        return Component(raw, self.delimiters, self._codec)

    def text(self, component: int = 1, sub: int = 1) -> str:
        """The unescaped value of a sub-component, ``""`` when absent."""
        if not 0 < component <= len(self._components):
            return ""
        raw = self._components[component - 1]
        if sub == 1 and raw.isalnum():  # letters and digits alone hold no delimiter: most values, at once
            return raw
        return _value(raw, sub, self.delimiters, self._codec)

    def __str__(self) -> str:
        return self.raw

    def __bool__(self) -> bool:
        return bool(self.raw)


class Component:
    """One component of a field: its sub-components.

    Attributes:
        raw: its text.
        delimiters: of its message.
    """

    __slots__ = ("_codec", "delimiters", "raw")

    def __init__(self, raw: str, delimiters: Delimiters, codec: str) -> None:
        self.raw: Final = raw
        self.delimiters: Final = delimiters
        self._codec = codec

    @property
    def subcomponents(self) -> tuple[str, ...]:
        """The unescaped values of all sub-components in order, at least one."""
        delimiters = self.delimiters
        separator = delimiters.subcomponent
        parts = self.raw.split(separator) if separator else [self.raw]
        if not delimiters.escape or delimiters.escape not in self.raw:
            return tuple(parts)
        return tuple([delimiters.unescaped(part, self._codec) for part in parts])

    def sub(self, number: int) -> str:
        """The unescaped value of the sub-component with this number, from 1; ``""`` when absent."""
        return _value(self.raw, number, self.delimiters, self._codec)

    @property
    def text(self) -> str:
        """The unescaped value of the first sub-component."""
        return self.sub(1)

    def __str__(self) -> str:
        return self.raw

    def __bool__(self) -> bool:
        return bool(self.raw)


class Field:
    """One field of a segment: its repetitions.

    Attributes:
        raw: its text.
        delimiters: of its message.
    """

    __slots__ = ("_codec", "delimiters", "raw")

    def __init__(self, raw: str, delimiters: Delimiters, codec: str) -> None:
        self.raw: Final = raw
        self.delimiters: Final = delimiters
        self._codec = codec

    @property
    def repetitions(self) -> tuple[Repetition, ...]:
        """All repetitions in order; none when the field is empty."""
        if not self.raw:
            return ()
        separator = self.delimiters.repetition
        if not separator or separator not in self.raw:
            return (Repetition(self.raw, self.delimiters, self._codec),)
        parts = self.raw.split(separator)
        return tuple([Repetition(part, self.delimiters, self._codec) for part in parts])

    def repetition(self, number: int) -> Repetition:
        """The repetition with this number, from 1."""
        found = self.repetitions
        return found[number - 1] if 0 < number <= len(found) else Repetition("", self.delimiters, self._codec)

    @property
    def is_null(self) -> bool:
        """Whether the field says that the receiver shall delete its value."""
        return self.raw == NULL

    def text(self, component: int = 1, sub: int = 1) -> str:
        """The unescaped value in the first repetition, ``""`` when absent."""
        return _first_value(self.raw, component, sub, self.delimiters, self._codec)

    def __str__(self) -> str:
        return self.raw

    def __bool__(self) -> bool:
        return bool(self.raw)


class Segment:
    """One segment of a message.

    Attributes:
        raw: its text, without terminator.
        name: its identifier, three characters.
        delimiters: of its message.
    """

    __slots__ = ("_codec", "_parts", "delimiters", "name", "raw")

    def __init__(self, raw: str, delimiters: Delimiters, codec: str = "utf-8") -> None:
        self.raw: Final = raw
        self.name: Final = raw[:3]
        self.delimiters: Final = delimiters
        self._codec = codec
        parts = raw.split(delimiters.field)
        if self.name == "MSH":
            parts.insert(1, delimiters.field)
        self._parts = parts

    @property
    def field_count(self) -> int:
        """Number of the last field that is written, even if empty."""
        return len(self._parts) - 1

    def field(self, number: int) -> Field:
        """The field with this number, from 1. MSH-1 and MSH-2 read as one value each."""
        raw = self._parts[number] if 0 < number < len(self._parts) else ""
        delimiters = self.delimiters
        if number <= 2 and self.name == "MSH":
            delimiters = _literal(delimiters.field)
        return Field(raw, delimiters, self._codec)

    @property
    def written_fields(self) -> Sequence[str]:
        """The name, then all fields as they are written."""
        return self._parts

    def written(self, field: int) -> str:
        """A field as it is written, ``""`` when absent."""
        parts = self._parts
        return parts[field] if 0 < field < len(parts) else ""

    def text(self, field: int, component: int = 1, sub: int = 1) -> str:
        """The unescaped value in the first repetition of a field, ``""`` when absent."""
        parts = self._parts
        if not 0 < field < len(parts):
            return ""
        raw = parts[field]
        if not raw or (component == sub == 1 and raw.isalnum()) or (field <= 2 and self.name == "MSH"):
            return raw
        return _first_value(raw, component, sub, self.delimiters, self._codec)

    def __str__(self) -> str:
        return self.raw


class Message:
    """An HL7 v2 message.

    Args:
        written: the segments of a message of our own and the delimiters they were written with, so that it need not be
            read.

    Attributes:
        raw: its text, exactly.
        delimiters: from MSH-1 and MSH-2.
        charset: how its bytes are encoded.
        charset_fallback: whether they are encoded otherwise than MSH-18 says.
    """

    def __init__(
        self,
        raw: str,
        charset: Charset,
        *,
        charset_fallback: bool = False,
        written: tuple[list[str], Delimiters] | None = None,
    ) -> None:
        self.raw: Final = raw
        self.charset: Final = charset
        self.charset_fallback: Final = charset_fallback
        self._lines, delimiters = written or _split(raw)
        self.delimiters: Final = delimiters
        self.msh: Final = Segment(self._lines[0], delimiters, charset.codec)
        """The message header."""
        self._first: Final[dict[str, Segment]] = {}

    @classmethod
    def parse(cls, message: str | bytes) -> Message:
        """Read a message.

        Args:
            message: bytes as they came over a wire (without frame) or from a file, or text.

        Raises:
            MalformedRequest: no MSH at its start, unusable delimiters, a line that is no segment,
                a second MSH.
            TooLarge: more than :data:`MAX_PARTS` parts.
        """
        if isinstance(message, str):
            data = message.encode("utf-8", "replace")
            charset = declared_charset(_msh_18(_MSH_BYTES.match(data))) or UTF_8
            if can_write(message, charset):
                return cls(message, charset)
            return cls(message, UTF_8, charset_fallback=True)
        text, charset, fallback = decode(message, _msh_18(_MSH_BYTES.match(message)))
        return cls(text, charset, charset_fallback=fallback)

    def __bytes__(self) -> bytes:
        return self.raw.encode(self.charset.codec)

    def __str__(self) -> str:
        return self.raw

    def __iter__(self) -> Iterator[Segment]:
        yield self.msh
        for line in self._lines[1:]:
            yield Segment(line, self.delimiters, self.charset.codec)

    @property
    def segment_names(self) -> tuple[str, ...]:
        """The identifiers of all segments in order."""
        return tuple(line[:3] for line in self._lines)

    def segment(self, name: str) -> Segment | None:
        """The first segment with this identifier, or ``None``."""
        found = self._first.get(name)
        if found is None:
            for line in self._lines:
                if line.startswith(name):
                    found = self._first[name] = Segment(line, self.delimiters, self.charset.codec)
                    break
        return found

    def segments(self, name: str) -> tuple[Segment, ...]:
        """All segments with this identifier in order."""
        return tuple(
            Segment(line, self.delimiters, self.charset.codec) for line in self._lines if line.startswith(name)
        )

    @property
    def type_code(self) -> str:
        """MSH-9.1, for example ``ADT``."""
        return self.msh.text(9)

    @property
    def trigger_event(self) -> str:
        """MSH-9.2, for example ``A28``."""
        return self.msh.text(9, 2)

    @property
    def structure(self) -> str:
        """MSH-9.3, for example ``ADT_A05``; often empty before version 2.5."""
        return self.msh.text(9, 3)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.msh.text(10)

    @property
    def processing_id(self) -> str:
        """MSH-11.1: ``P``, ``T`` or ``D``."""
        return self.msh.text(11)

    @property
    def version(self) -> str:
        """MSH-12.1, for example ``2.5``."""
        return self.msh.text(12)

    @property
    def sender(self) -> tuple[str, str]:
        """MSH-3 and MSH-4 as they are written: who keeps control ids apart."""
        return self.msh.written(3), self.msh.written(4)

    @property
    def receiver(self) -> tuple[str, str]:
        """MSH-5 and MSH-6 as they are written."""
        return self.msh.written(5), self.msh.written(6)

    @property
    def answer_charset(self) -> Charset:
        """The charset that an answer to this message is written in."""
        return answer_charset(self.msh.text(18), self.charset)


def _first_value(raw: str, component: int, sub: int, delimiters: Delimiters, codec: str) -> str:
    separator = delimiters.repetition
    if separator and separator in raw:
        raw = raw[: raw.index(separator)]
    separator = delimiters.component
    if separator and separator in raw:
        parts = raw.split(separator, component)
        raw = parts[component - 1] if 0 < component <= len(parts) else ""
    elif component != 1:
        return ""
    return _value(raw, sub, delimiters, codec)


def _value(raw: str, sub: int, delimiters: Delimiters, codec: str) -> str:
    separator = delimiters.subcomponent
    if separator and separator in raw:
        parts = raw.split(separator, sub)
        raw = parts[sub - 1] if 0 < sub <= len(parts) else ""
    elif sub != 1:
        return ""
    escape = delimiters.escape
    return delimiters.unescaped(raw, codec) if escape and escape in raw else raw


def _split(raw: str) -> tuple[list[str], Delimiters]:
    start = raw.lstrip("\ufeff \t\r\n")
    if start[:3] != "MSH" or len(start) < 5:
        raise MalformedRequest("the message does not start with an MSH segment", "MSH")
    mark = start[3]
    ends = _segment_ends(mark)
    lines = [line for line in (ends.split(start) if "\n" in start else start.split("\r")) if line.strip()]
    delimiters = _delimiters(mark, lines[0][4:].split(mark, 1)[0])
    # Each part needs at least its separator, so a short message cannot have too many.
    if len(raw) > MAX_PARTS and sum(map(raw.count, {"\r", "\n", *delimiters[:3]} - {""})) > MAX_PARTS:
        raise TooLarge(f"the message has more than {MAX_PARTS} parts")
    shape = _segment_shape(mark)
    for number, line in enumerate(lines[1:], 2):
        if shape.match(line) is None:
            raise MalformedRequest(f"line {number} does not start with a segment identifier")
        if line[:3] == "MSH":
            raise MalformedRequest(f"line {number} starts a second message", "MSH[2]")
    return lines, delimiters


_delimiters = lru_cache(maxsize=64)(Delimiters.parse)


@lru_cache(maxsize=64)
def _segment_shape(mark: str) -> re.Pattern[str]:
    return re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(mark)}|\Z)")


@lru_cache(maxsize=64)
def _segment_ends(mark: str) -> re.Pattern[str]:
    return re.compile(rf"\r\n?|\n(?=[A-Z][A-Z0-9]{{2}}(?:{re.escape(mark)}|[\r\n]|\Z)|[ \t]*(?:[\r\n]|\Z))")


@lru_cache(maxsize=64)
def _literal(mark: str) -> Delimiters:
    return Delimiters(mark, "", "", "", "", "")


def _msh_18(header: re.Match[bytes] | None) -> str:
    """The first repetition of MSH-18, found in bytes whose charset is not known yet."""
    if header is None:
        return ""
    fields = header[2].split(header[1], 18)
    if len(fields) < 17:
        return ""
    repetition = fields[0][1:2]
    value = fields[16].split(repetition)[0] if repetition else fields[16]
    return value.decode("ascii", "replace").strip()

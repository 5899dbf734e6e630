"""MIME multipart without sockets: bytes in, events out; and parts in, bytes out (Source: RFC 2046: 5.1).

Own code: the standard library's ``email`` holds whole messages in memory, and python-multipart reads form data only
(no preamble, no line end but CRLF). The headers of a part are left to ``email``.
Rules of this file:

* A delimiter is a line that begins with two hyphens and the boundary, and holds nothing else but blanks, or two more
  hyphens and blanks at the end of the message. The line end before it belongs to it. CRLF is right, LF is read too.
* No more than one piece, one header block or one delimiter line is ever held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from enum import Enum, auto
from functools import cached_property, lru_cache
from typing import Final

from ihe.errors import MalformedRequest, TooLarge

_LONGEST_BOUNDARY = 200
"""RFC 2046 says 70; some toolkits write more."""
_LONGEST_PADDING = 200
_LONGEST_REMEMBERED = 300


class ContentType:
    """A ``Content-Type`` value.

    Attributes:
        media_type: ``type/subtype`` in lower case, empty when the value has none.
    """

    def __init__(self, value: str) -> None:
        self._message = Message()
        self._message["Content-Type"] = value.replace("\r", " ").replace("\n", " ")
        self._known: dict[str, str] = {}
        self.media_type = value.partition(";")[0].strip().lower()

    def parameter(self, name: str) -> str:
        """The value of a parameter without its quotes, empty when absent.

        Raises:
            MalformedRequest: the parameters are not readable.
        """
        if name in self._known:
            return self._known[name]
        try:
            value = self._message.get_param(name, "")
            found = self._known[name] = collapse_rfc2231_value(value or "").strip()
            return found
        except (LookupError, TypeError, ValueError):  # email stumbles over some contradictory RFC 2231 parameters
            raise MalformedRequest("the parameters of the content type are not readable", "Content-Type") from None

    @cached_property
    def action(self) -> str:
        """The action that it names itself or in the type it wraps, or empty (Source: RFC 3902; MTOM 1.0: 4.3.1.4).

        Raises:
            MalformedRequest: the parameters are not readable.
        """
        wrapped = (read_content_type(self.parameter(name)) for name in ("start-info", "type"))
        return self.parameter("action") or next((a for w in wrapped if (a := w.parameter("action"))), "")


_remembered = lru_cache(maxsize=256)(ContentType)


def read_content_type(value: str) -> ContentType:
    """A ``Content-Type`` value; most clients send the same few, which are read once."""
    return _remembered(value) if len(value) <= _LONGEST_REMEMBERED else ContentType(value)


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins.

    Attributes:
        content_id: without angle brackets, or empty.
        content_type: value of ``Content-Type``, ``application/octet-stream`` when absent.
        transfer_encoding: value of ``Content-Transfer-Encoding``, or empty.
    """

    content_id: str
    content_type: str
    transfer_encoding: str


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part, still in its transfer encoding.

    Attributes:
        data: a view of the piece that was fed: bytes that only pass are not copied.
    """

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


PartEvent = PartStart | PartData | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


class MultipartReader:
    """Reads the parts of one multipart body.

    Args:
        boundary: as the content type names it.
        max_parts: number of parts.
        max_header_bytes: size of the header block of one part.

    Raises:
        MalformedRequest: the boundary is empty, too long or not of one byte a character.
    """

    def __init__(self, boundary: str, max_parts: int = 1000, max_header_bytes: int = 16 * 1024) -> None:
        if not 1 <= len(boundary) <= _LONGEST_BOUNDARY or max(boundary) > "\xff":
            raise MalformedRequest("the multipart content type names no usable boundary", "Content-Type")
        self._delimiter = b"\n--" + boundary.encode("latin-1")
        self._longest_delimiter = len(self._delimiter) + _LONGEST_PADDING + 3
        self._max_parts = max_parts
        self._max_header_bytes = max_header_bytes
        self._parts = 0
        self._state = _State.PREAMBLE
        # What is not decided yet. Begins with the end of the line before, if that is not content, so that each line
        # looks alike. A message may begin with its first delimiter: the line end in front of it is put there.
        self._held = b"\n"
        self._skipped = 1

    def feed(self, data: bytes) -> Iterator[PartEvent]:
        """Take the next bytes; the events must be read to their end before the next call.

        Raises:
            MalformedRequest: a part without a readable header block.
            TooLarge: too many parts, or too large a header block.
        """
        if self._state is _State.EPILOGUE:
            return
        buffer = self._held + data if self._held else data
        view = memoryview(buffer)
        candidates = self._candidates(buffer)
        at = 0
        while True:
            if self._state is _State.HEADERS:
                if (end := self._header_end(buffer, at)) is None:
                    break
                yield _part_start(buffer[at:end].strip(b"\r\n"))
                at, self._skipped, self._state = end, 1, _State.BODY
            found = self._next_delimiter(buffer, at, candidates)
            end = self._undecided(buffer, at) if found is None else found[0]
            if end > at + self._skipped and self._state is _State.BODY:
                yield PartData(view[at + self._skipped : end])
            if end > at:
                at, self._skipped = end, max(self._skipped - (end - at), 0)
            if found is None:
                break
            if self._state is _State.BODY:
                yield PartEnd()
            at = found[1]
            if found[2]:
                self._state, at = _State.EPILOGUE, len(buffer)
                break
            self._begin_part()
        self._held = buffer[at:]

    def close(self) -> None:
        """End the body.

        Raises:
            MalformedRequest: the closing boundary has not been met.
        """
        if self._state is not _State.EPILOGUE:
            raise MalformedRequest("the multipart message ends before its closing boundary")

    def _candidates(self, buffer: bytes) -> list[int]:
        """Where a delimiter may begin, the first one last; searching from behind is much the fastest."""
        found: list[int] = []
        at = len(buffer)
        while (at := buffer.rfind(self._delimiter, 0, at)) >= 0:
            found.append(at)
        return found

    def _next_delimiter(self, buffer: bytes, at: int, candidates: list[int]) -> tuple[int, int, bool] | None:
        """Where the content ends, where the delimiter ends but for its line end, and whether it is the last one.

        Args:
            at: where what is not passed on yet begins.
            candidates: shortened by those that were looked at.
        """
        while candidates:
            begin = candidates.pop()
            line = self._delimiter_line(buffer, begin + len(self._delimiter)) if begin >= at else None
            if line is not None:
                return self._before(buffer, at, begin), *line
        return None

    def _delimiter_line(self, buffer: bytes, end: int) -> tuple[int, bool] | None:
        """Where a delimiter ends but for its line end, and whether it is the last one; ``None`` when it is none."""
        behind = buffer[end : end + _LONGEST_PADDING + 2]
        if behind.startswith(b"--"):
            return end + 2, True
        text = behind.lstrip(b" \t")
        end += len(behind) - len(text)
        if len(behind) - len(text) <= _LONGEST_PADDING and text.startswith((b"\n", b"\r\n")):
            return end + text.index(b"\n"), False
        return None

    def _undecided(self, buffer: bytes, at: int) -> int:
        """Where bytes begin that may become a delimiter with those that come."""
        begin = max(at, len(buffer) - self._longest_delimiter)
        while (begin := buffer.find(b"\n", begin)) >= 0:
            line = buffer[begin : begin + len(self._delimiter)]
            if self._delimiter.startswith(line):
                return self._before(buffer, at, begin)
            begin += 1
        return self._before(buffer, at, len(buffer))

    def _before(self, buffer: bytes, at: int, end: int) -> int:
        """The end of what stands in front of a line end that is, or may come, there."""
        return end - 1 if end > at + self._skipped and buffer[end - 1] == ord("\r") else end

    def _begin_part(self) -> None:
        self._state = _State.HEADERS
        self._parts += 1
        if self._parts > self._max_parts:
            raise TooLarge(f"the message has more than {self._max_parts} MIME parts")

    def _header_end(self, buffer: bytes, at: int) -> int | None:
        """Where the header block ends, but for the end of the blank line behind it; ``None`` when it is not whole."""
        blank_line = _BLANK_LINE.search(buffer, at)
        end = len(buffer) if blank_line is None else blank_line.end()
        if end - at > self._max_header_bytes:
            raise TooLarge(f"the headers of a MIME part exceed {self._max_header_bytes} bytes")
        return None if blank_line is None else end


@lru_cache(maxsize=64)
def _part_start(block: bytes) -> PartStart:
    """Read a header block; those of a series' pictures are alike.

    Raises:
        MalformedRequest: it is not readable.
    """
    message = HeaderParser().parsestr(block.decode("latin-1"))
    if message.defects or message.get_payload():
        raise MalformedRequest("the headers of a MIME part are not readable")
    content_id = str(message.get("Content-ID", "")).strip()
    return PartStart(
        content_id=content_id.removeprefix("<").removesuffix(">"),
        content_type=str(message.get("Content-Type", "application/octet-stream")),
        transfer_encoding=str(message.get("Content-Transfer-Encoding", "")),
    )


_BLANK_LINE: Final = re.compile(rb"\n\r?(?=\n)")


@dataclass(frozen=True, slots=True)
class OutgoingPart:
    """A part to send.

    Attributes:
        content_id: without angle brackets.
        mime_type: content type of the part.
        chunks: its bytes, read once while sending; ``close()`` is called on it at the end when it has one.
        size: bytes in total, or ``None`` when not known.
    """

    content_id: str
    mime_type: str
    chunks: Iterable[bytes]
    size: int | None = None


class MultipartBody:
    """A multipart body that is written while it is read from its parts.

    Args:
        parts: in the order of sending; all are sent as ``binary``.
        boundary: must not occur in any part; a random one is.
    """

    def __init__(self, parts: Sequence[OutgoingPart], boundary: str) -> None:
        self._parts = parts
        self._heads = [
            (
                f"--{boundary}\r\nContent-Type: {part.mime_type}\r\nContent-Transfer-Encoding: binary\r\n"
                f"Content-ID: <{part.content_id}>\r\n\r\n"
            ).encode("latin-1")
            for part in parts
        ]
        self._tail = f"--{boundary}--\r\n".encode("latin-1")

    @property
    def size(self) -> int | None:
        """Bytes in total, or ``None`` when that of a part is not known."""
        total = len(self._tail)
        for head, part in zip(self._heads, self._parts, strict=True):
            if part.size is None:
                return None
            total += len(head) + part.size + len(_LINE_END)
        return total

    def __iter__(self) -> Iterator[bytes]:
        for head, part in zip(self._heads, self._parts, strict=True):
            yield head
            yield from part.chunks
            yield _LINE_END
        yield self._tail

    def close(self) -> None:
        """Let go of every part, sent or not."""
        for part in self._parts:
            close = getattr(part.chunks, "close", None)
            if close is not None:
                close()


_LINE_END: Final = b"\r\n"

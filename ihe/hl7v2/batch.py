"""Files of HL7 v2 messages: one after another, in batches (FHS, BHS … BTS, FTS), or as saved MLLP frames.

Rules:

- A message starts at a line that begins with ``MSH`` and ends where the next one starts.
- Batch headers and trailers and frame marks belong to no message and are left out.
- Anything else before the first message comes out as a piece of its own, so that whoever reads it refuses it.

Source: HL7 v2.5: 2.10.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from ihe.errors import TooLarge

_CHUNK_BYTES = 1024 * 1024
_MARKS = b"\x0b\x1c\r\n \t"
_START = re.compile(rb"(?<=[\r\n\x0b])MSH[^A-Za-z0-9\s]")
_BATCH_LINE = re.compile(rb"(?:\A|(?<=[\r\n]))(?:FHS|BHS|BTS|FTS)[^A-Za-z0-9\s][^\r\n]*[\r\n]*")


def read_messages(file: BinaryIO, limit_bytes: int = 16 * 1024 * 1024) -> Iterator[bytes]:
    """The messages of a file in order, read as they are needed.

    Args:
        limit_bytes: longest message.

    Raises:
        TooLarge: a message is longer than the limit.
    """
    buffer = b"\n"  # so that a message at the very start begins a line like every other
    searched = 1
    while chunk := file.read(_CHUNK_BYTES):
        buffer += chunk
        begin = 0
        for found in _START.finditer(buffer, searched):
            yield from _message(buffer[begin : found.start()])
            begin = found.start()
        searched = max(1, len(buffer) - begin - 3)
        buffer = buffer[begin:]
        if len(buffer) > limit_bytes:
            raise TooLarge(f"a message is longer than {limit_bytes} bytes")
    yield from _message(buffer)


def _message(piece: bytes) -> Iterator[bytes]:
    piece = piece.strip(_MARKS).removeprefix(b"\xef\xbb\xbf")
    message = _BATCH_LINE.sub(b"", piece).strip(_MARKS)
    if message:
        yield message + b"\r"

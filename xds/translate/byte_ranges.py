"""A part of a body, by byte range: what HTTP allows of a server that does not know how long the whole is.

One range is served, at most :data:`MOST` bytes of it, read before the answer begins so that it says truly what it is.
Several ranges, or the last bytes of a body, are answered with the whole, as HTTP allows.

Source: RFC 9110: 14.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

MOST: Final = 8 * 1024 * 1024
"""Bytes in one answer."""
_RANGE: Final = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")


class Pieces(Protocol):
    """Bytes that come from elsewhere, to be closed."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Let go."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a range designates.

    Attributes:
        content_range: of the answer.
        data: ``None``: the body is shorter than where the range begins.
    """

    content_range: str
    data: bytes | None


def wanted_range(header: str | None) -> tuple[int, int] | None:
    """First and last byte that are to be served; ``None``: the whole."""
    found = _RANGE.fullmatch((header or "").strip())
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or "9" * 15)
    return None if last < first else (first, min(last, first + MOST - 1))


def cut(source: Pieces, first: int, last: int) -> Cut:
    """Read as far as the range goes, and let go of the rest."""
    found = bytearray()
    passed = 0
    is_whole = True
    try:
        for piece in source:
            end = passed + len(piece)
            if end > first:
                found += piece[max(0, first - passed) : last + 1 - passed]
            passed = end
            if passed > last:
                is_whole = False
                break
    finally:
        source.close()
    total = str(passed) if is_whole else "*"
    if not found:
        return Cut(f"bytes */{total}", None)
    return Cut(f"bytes {first}-{first + len(found) - 1}/{total}", bytes(found))

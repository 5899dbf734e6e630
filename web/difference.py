"""Where two values differ, character by character, as far as it matters: case and accents do not."""

from __future__ import annotations

import unicodedata
from difflib import SequenceMatcher

Segments = list[tuple[str, bool]]
"""Pieces of a value, each with whether the other value has it, too."""


def _plain(text: str) -> str:
    """The same number of characters, without case and accents."""
    return "".join(unicodedata.normalize("NFKD", letter)[0].upper() for letter in text)


def segments(one: str, other: str) -> tuple[Segments, Segments]:
    """Both values in pieces. A value that the other side does not state differs nowhere."""
    if not one or not other:
        return [(one, True)] if one else [], [(other, True)] if other else []
    left: Segments = []
    right: Segments = []
    for tag, i, j, k, m in SequenceMatcher(None, _plain(one), _plain(other), autojunk=False).get_opcodes():
        if j > i:
            left.append((one[i:j], tag == "equal"))
        if m > k:
            right.append((other[k:m], tag == "equal"))
    return left, right

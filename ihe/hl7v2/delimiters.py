"""The delimiters of an ER7 message, and values written with them: escaping and unescaping.

Rules:

- MSH-1 is the field separator; MSH-2 holds, in this order, the component, repetition, escape and
  sub-component separators and, from version 2.7 on, the truncation character. Trailing ones may be left
  out: then the message does not use them, and the character means itself.
- A delimiter is any printing character that is no letter, digit or blank. No two are the same.
- Reading undoes ``\\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\P\\``, ``\\X..\\`` (bytes in the charset of the message)
  and ``\\.br\\`` (a line feed). Any other sequence (highlighting, ``\\Z..\\``, other formatting, a stray
  escape character) is kept as it came.
- Writing escapes the delimiters, writes a line feed as ``\\.br\\`` and every other control character as
  ``\\X..\\``, so that no value can end a segment or a frame. Reading what was written gives the value
  again.

Source: HL7 v2.5: 2.5.4, 2.7; HL7 v2.7: 2.5.5.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ihe.errors import MalformedRequest


class Delimiters(NamedTuple):
    """The delimiters of one message; ``""`` for one that the message does not use."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @classmethod
    def parse(cls, field: str, encoding_characters: str) -> Delimiters:
        """Read MSH-1 and MSH-2.

        Raises:
            MalformedRequest: a delimiter is not usable, occurs twice, or there are none or too many.
        """
        if not _is_delimiter(field):
            raise MalformedRequest("the field separator is no printing punctuation character", "MSH-1")
        if not 1 <= len(encoding_characters) <= 5:
            raise MalformedRequest("the encoding characters must be one to five characters", "MSH-2")
        if not all(map(_is_delimiter, encoding_characters)):
            raise MalformedRequest("an encoding character is no printing punctuation character", "MSH-2")
        if len({field, *encoding_characters}) != 1 + len(encoding_characters):
            raise MalformedRequest("the delimiters are not all different", "MSH-2")
        return cls(field, *encoding_characters, *[""] * (5 - len(encoding_characters)))

    @property
    def encoding_characters(self) -> str:
        """MSH-2."""
        return "".join(self[1:])

    def completed(self) -> Delimiters:
        """The same, with every separator that the message left out (the truncation character stays optional).

        An answer needs all of them, whatever the question used.
        """
        if "" not in self[:5]:
            return self
        chosen = list(self)
        for position, usual in enumerate(STANDARD[:5]):
            if not chosen[position]:
                chosen[position] = next(c for c in (usual, *"^~\\&#$*") if c not in chosen)
        return Delimiters(*chosen)

    def escaped(self, value: str) -> str:
        """The value as ER7 writes it. Needs an escape character (:meth:`completed`)."""
        if not value or value.isalnum():  # no delimiter is a letter or digit
            return value
        needs_escape, replacements = _escapes(self)
        if needs_escape.search(value) is None:
            return value
        return needs_escape.sub(lambda found: replacements[found.group()], value)

    def unescaped(self, text: str, codec: str = "utf-8") -> str:
        """The value that ER7 text stands for.

        Args:
            codec: Python codec for the bytes of ``\\X..\\``.
        """
        if not self.escape or self.escape not in text:
            return text
        sequences = _sequences(self)
        return sequences.pattern.sub(lambda found: sequences.meaning(found, codec), text)


STANDARD = Delimiters()


def _is_delimiter(char: str) -> bool:
    return len(char) == 1 and char.isprintable() and not char.isalnum() and not char.isspace()


@lru_cache(maxsize=64)
def _escapes(delimiters: Delimiters) -> tuple[re.Pattern[str], dict[str, str]]:
    escape = delimiters.escape
    letters = zip(delimiters, "FSRETP", strict=True)
    replacements = {char: f"{escape}{letter}{escape}" for char, letter in letters if char}
    for code in (*range(32), 127):
        replacements[chr(code)] = f"{escape}X{code:02X}{escape}"
    replacements["\n"] = f"{escape}.br{escape}"
    return re.compile("[" + re.escape("".join(replacements)) + "]"), replacements


@dataclass(frozen=True, slots=True)
class _Sequences:
    pattern: re.Pattern[str]
    plain: dict[str, str]

    def meaning(self, found: re.Match[str], codec: str) -> str:
        name: str = found[1]
        value = self.plain.get(name)
        if value is not None:
            return value
        if name[:1] == "X":
            try:
                return bytes.fromhex(name[1:]).decode(codec)
            except ValueError:  # no hexadecimal, or no text in this charset
                pass
        return found[0]


@lru_cache(maxsize=64)
def _sequences(delimiters: Delimiters) -> _Sequences:
    escape = re.escape(delimiters.escape)
    plain = {letter: char for char, letter in zip(delimiters, "FSRETP", strict=True) if char}
    plain.setdefault("P", "#")
    return _Sequences(re.compile(f"{escape}([^{escape}]*){escape}"), plain | {".br": "\n", ".BR": "\n"})

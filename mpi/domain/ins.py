"""The INS matricule (NIR or NIA): structure, key, and what it says of its holder.

A mismatch between matricule and traits is a quality alert or evidence, never a reason to reject a record.

Source: RNIV; structure of the NIR (13 characters and a key of two).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NATIONAL = "1.2.250.1.213.1.4."
"""Arc of the national authorities of identifiers of patients."""
INS_NIR = "1.2.250.1.213.1.4.8"
INS_NIA = "1.2.250.1.213.1.4.9"
INS_TEST = "1.2.250.1.213.1.4.10"
INS_DEMO = "1.2.250.1.213.1.4.11"
NOBODYS = frozenset({INS_TEST, INS_DEMO})
"""Authorities whose matricules many records share for tests and demonstrations: evidence of nothing."""

_SHAPE = re.compile(r"^[1-478]\d{4}(?:\d{2}|2[AB])\d{6}$")


@dataclass(frozen=True, slots=True)
class Nir:
    """A readable matricule.

    Attributes:
        number: 13 characters, ``2A`` and ``2B`` kept.
        sex: ``M``, ``F``, or ``None`` for a number being attributed.
        year: two digits; the century is not in the number.
        month: 1 to 12, or ``None`` for the fictitious months.
        place: the five characters of the birthplace as attributed then (Algerian departments 91 to 94, former
            departments 75 and 78 and Corsica 20 included).
    """

    number: str
    sex: str | None
    year: int
    month: int | None
    place: str

    @property
    def key(self) -> int:
        """The control key, 1 to 97."""
        return key_of(self.number)


def key_of(number: str) -> int:
    """The key of 13 characters: 97 minus the remainder by 97, with 2A as 19 and 2B as 18.

    Raises:
        ValueError: not the shape of a matricule.
    """
    if not _SHAPE.match(number):
        raise ValueError("a matricule has 13 characters: digits, or 2A or 2B as department")
    return 97 - int(number.replace("2A", "19").replace("2B", "18")) % 97


def parse(text: str) -> Nir | None:
    """Read 13 characters, or 15 with their key; blanks and dots are ignored. ``None`` when it is no matricule."""
    compact = re.sub(r"[\s.\-]", "", text.upper())
    number, key = compact[:13], compact[13:]
    if not _SHAPE.match(number) or (key and (len(key) != 2 or not key.isdigit() or int(key) != key_of(number))):
        return None
    month = int(number[3:5])
    return Nir(
        number,
        {"1": "M", "2": "F"}.get(number[0]),
        int(number[1:3]),
        month if 1 <= month <= 12 else None,
        number[5:10],
    )

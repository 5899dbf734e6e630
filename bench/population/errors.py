"""Errors that people and machines make when they write names, dates and numbers.

Every function takes the random source and the right value, and returns a wrong one (or the same, when the
error can't happen to this value).
"""

from __future__ import annotations

import random
from collections.abc import Callable

_KEY_ROWS = ("AZERTYUIOP", "QSDFGHJKLM", "WXCVBN")
_KEYBOARD = {
    key: (row[at - 1] if at else "") + (row[at + 1] if at + 1 < len(row) else "")
    for row in _KEY_ROWS
    for at, key in enumerate(row)
}
_OCR = {
    "I": "L", "L": "I", "O": "Q", "Q": "O", "E": "F", "F": "E", "U": "V", "V": "U", "C": "G", "G": "C",
    "B": "R", "R": "B", "N": "M", "M": "N", "H": "N", "P": "F", "S": "Z", "Z": "S", "D": "O", "T": "I",
}  # fmt: skip
_PHONETIC = (
    ("PH", "F"), ("F", "PH"), ("EAU", "AU"), ("AUD", "AUT"), ("EAUX", "EAU"), ("AU", "O"), ("Y", "I"),
    ("I", "Y"),
    ("SS", "S"), ("LL", "L"), ("NN", "N"), ("TT", "T"), ("RR", "R"), ("MM", "M"), ("TH", "T"), ("T", "TH"),
    ("AIN", "IN"), ("IN", "AIN"), ("EN", "AN"), ("AN", "EN"), ("QU", "K"), ("C", "K"), ("K", "C"), ("Z", "S"),
    ("S", "Z"), ("ER", "EZ"), ("ET", "EZ"), ("AI", "E"), ("L", "LL"), ("N", "NN"), ("R", "RR"), ("CH", "SH"),
    ("GU", "G"), ("J", "G"), ("EI", "AI"), ("H", ""), ("W", "V"), ("OU", "OO"), ("EUX", "EU"), ("ULT", "U"),
)  # fmt: skip
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _at(rng: random.Random, text: str, first: int = 0) -> int:
    return first + int(rng.random() * (len(text) - first))


def keyboard(rng: random.Random, text: str) -> str:
    """A neighbouring key of an AZERTY keyboard."""
    at = _at(rng, text)
    near = _KEYBOARD.get(text[at].upper())
    return text[:at] + near[_at(rng, near)] + text[at + 1 :] if near else text


def ocr(rng: random.Random, text: str) -> str:
    """A letter read as one of similar shape."""
    at = _at(rng, text)
    return text[:at] + _OCR.get(text[at].upper(), text[at]) + text[at + 1 :]


def transposition(rng: random.Random, text: str) -> str:
    """Two neighbouring characters exchanged."""
    if len(text) < 3:
        return text
    at = _at(rng, text[:-1])
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def omission(rng: random.Random, text: str) -> str:
    """A character left out."""
    if len(text) < 3:
        return text
    at = _at(rng, text)
    return text[:at] + text[at + 1 :]


def insertion(rng: random.Random, text: str) -> str:
    """A character too many: a doubled one, or any."""
    at = _at(rng, text)
    extra = text[at] if rng.random() < 0.5 else _LETTERS[_at(rng, _LETTERS)]
    return text[:at] + extra + text[at:]


def phonetic(rng: random.Random, text: str) -> str:
    """A spelling that sounds the same in French."""
    upper = text.upper()
    start = int(rng.random() * len(_PHONETIC))
    for step in range(len(_PHONETIC)):
        old, new = _PHONETIC[(start + step) % len(_PHONETIC)]
        at = upper.find(old, 1 if old in ("H", "C", "S", "J") else 0)
        if at >= 0 and len(text) - len(old) + len(new) > 1:
            return text[:at] + new + text[at + len(old) :]
    return text


TYPOS: tuple[tuple[str, Callable[[random.Random, str], str]], ...] = (
    ("phonetic", phonetic),
    ("phonetic", phonetic),
    ("phonetic", phonetic),
    ("keyboard", keyboard),
    ("keyboard", keyboard),
    ("omission", omission),
    ("omission", omission),
    ("insertion", insertion),
    ("transposition", transposition),
    ("ocr", ocr),
)


def typo(rng: random.Random, text: str) -> tuple[str, str]:
    """One typing error and its kind."""
    if len(text) < 2:
        return text, ""
    kind, make = TYPOS[int(rng.random() * len(TYPOS))]
    return make(rng, text), kind


_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

Date = tuple[int, int, int]
"""Year, month, day."""


def _valid(date: Date) -> bool:
    return 1 <= date[1] <= 12 and 1 <= date[2] <= _MONTH_DAYS[date[1] - 1]


def wrong_date(rng: random.Random, date: Date, this_year: int) -> tuple[Date, str]:
    """One error in a date (never in the future) and its kind; the date itself when none fits."""
    year, month, day = date
    draw = rng.random()
    if draw < 0.25:
        wrong, kind = (year, day, month), "day_month_swap"
    elif draw < 0.45:
        wrong, kind = (year, month, max(1, day + (1 if rng.random() < 0.5 else -1))), "day_off"
    elif draw < 0.6:
        wrong, kind = (year + (1 if rng.random() < 0.5 else -1), month, day), "year_off"
    elif draw < 0.68:
        wrong, kind = (
            (year + (100 if year < 1926 else 10 if rng.random() < 0.5 else -10), month, day),
            "century_slip",
        )
    elif draw < 0.78:
        digits = f"{year % 100:02d}"
        wrong, kind = (year // 100 * 100 + int(digits[::-1]), month, day), "year_digits"
    elif draw < 0.88:
        wrong, kind = (year, month, day + (10 if day <= 18 else -10)), "day_digit"
    else:
        wrong, kind = (year, 1 + int(rng.random() * 12), day), "month"
    if wrong == date or not _valid(wrong) or not 1900 <= wrong[0] <= this_year:
        return date, ""
    return wrong, kind

"""How rare names and birthplaces are in France, and which communes absorbed which: the tables of ``data/``.

Surprisal is minus the binary logarithm of a share: 8 bits for the commonest surname, 18 for one in 260,000.
Read once from the package, like any module. Source: INSEE (see ``data/SOURCES.md``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files

from mpi.domain.names_fr import formal_names

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FIRST_DECADE, LAST_DECADE = 1900, 2020


def _rows(name: str) -> Iterator[list[str]]:
    text = files("mpi.domain").joinpath("data", name).read_text(encoding="utf-8")
    rows = csv.reader(text.splitlines())
    next(rows)
    return rows


@cache
def surname_surprisal() -> dict[str, float]:
    """Surprisal in bits of the 20,000 commonest surnames, by matching form."""
    return {name: int(value) / 8 for value, names in _rows("surnames.csv") for name in names.split("|")}


@cache
def given_name_surprisal() -> dict[tuple[str, str], tuple[float, ...]]:
    """Surprisal in bits of a given name within its sex, for each decade of birth from the 1900s to the 2020s."""
    return {
        (name, sex): tuple(_DIGITS.index(digit) / 2 for digit in digits)
        for name, sex, digits in _rows("given_names.csv")
    }


@cache
def surname_surprisal_abroad() -> dict[str, float]:
    """Surprisal in bits, within their country, of surnames that are common where many foreign-born come from."""
    return _abroad("surname")


@cache
def given_name_surprisal_abroad() -> dict[str, float]:
    """The same of given names."""
    return _abroad("given")


def _abroad(wanted: str) -> dict[str, float]:
    rows = _rows("names_abroad.csv")
    return {name: float(bits) for kind, bits, names in rows if kind == wanted for name in names.split("|")}


@cache
def birthplace_surprisal() -> dict[str, float]:
    """Surprisal in bits of the likelier birthplaces of patients of the region, by canonical code."""
    return {code: int(value) / 8 for value, codes in _rows("birthplaces.csv") for code in codes.split("|")}


@cache
def communes_absorbed() -> dict[str, str]:
    """Former code of a commune, or of a part of one, with the code of today's commune."""
    return {former: code for code, formers in _rows("communes_absorbed.csv") for former in formers.split(" ")}


@lru_cache(maxsize=1 << 17)
def given_name_bits(name: str, sex: str, birth_year: int) -> float | None:
    """Surprisal in bits of a given name; ``None`` when it is not in the table.

    Args:
        name: matching form.
        sex: ``M`` or ``F``; anything else takes the commoner of both.
        birth_year: 0 when not known; then the commonest decade counts.
    """
    table = given_name_surprisal()
    if sex not in ("M", "F"):
        both = [b for b in (given_name_bits(name, s, birth_year) for s in "MF") if b is not None]
        return min(both) if both else None
    decades = table.get((name, sex))
    if decades is None:
        return None
    if not birth_year:
        return min(decades)
    return decades[(min(max(birth_year, FIRST_DECADE), LAST_DECADE + 9) - FIRST_DECADE) // 10]


CIVIL_NAME_BITS = 15.0


@lru_cache(maxsize=1 << 16)
def is_civil_name(name: str) -> bool:
    """Whether children are registered under a given name often enough that a twin may be (LISE, TONY; not GEGE)."""
    bits = given_name_bits(name, "", 0)
    return bits is not None and bits < CIVIL_NAME_BITS


_CALLING_ENDS = ("IE", "OU", "Y", "I", "O")
_LEAST_OF_A_NAME = 3


@lru_cache(maxsize=1 << 16)
def is_cut_short(one: str, other: str) -> bool:
    """Whether one given name is the beginning of the other, by which nobody else is called (CATHY, FRED, DANY).

    No twins are named by a name and its beginning; by two forms of one name they may be (ELISABETH and LISE), and of
    CHRISTIAN and CHRISTOPHE either may be CHRIS. Of names that begin with ABD the end is called (KADER).
    """
    short, whole = sorted((one, other), key=len)
    formal = formal_names(short) - {short}
    if whole not in formal or any(each != whole and name_sex(each) == name_sex(whole) for each in formal):
        return False
    if whole.startswith("ABD"):
        return whole.endswith(short)
    ending = next((end for end in _CALLING_ENDS if short.endswith(end)), "")
    return any(
        _LEAST_OF_A_NAME <= len(beginning) < len(whole) - 1 and whole.startswith(beginning)
        for beginning in (short, short.removesuffix(ending))
    )


@lru_cache(maxsize=1 << 16)
def is_epicene(name: str) -> bool:
    """Whether a given name is borne by both sexes (CAMILLE, DOMINIQUE, CLAUDE)."""
    male, female = given_name_bits(name, "M", 0), given_name_bits(name, "F", 0)
    return male is not None and female is not None and abs(male - female) < 3.5


@lru_cache(maxsize=1 << 16)
def name_sex(name: str) -> str:
    """The sex a given name tells: ``M``, ``F``, or empty when borne by both or not in the table."""
    male, female = given_name_bits(name, "M", 0), given_name_bits(name, "F", 0)
    if male is None and female is None:
        return ""
    if male is None or (female is not None and female < male - 3.5):
        return "F"
    if female is None or male < female - 3.5:
        return "M"
    return ""

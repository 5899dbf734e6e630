"""Birthplaces: one code for one place, whatever year it was written in.

Source: INSEE, code officiel géographique (communes absorbed, arrondissements, countries 99xxx).
"""

from __future__ import annotations

import re
from functools import lru_cache

from mpi.domain.facts import communes_absorbed

UNKNOWN = frozenset({"99999", "00000", "99000", "99990"})
_SHAPE = re.compile(r"^(?:\d{5}|2[AB]\d{3})$")
_COUNTRY_RENAMED = {
    "99115": "99116",
    "99124": "99208",
    "99141": "99109",
    "99142": "99109",
    "99143": "99254",
    "99202": "99251",
    "99233": "99251",
    "99237": "99239",
    "99244": "99243",
    "99245": "99243",
}
"""Codes of states that are no more, with the state that is written for them today."""

_FORMER = {
    "91": "99352",
    "92": "99352",
    "93": "99352",
    "94": "99352",
    "95": "99350",
    "96": "99351",
}
"""Departments of Algeria, Morocco and Tunisia before independence, with the country written today."""
_PARIS_REGION = frozenset({"75", "77", "78", "91", "92", "93", "94", "95"})
RENAMED_HEADS = _PARIS_REGION | {"96", "20", "2A", "2B"}
"""First two characters of the codes that :func:`is_renamed` can be about, one side at least."""


@lru_cache(maxsize=1 << 16)
def canonical(code: str) -> str:
    """The code to compare a birthplace by: today's commune, or the country; empty when unknown or malformed.

    Args:
        code: five characters of the COG, in whatever year's version; Corsica of before 1976 (20xxx) is kept.
    """
    text = code.strip().upper()
    if text in UNKNOWN or not _SHAPE.match(text):
        return ""
    if text.startswith("99"):
        return _COUNTRY_RENAMED.get(text, text)
    return communes_absorbed().get(text, text)


def department(place: str) -> str:
    """The department of a canonical code: two characters, three overseas; both Corsicas are ``20``."""
    if place.startswith("97"):
        return place[:3]
    return "20" if place[:2] in ("2A", "2B") else place[:2]


def is_country(place: str) -> bool:
    """Whether a canonical code names a foreign country."""
    return place.startswith("99")


def is_native(place: str) -> bool:
    """Whether a canonical code names a commune of France."""
    return bool(place) and not is_country(place)


def is_renamed(one: str, other: str, birth_year: int) -> bool:
    """Whether two different codes can name one place because territories changed.

    Algeria, Morocco and Tunisia before independence have departments 91 to 96; the departments of Seine (75)
    and Seine-et-Oise (78) were divided in 1968; Corsica was 20 until 1976.

    Args:
        birth_year: 0 when not known (then no such reading).
    """
    if not 0 < birth_year < 1976:
        return False
    head_one, head_other = one[:2], other[:2]
    if birth_year < 1963 and (_FORMER.get(head_one) == other or _FORMER.get(head_other) == one):
        return True
    if birth_year < 1968 and head_one != head_other and {head_one, head_other} <= _PARIS_REGION:
        return True
    return department(one) == department(other) == "20" and one[2:] == other[2:]

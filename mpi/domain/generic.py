"""How far two records agree where no country's rules apply: names by their letters, an address by its parts.

What depends on each other is judged together: family and given name, which may have changed places or stand in the
other's; house number and street; town and postal code. The learner then finds what each level is worth.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA, JaroWinkler

from mpi.domain.cleaning import Cleaned
from mpi.domain.comparison import compare_birth, compare_equal, compare_ins
from mpi.domain.levels import Area, Contact, Family, Given, Home, Ins, Origin, Place, SexLevel
from mpi.domain.vetoes import Veto

_ALIKE, _CLOSE, _OTHER = 1, 2, 3
_SAME = 0
_ALIKE_SHARE, _PART_SHARE = 0.85, 0.75
"""How much of two street lines must agree to be one, and of the shorter to be part of the longer."""


class GenericAgreement(NamedTuple):
    """The level of each field of :data:`mpi.domain.levels.GENERIC_FIELDS`, and the names that agreed."""

    family: int
    given: int
    birth: int
    sex: int
    place: int
    ins: int
    contact: int
    mother: int
    rank: int
    death: int
    home: int
    area: int
    family_name: str
    given_name: str

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels alone."""
        return self[:12]


def compare_generic(a: Cleaned, b: Cleaned) -> GenericAgreement:
    """Compare two records; symmetric."""
    family = compare_family(a.family, a.used_family, b.family, b.used_family)
    given = compare_given(a.first, a.given, a.used_given, b.first, b.given, b.used_given)
    if family in _FAMILY_APART and given in _GIVEN_APART:
        stand_ins = _stands_in(a.family, b.first) + _stands_in(b.family, a.first)
        family = Family.CROSSED if stand_ins == 2 else family
        given = Given.CROSSED if stand_ins else given
    return GenericAgreement(
        family,
        given,
        compare_birth(a, b),
        _compare_sex(a.sex, b.sex),
        _compare_place(a.place, b.place),
        compare_ins(a, b),
        _compare_contact(a, b),
        _compare_mother(a.mother, b.mother),
        compare_equal(a.birth_rank, b.birth_rank),
        compare_equal(a.death, b.death),
        compare_home(a.street, b.street),
        compare_area(a.city, a.postal, b.city, b.postal),
        min(a.family, b.family) if family == Family.SAME else "",
        min(a.first, b.first) if given in (Given.LIST, Given.FIRST) else "",
    )


def find_generic_vetoes(a: Cleaned, b: Cleaned, pair: GenericAgreement) -> tuple[Veto, ...]:
    """What forbids an automatic link everywhere: two proven numbers, or a record that says so of itself."""
    found = []
    if pair.ins == Ins.DIFFERENT_QUALIFIED:
        found.append(Veto.DIFFERENT_INS)
    if a.held or b.held:
        found.append(Veto.ATTRIBUTE)
    return tuple(found)


_FAMILY_APART = frozenset({Family.MISSING, Family.NEAR, Family.DIFFERENT_USED_POSSIBLE, Family.DIFFERENT})
_GIVEN_APART = frozenset({Given.MISSING, Given.SIMILAR, Given.DIFFERENT})


@lru_cache(maxsize=1 << 18)
def _likeness(one: str, other: str) -> int:
    """How alike two words are: the same, alike but for a slip, close, or other."""
    one, other = one.replace(" ", ""), other.replace(" ", "")
    if one == other:
        return _SAME
    shorter = min(len(one), len(other))
    edits = OSA.distance(one, other, score_cutoff=2)
    if (edits == 1 and shorter >= 3) or (edits == 2 and shorter >= 6):
        return _ALIKE
    if shorter >= 4 and (edits == 2 or JaroWinkler.similarity(one, other) >= 0.88):
        return _CLOSE
    return _OTHER


_FAMILY_LEVEL = {_SAME: Family.SAME, _ALIKE: Family.MISSPELT, _CLOSE: Family.NEAR, _OTHER: Family.DIFFERENT}
_GIVEN_LEVEL = {_SAME: Given.FIRST, _ALIKE: Given.MISSPELT, _CLOSE: Given.SIMILAR, _OTHER: Given.DIFFERENT}


@lru_cache(maxsize=1 << 18)
def compare_family(family_a: str, used_a: str, family_b: str, used_b: str) -> int:
    """Level of the family names."""
    if not (family_a or used_a) or not (family_b or used_b):
        return Family.MISSING
    found = Family.DIFFERENT if used_a and used_b else Family.DIFFERENT_USED_POSSIBLE
    for one, other in ((family_a, family_b), (family_a, used_b), (used_a, family_b), (used_a, used_b)):
        if one and other:
            level = _FAMILY_LEVEL[_likeness(one, other)]
            if level == Family.SAME and not (one is family_a and other is family_b):
                level = Family.USED
            elif level > Family.PART and set(one.split(" ")) & set(other.split(" ")):
                level = Family.PART
            found = min(found, level)
    return found


@lru_cache(maxsize=1 << 18)
def compare_given(first_a: str, given_a: str, used_a: str, first_b: str, given_b: str, used_b: str) -> int:
    """Level of the given names."""
    if not (first_a or used_a) or not (first_b or used_b):
        return Given.MISSING
    if first_a and first_a == first_b:
        return Given.LIST if given_a == given_b and " " in given_a else Given.FIRST
    if {used_a, first_a} & {used_b, first_b} - {""}:
        return Given.USED
    level = min(
        _GIVEN_LEVEL[_likeness(one, other)] for one in (first_a, used_a) if one for other in (first_b, used_b) if other
    )
    if level > Given.LISTED and set(first_a.split(" ")) & set(first_b.split(" ")) - {""}:
        return Given.LISTED
    if level > Given.INITIAL and min(len(first_a), len(first_b)) == 1 and first_a[0] == first_b[0]:
        return Given.INITIAL
    return level


def _stands_in(family: str, given: str) -> bool:
    """Whether a family name of one record is the given name of another."""
    return bool(family and given) and _likeness(family, given) <= _ALIKE


def _compare_sex(one: str, other: str) -> int:
    if not one or not other:
        return SexLevel.MISSING
    return SexLevel.SAME if one == other else SexLevel.DIFFERENT


def _compare_place(one: str, other: str) -> int:
    if not one or not other:
        return Place.MISSING
    return Place.SAME if one == other else Place.DIFFERENT


def _compare_mother(one: str, other: str) -> int:
    if not one or not other:
        return Origin.MISSING
    return Origin.SAME if _likeness(one, other) <= _ALIKE else Origin.DIFFERENT


def _compare_contact(a: Cleaned, b: Cleaned) -> int:
    """Level of phone and e-mail."""
    if a.email and a.email == b.email:
        return Contact.PERSONAL
    if a.phone and a.phone == b.phone:
        return Contact.PHONE
    known = (a.phone and b.phone) or (a.email and b.email)
    return Contact.DIFFERENT if known else Contact.MISSING


@lru_cache(maxsize=1 << 18)
def compare_home(one: str, other: str) -> int:
    """Level of two street lines: the house number, where the line begins with one, and the words after it."""
    if not one or not other:
        return Home.MISSING
    if one == other:
        return Home.SAME
    (house_a, street_a), (house_b, street_b) = house_and_street(one), house_and_street(other)
    same_house = bool(house_a) and house_a == house_b
    whole_a, whole_b = street_a.replace(" ", ""), street_b.replace(" ", "")
    if not whole_a or not whole_b:
        return Home.HOUSE if same_house else Home.MISSING
    alike = max(fuzz.ratio(whole_a, whole_b), fuzz.token_sort_ratio(street_a, street_b)) / 100
    if alike >= _ALIKE_SHARE:
        return Home.ALIKE if same_house else Home.STREET
    in_part = min(len(whole_a), len(whole_b)) >= 8 and fuzz.partial_ratio(whole_a, whole_b) / 100 >= _PART_SHARE
    if in_part:
        return Home.PARTLY if same_house else Home.STREET
    return Home.HOUSE if same_house else Home.DIFFERENT


@lru_cache(maxsize=1 << 17)
def house_and_street(line: str) -> tuple[str, str]:
    """The number at the head of a street line (empty: none) and the rest."""
    head, _, rest = line.partition(" ")
    return (head, rest) if head[:1].isdigit() else ("", line)


@lru_cache(maxsize=1 << 18)
def compare_area(city_a: str, postal_a: str, city_b: str, postal_b: str) -> int:
    """Level of town and postal code."""
    city = _likeness(city_a, city_b) if city_a and city_b else None
    postal = _likeness(postal_a, postal_b) if postal_a and postal_b else None
    if city is None and postal is None:
        return Area.MISSING
    if city is None or postal is None:
        return Area.ONE_ALONE if _SAME in (city, postal) or _ALIKE in (city, postal) else Area.DIFFERENT
    if city == postal == _SAME:
        return Area.SAME
    if max(city, postal) <= _CLOSE:
        return Area.ALIKE
    return Area.ONE_OF_TWO if min(city, postal) <= _ALIKE else Area.DIFFERENT

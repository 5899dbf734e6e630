"""What forbids an automatic link whatever the weight, and what has been noticed about a pair.

``NEVER`` keeps two records apart for good (only a steward's "same" overrules it); all others turn a link into
a task for a person, when the weight is worth one.
"""

from __future__ import annotations

from enum import StrEnum

from mpi.domain.cleaning import Cleaned
from mpi.domain.comparison import (
    GIVEN_DIFFERS,
    Agreement,
    Birth,
    Contact,
    Family,
    Given,
    Ins,
    Origin,
    Place,
    SexLevel,
)

_SAME_FAMILY = frozenset({Family.SAME, Family.USED, Family.PART, Family.MISSPELT})
_SAME_BIRTH = frozenset({Birth.SAME, Birth.SAME_DEFAULT})
_SAME_FIRST = frozenset({Given.LIST, Given.FIRST, Given.FIRST_ONLY})


class Veto(StrEnum):
    """Why a pair must not be linked by itself."""

    DIFFERENT_INS = "two different qualified INS"
    INS_CONTRADICTED = "equal qualified INS, but the traits contradict it"
    ATTRIBUTE = "an identity attribute forbids automatic links"
    UNNAMED = "a name is a placeholder or missing"
    TWINS = "same family and birth date, different given names: twins"
    SIBLINGS = "same family, different given names and birth dates: relatives"
    PARENT = "same names, birth dates a generation apart: parent and child"
    BIRTH_RANK = "two ranks of one multiple birth"
    DEFAULT_DATE = "the birth date is a default and nothing else supports it"
    SEX = "the sexes differ and the given name is not borne by both"
    GIVEN = "the given names differ"
    BIRTH = "the birth dates differ"
    UNSUPPORTED = "name, given name, sex and birth date alone are no proof"


NEVER = frozenset({Veto.DIFFERENT_INS})


class Hint(StrEnum):
    """What a pair shows without deciding it."""

    HOUSEHOLD = "same household: evidence of a relative, not of identity"
    USED_NAME = "the names agree through a used name"
    CROSSED = "family and given name changed places"
    DEFAULT_DATE = "a birth date is a default"


def find_vetoes(a: Cleaned, b: Cleaned, pair: Agreement) -> tuple[Veto, ...]:
    """All vetoes of a pair, in the order of :class:`Veto`; symmetric."""
    found: list[Veto] = []
    proven = pair.ins == Ins.SAME_QUALIFIED
    given_differs = pair.given in GIVEN_DIFFERS
    same_family = pair.family in _SAME_FAMILY
    if pair.ins == Ins.DIFFERENT_QUALIFIED:
        found.append(Veto.DIFFERENT_INS)
    if proven and is_contradicted(pair):
        found.append(Veto.INS_CONTRADICTED)
    if a.held or b.held:
        found.append(Veto.ATTRIBUTE)
    if not proven and (a.unnamed or b.unnamed or pair.given == Given.MISSING or pair.family == Family.MISSING):
        found.append(Veto.UNNAMED)
    if same_family and given_differs:
        found.append(Veto.TWINS if pair.birth in _SAME_BIRTH else Veto.SIBLINGS)
    elif given_differs:
        found.append(Veto.GIVEN)
    if same_family and pair.given in _SAME_FIRST and pair.birth == Birth.DIFFERENT and abs(a.year - b.year) >= 14:
        found.append(Veto.PARENT)
    elif pair.birth == Birth.DIFFERENT and not proven:
        found.append(Veto.BIRTH)
    if pair.rank == Origin.DIFFERENT and pair.birth in _SAME_BIRTH:
        found.append(Veto.BIRTH_RANK)
    supported = is_supported(pair)
    if (a.is_default_date or b.is_default_date) and not supported and not proven:
        found.append(Veto.DEFAULT_DATE)
    if pair.sex == SexLevel.DIFFERENT and not proven:
        found.append(Veto.SEX)
    if not supported:
        found.append(Veto.UNSUPPORTED)
    return tuple(found)


def is_supported(pair: Agreement) -> bool:
    """Whether something beside name, first name, sex and birth date agrees: birthplace, INS, contact, mother, list."""
    return (
        pair.place in (Place.SAME, Place.COUNTRY, Place.RENAMED)
        or Ins.SAME_QUALIFIED <= pair.ins <= Ins.SAME
        or Contact.PHONE_AND_ADDRESS <= pair.contact <= Contact.ADDRESS
        or pair.mother == Origin.SAME
        or pair.given == Given.LIST
    )


def is_contradicted(pair: Agreement) -> bool:
    """Whether the traits say that an equal matricule was attached to another person by mistake."""
    odd_family = pair.family in (Family.DIFFERENT, Family.DIFFERENT_USED_POSSIBLE)
    odd_given = pair.given in GIVEN_DIFFERS
    odd_birth = pair.birth == Birth.DIFFERENT
    return odd_given or odd_birth or pair.sex == SexLevel.DIFFERENT or (odd_family and pair.birth not in _SAME_BIRTH)


def find_hints(a: Cleaned, b: Cleaned, pair: Agreement) -> tuple[Hint, ...]:
    """What is worth telling a person about a pair."""
    found: list[Hint] = []
    if pair.contact == Contact.HOUSEHOLD:
        found.append(Hint.HOUSEHOLD)
    if pair.family == Family.USED:
        found.append(Hint.USED_NAME)
    if pair.family == Family.CROSSED:
        found.append(Hint.CROSSED)
    if pair.birth in (Birth.SAME_DEFAULT, Birth.DEFAULT_YEAR) or a.is_default_date or b.is_default_date:
        found.append(Hint.DEFAULT_DATE)
    return tuple(found)

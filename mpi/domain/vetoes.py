"""What forbids an automatic link whatever the weight, and what has been noticed about a pair.

``NEVER`` keeps two records apart for good (only a steward's "same" overrules it); all others turn a link into
a task for a person, when the weight is worth one. The rules see levels and circumstances only, so that the
bulk linker asks them once for each combination.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from mpi.domain.cleaning import Cleaned
from mpi.domain.comparison import Agreement
from mpi.domain.facts import is_civil_name, is_cut_short, name_sex
from mpi.domain.levels import FAMILY_SAME, GIVEN_DIFFERS, Birth, Contact, Family, Given, Ins, Origin, Place, SexLevel

_SAME_FAMILY = FAMILY_SAME | frozenset({Family.USED, Family.PART, Family.MISSPELT, Family.CLOSE})
_OTHER_FAMILY = frozenset({Family.DIFFERENT, Family.DIFFERENT_USED_POSSIBLE})
_SAME_BIRTH = frozenset({Birth.SAME, Birth.SAME_DEFAULT})
_SLIPS = frozenset({Birth.SWAPPED, Birth.ONE_DIGIT, Birth.TWO_PARTS})
_WEAK_BIRTH = frozenset({Birth.SAME_DEFAULT, Birth.SAME_MONTH, Birth.SAME_YEAR, Birth.DEFAULT_YEAR})
_WHOLE_FIRST = frozenset({Given.LIST, Given.FIRST})
_SAME_FIRST = frozenset({Given.LIST, Given.FIRST, Given.LISTS_CONFLICT})
_PERSONAL = frozenset({Contact.PERSONAL_AND_ADDRESS, Contact.PERSONAL})
_CONTACT = _PERSONAL | {Contact.PHONE_AND_ADDRESS, Contact.PHONE, Contact.ADDRESS}
_SAME_INS = frozenset({Ins.SAME_QUALIFIED, Ins.SAME_HALF_QUALIFIED, Ins.SAME})


class Veto(StrEnum):
    """Why a pair must not be linked by itself."""

    DIFFERENT_INS = "two different qualified INS"
    OTHER_INS = "two different matricules"
    INS_DIGIT = "two matricules a digit apart"
    INS_CONTRADICTED = "equal qualified INS, but the traits contradict it"
    ATTRIBUTE = "an identity attribute forbids automatic links"
    UNNAMED = "a name is a placeholder or missing"
    UNDATED = "a birth date is missing"
    TWINS = "same family and birth date, different given names: twins"
    SIBLINGS = "same family, different given names and birth dates: relatives"
    GIVEN = "the given names differ"
    LISTS = "the further given names contradict each other: homonyms"
    PARENT = "same names, birth dates a generation apart: parent and child"
    BIRTH_RANK = "two ranks of one multiple birth"
    HOMONYMS = "same names and birth date, another birthplace and home: homonyms"
    FAMILY = "the family names have nothing in common"
    BIRTH = "the birth dates differ"
    DECADES = "the birth dates are decades apart"
    BIRTH_SLIP = "the birth dates differ by a slip and the names are common"
    PLACE = "the birthplaces differ and the names are common"
    DEFAULT_DATE = "the birth date is a default or partial and nothing else supports it"
    SEX = "the sexes differ"
    TWIN_LIKE = "the given names agree only in a way that those of twins may"
    UNSUPPORTED = "name, given name, sex and birth date alone are no proof"


NEVER = frozenset({Veto.DIFFERENT_INS})
OUTWEIGHED = frozenset({Veto.UNSUPPORTED, Veto.BIRTH_SLIP, Veto.PLACE, Veto.DEFAULT_DATE})
"""Vetoes that ask for more weight rather than for a person: rare enough names outweigh them."""
RELATIVES = frozenset({Veto.SIBLINGS, Veto.GIVEN, Veto.PARENT, Veto.BIRTH_RANK})
"""Vetoes that name a relative: with less than an equal matricule, mobile or e-mail not worth a task."""
CONTRADICTING = RELATIVES | NEVER | {Veto.OTHER_INS, Veto.TWINS, Veto.LISTS, Veto.HOMONYMS, Veto.INS_CONTRADICTED}
"""Vetoes that speak for two persons; the others only say that proof is missing."""
EXPLAINABLE = frozenset({Veto.TWINS, Veto.SIBLINGS, Veto.GIVEN, Veto.HOMONYMS})
"""Contradictions that a third record resolves: it bears the names of both, or has a home or birthplace of each."""


class Circumstance:
    """What the rules must know of a pair beside its levels; bits of a number."""

    HELD = 1
    UNNAMED = 2
    GENERATION = 4
    DECADE = 8
    NAME_TELLS_SEX = 16
    BOTH_VALIDATED = 32
    NICKNAME = 64
    YEARS_EXCHANGED = 128


class Hint(StrEnum):
    """What a pair shows without deciding it."""

    HOUSEHOLD = "same household: evidence of a relative, not of identity"
    USED_NAME = "the names agree through a used name"
    CROSSED = "family and given name changed places"
    DEFAULT_DATE = "a birth date is a default"


def circumstances(a: Cleaned, b: Cleaned) -> int:
    """The circumstances of a pair; symmetric."""
    found = 0
    if a.held or b.held:
        found |= Circumstance.HELD
    if a.unnamed or b.unnamed:
        found |= Circumstance.UNNAMED
    apart = abs(a.year - b.year)
    if apart >= 10:
        found |= Circumstance.DECADE | (Circumstance.GENERATION if apart >= 14 else 0)
    if name_sex(a.first) and name_sex(b.first):
        found |= Circumstance.NAME_TELLS_SEX
    if a.validated and b.validated:
        found |= Circumstance.BOTH_VALIDATED
    if not (is_civil_name(a.first) and is_civil_name(b.first)) or is_cut_short(a.first, b.first):
        found |= Circumstance.NICKNAME
    if _years_exchanged(a, b):
        found |= Circumstance.YEARS_EXCHANGED
    return found


def _years_exchanged(a: Cleaned, b: Cleaned) -> bool:
    """Whether the birth dates differ in the order of the last two digits of the year alone (1947, 1974)."""
    if not a.day or (a.month, a.day) != (b.month, b.day) or a.year == b.year or a.year // 100 != b.year // 100:
        return False
    return a.year // 10 % 10 == b.year % 10 and a.year % 10 == b.year // 10 % 10


def find_vetoes(a: Cleaned, b: Cleaned, pair: Agreement) -> tuple[Veto, ...]:
    """All vetoes of a pair; symmetric."""
    return vetoes_of(pair.levels, circumstances(a, b))


@lru_cache(maxsize=1 << 16)
def vetoes_of(levels: tuple[int, ...], found_circumstances: int) -> tuple[Veto, ...]:
    """The vetoes of levels and circumstances, in the order of :class:`Veto`."""
    family, given, birth, sex, place, ins, contact, mother, rank, _ = levels
    proven = ins == Ins.SAME_QUALIFIED
    same_family, given_differs = family in _SAME_FAMILY, given in GIVEN_DIFFERS
    same_birth, odd_birth = birth in _SAME_BIRTH, birth == Birth.DIFFERENT
    known_ins = ins in _SAME_INS
    strong = place == Place.SAME or known_ins or contact in _CONTACT or mother == Origin.SAME
    generation = bool(found_circumstances & Circumstance.GENERATION)
    parent = same_family and given in _SAME_FIRST and odd_birth and generation
    nickname = bool(found_circumstances & Circumstance.NICKNAME)
    # Twins bear each other's names further back; one who lives elsewhere is hardly the same by such a name.
    apart = given == Given.LISTED and contact not in _CONTACT
    twin_like = given == Given.INITIAL or (given == Given.DIMINUTIVE and not nickname) or apart
    # No two namesakes born the same day share a home: a site wrote where the patient lives, not was born.
    at_home = family in FAMILY_SAME and given in _WHOLE_FIRST and birth == Birth.SAME and contact in _CONTACT
    # A father and his son of one name, born the same day of two such years, are too rare to ask for each of them.
    exchanged = (
        bool(found_circumstances & Circumstance.YEARS_EXCHANGED)
        and family in FAMILY_SAME
        and given in _WHOLE_FIRST
        and place in (Place.SAME, Place.COUNTRY)
        and (contact in _CONTACT or given == Given.LIST)
    )
    rules = (
        (Veto.DIFFERENT_INS, ins == Ins.DIFFERENT_QUALIFIED),
        (Veto.OTHER_INS, ins == Ins.DIFFERENT or (ins == Ins.CLOSE and given not in _WHOLE_FIRST)),
        (Veto.INS_DIGIT, ins == Ins.CLOSE and given in _WHOLE_FIRST),
        (Veto.INS_CONTRADICTED, proven and is_contradicted(family, given, birth, sex)),
        (Veto.ATTRIBUTE, bool(found_circumstances & Circumstance.HELD)),
        (
            Veto.UNNAMED,
            not proven
            and (
                bool(found_circumstances & Circumstance.UNNAMED) or given == Given.MISSING or family == Family.MISSING
            ),
        ),
        (Veto.UNDATED, birth == Birth.MISSING and not proven),
        (Veto.TWINS, same_family and given_differs and same_birth),
        (Veto.SIBLINGS, same_family and given_differs and not same_birth),
        (Veto.GIVEN, given_differs and not same_family),
        (Veto.LISTS, given == Given.LISTS_CONFLICT and not known_ins),
        (Veto.PARENT, parent),
        (Veto.BIRTH_RANK, rank == Origin.DIFFERENT and same_birth),
        (
            Veto.HOMONYMS,
            same_family
            and birth == Birth.SAME
            and place == Place.DIFFERENT
            and contact in (Contact.AREA, Contact.DIFFERENT)
            and not known_ins,
        ),
        (Veto.FAMILY, family in _OTHER_FAMILY and not proven),
        (Veto.BIRTH, odd_birth and not parent and not proven),
        (
            Veto.DECADES,
            not odd_birth
            and not known_ins
            and not exchanged
            and (generation or (bool(found_circumstances & Circumstance.DECADE) and given not in _WHOLE_FIRST)),
        ),
        (Veto.BIRTH_SLIP, birth in _SLIPS and not known_ins),
        (Veto.PLACE, place == Place.DIFFERENT and not known_ins and not at_home),
        (Veto.DEFAULT_DATE, birth in _WEAK_BIRTH and not (strong or family == Family.SAME_AND_USED)),
        (Veto.SEX, not proven and _sex_counts(levels, found_circumstances, strong)),
        (Veto.TWIN_LIKE, twin_like and not known_ins and contact not in _PERSONAL),
        (Veto.UNSUPPORTED, not (strong or _is_supported(levels))),
    )
    return tuple(veto for veto, holds in rules if holds)


def _is_supported(levels: tuple[int, ...]) -> bool:
    """Whether something weaker joins name, first name, sex and birth date: a country, a list, a used name, a town."""
    family, given, birth, _, place, _, contact = levels[:7]
    if family == Family.SAME_AND_USED or place in (Place.COUNTRY, Place.RENAMED) or given == Given.LIST:
        return True
    return contact == Contact.AREA and birth == Birth.SAME


def _sex_counts(levels: tuple[int, ...], found_circumstances: int, strong: bool) -> bool:
    """Whether a difference of sex forbids; not when all else agrees, and the names show it as a slip."""
    family, given, birth, sex = levels[:4]
    told = sex == SexLevel.DIFFERENT and bool(found_circumstances & Circumstance.NAME_TELLS_SEX)
    slip = (
        strong
        and family in FAMILY_SAME | {Family.USED, Family.MISSPELT}
        and (given == Given.LIST or (told and given in (Given.FIRST, Given.SPELLING)))
        and birth == Birth.SAME
    )
    return sex in (SexLevel.DIFFERENT, SexLevel.DIFFERENT_EPICENE) and not slip


def is_contradicted(family: int, given: int, birth: int, sex: int) -> bool:
    """Whether the traits say that an equal matricule was attached to another person by mistake."""
    all_else = given in _WHOLE_FIRST and birth == Birth.SAME and family in _SAME_FAMILY
    return (
        given in GIVEN_DIFFERS
        or birth == Birth.DIFFERENT
        or (sex == SexLevel.DIFFERENT and not all_else)
        or (family in _OTHER_FAMILY and birth not in _SAME_BIRTH)
    )


def find_hints(a: Cleaned, b: Cleaned, pair: Agreement) -> tuple[Hint, ...]:
    """What is worth telling a person about a pair."""
    return hints_of(pair.levels, a.is_default_date or b.is_default_date)


@lru_cache(maxsize=1 << 16)
def hints_of(levels: tuple[int, ...], default_date: bool) -> tuple[Hint, ...]:
    """The hints of levels, and of a birth date of either record being a default."""
    family, _, birth, _, _, _, contact = levels[:7]
    found: list[Hint] = []
    if contact in (Contact.HOUSEHOLD, Contact.HOUSEHOLD_PERSONAL):
        found.append(Hint.HOUSEHOLD)
    if family == Family.USED:
        found.append(Hint.USED_NAME)
    if family == Family.CROSSED:
        found.append(Hint.CROSSED)
    if birth in (Birth.SAME_DEFAULT, Birth.DEFAULT_YEAR) or default_date:
        found.append(Hint.DEFAULT_DATE)
    return tuple(found)

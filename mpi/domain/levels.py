"""The levels that each field of a pair can reach, and the fields: one definition for scorer, linker and trainer."""

from __future__ import annotations

from enum import IntEnum


class Family(IntEnum):
    """Agreement of family names, over birth names and used names.

    ``SAME_AND_USED``: the birth names agree and the different names used in life agree as well.
    """

    MISSING = 0
    SAME = 1
    USED = 2
    PART = 3
    MISSPELT = 4
    CLOSE = 5
    NEAR = 6
    CROSSED = 7
    DIFFERENT_USED_POSSIBLE = 8
    DIFFERENT = 9
    SAME_AND_USED = 10


class Given(IntEnum):
    """Agreement of given names, over the whole lists and the used name."""

    MISSING = 0
    LIST = 1
    FIRST = 2
    USED = 3
    PREFIX = 4
    LISTED = 5
    DIMINUTIVE = 6
    MISSPELT = 7
    SPELLING = 8
    INITIAL = 9
    CROSSED = 10
    LISTS_CONFLICT = 11
    COMPOUND_CONFLICT = 12
    SIMILAR = 13
    DIFFERENT = 14


FAMILY_SAME = frozenset({Family.SAME, Family.SAME_AND_USED})
"""The birth names are equal."""
GIVEN_DIFFERS = frozenset({Given.COMPOUND_CONFLICT, Given.SIMILAR, Given.DIFFERENT})
"""Given names that speak of another person (a twin, a sibling, a parent)."""


class Birth(IntEnum):
    """Agreement of birth dates."""

    MISSING = 0
    SAME = 1
    SAME_DEFAULT = 2
    SAME_MONTH = 3
    SAME_YEAR = 4
    DEFAULT_YEAR = 5
    SWAPPED = 6
    ONE_DIGIT = 7
    CENTURY = 8
    TWO_PARTS = 9
    DIFFERENT = 10


class SexLevel(IntEnum):
    """Agreement of sex; weak when the given name is borne by both."""

    MISSING = 0
    SAME = 1
    DIFFERENT_EPICENE = 2
    DIFFERENT = 3


class Place(IntEnum):
    """Agreement of birthplaces."""

    MISSING = 0
    SAME = 1
    COUNTRY = 2
    RENAMED = 3
    DEPARTMENT = 4
    DIFFERENT = 5


class Ins(IntEnum):
    """Agreement of matricules of one authority."""

    MISSING = 0
    SAME_QUALIFIED = 1
    SAME_HALF_QUALIFIED = 2
    SAME = 3
    SAME_BORROWED = 4
    CLOSE = 5
    DIFFERENT_QUALIFIED = 6
    DIFFERENT = 7


class Contact(IntEnum):
    """Agreement of phone, e-mail and address, read in the light of the given names.

    "Personal" is an e-mail address; mobile numbers are often a parent's.
    """

    MISSING = 0
    PERSONAL_AND_ADDRESS = 1
    PERSONAL = 2
    PHONE_AND_ADDRESS = 3
    PHONE = 4
    ADDRESS = 5
    AREA = 6
    DIFFERENT = 7
    HOUSEHOLD_PERSONAL = 8
    HOUSEHOLD = 9
    NOT_HOUSEHOLD = 10


class Home(IntEnum):
    """Agreement of house number and street, judged together."""

    MISSING = 0
    SAME = 1
    ALIKE = 2
    PARTLY = 3
    STREET = 4
    HOUSE = 5
    DIFFERENT = 6


class Area(IntEnum):
    """Agreement of town and postal code, judged together."""

    MISSING = 0
    SAME = 1
    ALIKE = 2
    ONE_ALONE = 3
    ONE_OF_TWO = 4
    DIFFERENT = 5


class Origin(IntEnum):
    """Agreement of mother's name, rank of birth and date of death."""

    MISSING = 0
    SAME = 1
    DIFFERENT = 2


FIELDS: dict[str, type[IntEnum]] = {
    "family": Family,
    "given": Given,
    "birth": Birth,
    "sex": SexLevel,
    "place": Place,
    "ins": Ins,
    "contact": Contact,
    "mother": Origin,
    "rank": Origin,
    "death": Origin,
}
"""The fields in the order of :class:`mpi.domain.comparison.Agreement`, with their levels."""

GENERIC_FIELDS: dict[str, type[IntEnum]] = {**FIELDS, "home": Home, "area": Area}
"""The fields where no French rule applies: an address speaks by its parts, not only as a household."""

"""Suspected overlay: an update that turns a record into another person's (a collision in the site's own system)."""

from __future__ import annotations

from mpi.domain.cleaning import clean
from mpi.domain.comparison import compare
from mpi.domain.identity import Traits
from mpi.domain.levels import GIVEN_DIFFERS, Birth, Family, Given, SexLevel


def suspect(before: Traits, after: Traits) -> bool:
    """Whether an update replaced one patient by another rather than correcting one.

    Naming a newborn, marriage, a corrected date or a crossed name are corrections. Two of family name, given
    name and birth date changed beyond correction, or given name and sex, are not.
    """
    one, other = clean(before), clean(after)
    pair = compare(one, other)
    family = pair.family in (Family.DIFFERENT, Family.DIFFERENT_USED_POSSIBLE, Family.NEAR)
    given = pair.given in GIVEN_DIFFERS
    birth = pair.birth in (Birth.DIFFERENT, Birth.TWO_PARTS)
    if one.unnamed and not one.given and pair.given == Given.MISSING:
        return family and birth
    if (family + given + birth) >= 2:
        return True
    # A twin's data written over the other's: only the given name changes, and usually the sex with it.
    return given and pair.sex == SexLevel.DIFFERENT

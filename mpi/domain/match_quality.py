"""How well a patient fits what was asked, when all criteria are met: by whole names, first letters, or likeness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rapidfuzz.distance import OSA

from mpi.domain.identity import Traits
from mpi.domain.phonetics_fr import sound
from mpi.domain.search import Likeness, NameCriterion, PatientSearch, names_of

SOUNDS_ALIKE: Final = 0.8
"""What a name counts for that is written otherwise and sounds the same, unless its letters count for more."""
LEAST_ALIKE: Final = 0.75
"""Share of letters in which a name that sounds otherwise must agree to be like the one asked for."""


def match_quality(search: PatientSearch, traits: Traits) -> int:
    """100 when every name asked for is the patient's in full; less, the fewer of its letters were given, or the less
    the patient's is like it.

    Names that were asked for as alternatives count once, by the best; a patient who does not carry a name asked for
    has no part in it.

    Returns:
        1 to 100.
    """
    parts = [max(0.0, best) for best in _bests(search, traits)]
    return max(1, int(100 * sum(parts) / len(parts))) if parts else 100


def is_match(search: PatientSearch, traits: Traits) -> bool:
    """Whether a patient who meets all other criteria bears names as like those asked for as they must be."""
    return all(best > 0 for best in _bests(search, traits)) and match_quality(search, traits) >= search.least_quality


def _bests(search: PatientSearch, traits: Traits) -> Iterator[float]:
    """For each name that must be found how well the best one fits."""
    if search.families:
        yield _best(search.families, traits, "F")
    for given in search.givens:
        yield _best([given], traits, "G")
    for group in search.name_groups:
        if any(criterion.like is not None for criterion in group.any_of):
            yield _best(group.any_of, traits, group.part)


def _best(asked: Sequence[NameCriterion], traits: Traits, parts: str) -> float:
    """How well the best name fits; where one is found whole, the others are not looked at."""
    best = 0.0
    for part in parts:
        for name in names_of(traits, part):
            for criterion in asked:
                best = max(best, _fit(criterion, name))
            if best == 1:
                return best
    return best


def _fit(asked: NameCriterion, name: str) -> float:
    """0 when the name is none of those asked for, to 1."""
    if asked.like is None:
        return len(asked.text) / len(name) if name.startswith(asked.text) else 0.0
    letters = OSA.normalized_similarity(asked.text, name)
    if sound(asked.text) == sound(name):
        return max(SOUNDS_ALIKE, letters)
    return letters if asked.like is Likeness.FUZZY and letters >= LEAST_ALIKE else 0.0

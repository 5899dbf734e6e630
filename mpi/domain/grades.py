"""What follows from a weight: a link of a grade, a task for a person, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mpi.domain.cleaning import Cleaned
from mpi.domain.comparison import Birth, Family, Given, Ins, Place, SexLevel
from mpi.domain.model import MatchModel, units
from mpi.domain.scoring import PairScore
from mpi.domain.vetoes import NEVER, Veto


class Grade(StrEnum):
    """How sure a link is.

    ``CERTAIN``: equal qualified INS with compatible traits, equal strict traits with birthplace both checked on
    a document, or a steward. ``PROBABLE``: above the automatic threshold without a veto. ``POSSIBLE``: not
    linked, a person must decide.
    """

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"

    @property
    def rank(self) -> int:
        """0 for the surest."""
        return _RANK[self]


_RANK = {Grade.CERTAIN: 0, Grade.PROBABLE: 1, Grade.POSSIBLE: 2}

STRICT = frozenset({Grade.CERTAIN})
CALIBRATED = frozenset({Grade.CERTAIN, Grade.PROBABLE})


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Which grades link by themselves.

    ``strict()`` reproduces the regional precedent (only exact equality or proof links); ``calibrated()`` adds
    links whose expected share of errors is small enough.

    Attributes:
        automatic: grades that link in domains not named in ``by_domain``.
        by_domain: grades that link a record of this domain; a link needs the consent of both domains.
    """

    automatic: frozenset[Grade] = CALIBRATED
    by_domain: Mapping[str, frozenset[Grade]] = field(default_factory=dict)

    @classmethod
    def strict(cls) -> LinkPolicy:
        """Only certain links."""
        return cls(STRICT)

    @classmethod
    def calibrated(cls) -> LinkPolicy:
        """Certain and probable links."""
        return cls(CALIBRATED)

    def allows(self, grade: Grade, *domains: str) -> bool:
        """Whether a link of this grade between records of these domains is made without a person."""
        return all(grade in self.by_domain.get(domain, self.automatic) for domain in domains)


CONTRADICTING = frozenset(
    {Veto.TWINS, Veto.SIBLINGS, Veto.PARENT, Veto.BIRTH_RANK, Veto.GIVEN, Veto.DIFFERENT_INS, Veto.INS_CONTRADICTED}
)
"""Vetoes that speak for two persons; the others only say that proof is missing."""

_RELATIVES = frozenset({Veto.TWINS, Veto.SIBLINGS, Veto.PARENT, Veto.BIRTH_RANK, Veto.GIVEN})


def grade_of(pair: PairScore, a: Cleaned, b: Cleaned, model: MatchModel) -> Grade | None:
    """The grade of a pair, whatever the policy; ``None`` when it is not even worth a task."""
    vetoes = frozenset(pair.vetoes)
    if vetoes & NEVER:
        return None
    if not vetoes and is_certain(pair, a, b):
        return Grade.CERTAIN
    if vetoes == {Veto.INS_CONTRADICTED} or (Veto.INS_CONTRADICTED in vetoes):
        return Grade.POSSIBLE
    if not vetoes and pair.weight_units >= units(model.thresholds.automatic):
        return Grade.PROBABLE
    if pair.weight_units >= units(model.thresholds.possible) and not (vetoes & _RELATIVES):
        return Grade.POSSIBLE
    return None


def is_certain(pair: PairScore, a: Cleaned, b: Cleaned) -> bool:
    """Equal qualified INS, or equal strict traits with birthplace, both checked on a document."""
    family, given, birth, sex, place, ins = pair.levels[:6]
    if ins == Ins.SAME_QUALIFIED:
        return True
    return (
        a.validated
        and b.validated
        and family == Family.SAME
        and given in (Given.LIST, Given.FIRST)
        and birth == Birth.SAME
        and sex == SexLevel.SAME
        and place == Place.SAME
    )

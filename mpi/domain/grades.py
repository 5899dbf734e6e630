"""What follows from a weight: a link of a grade, a task for a person, or nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mpi.domain.cleaning import Cleaned
from mpi.domain.levels import FAMILY_SAME, FIELDS, Birth, Contact, Family, Given, Ins, Place, SexLevel
from mpi.domain.model import MatchModel, units
from mpi.domain.scoring import PairScore
from mpi.domain.vetoes import OUTWEIGHED, RELATIVES, Circumstance, Veto, circumstances


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


def grade_of(pair: PairScore, a: Cleaned, b: Cleaned, model: MatchModel) -> Grade | None:
    """The grade of a pair, whatever the policy; ``None`` when it is not even worth a task."""
    return grade_from(pair.levels, circumstances(a, b), pair.vetoes, pair.weight_units, model)


def grade_from(
    levels: tuple[int, ...], found_circumstances: int, vetoes: tuple[Veto, ...], weight_units: int, model: MatchModel
) -> Grade | None:
    """The grade of a pair from its levels, circumstances, vetoes and weight in 1/256 bit."""
    if Veto.DIFFERENT_INS in vetoes:
        return None
    if Veto.INS_CONTRADICTED in vetoes:
        return Grade.POSSIBLE
    if not vetoes and is_certain(levels, found_circumstances):
        return Grade.CERTAIN
    needed = needed_bits(vetoes, levels, model)
    if needed < math.inf and weight_units >= units(needed):
        return Grade.PROBABLE
    if weight_units < units(model.thresholds.possible):
        return None
    if not is_task_worthy(levels, vetoes):
        return None
    return Grade.POSSIBLE


def needed_bits(vetoes: tuple[Veto, ...], levels: tuple[int, ...], model: MatchModel) -> float:
    """The weight in bits from which a pair links in spite of its vetoes; infinite when one forbids."""
    wanted = model.thresholds
    if not vetoes:
        return wanted.automatic
    if not OUTWEIGHED.issuperset(vetoes):
        return math.inf
    if Veto.UNSUPPORTED not in vetoes:
        return wanted.outweighing
    # Rare enough names are support themselves: among all inhabitants no chance homonym is to be expected. Of names
    # that changed places nobody knows how rare they are.
    alone = vetoes == (Veto.UNSUPPORTED,) and levels[_BIRTH] == Birth.SAME and levels[_FAMILY] != Family.CROSSED
    return wanted.unsupported if alone else math.inf


_FIELD_NAMES = tuple(FIELDS)
_FAMILY, _GIVEN, _BIRTH, _INS, _CONTACT = map(_FIELD_NAMES.index, ("family", "given", "birth", "ins", "contact"))


def is_task_worthy(levels: tuple[int, ...], vetoes: tuple[Veto, ...]) -> bool:
    """Whether a person should be asked in spite of the vetoes: relatives are no question without something personal."""
    personal = levels[_CONTACT] == Contact.HOUSEHOLD_PERSONAL or levels[_INS] in (Ins.SAME_HALF_QUALIFIED, Ins.SAME)
    if personal:
        return True
    if any(veto in RELATIVES for veto in vetoes):
        return False
    return not (Veto.TWINS in vetoes and (levels[_GIVEN] == Given.DIFFERENT or Veto.SEX in vetoes))


def is_certain(levels: tuple[int, ...], found_circumstances: int) -> bool:
    """Equal qualified INS, or equal strict traits with birthplace, both checked on a document."""
    family, given, birth, sex, place, ins = levels[:6]
    if ins == Ins.SAME_QUALIFIED:
        return True
    return (
        bool(found_circumstances & Circumstance.BOTH_VALIDATED)
        and family in FAMILY_SAME
        and given in (Given.LIST, Given.FIRST)
        and birth == Birth.SAME
        and sex == SexLevel.SAME
        and place == Place.SAME
    )

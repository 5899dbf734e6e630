"""Who in the index might a described patient be? Scored and graded by the rules that link."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain import blocking as blocking_rules
from mpi.domain.cleaning import clean
from mpi.domain.grades import Grade, grade_of
from mpi.domain.identity import Traits
from mpi.domain.record import Record
from mpi.domain.scoring import score_many
from mpi.services.find_patients import hidden_from
from mpi.store import blocking, records


@dataclass(frozen=True, slots=True)
class Match:
    """One candidate.

    Attributes:
        probability: that both are one person, 0 to 1.
    """

    record: Record
    grade: Grade
    weight_bits: float
    probability: float


def match_patient(
    uow: UnitOfWork, app: MpiApplication, traits: Traits, *, only_certain: bool, limit: int
) -> list[Match]:
    """Candidates that would be linked or asked about, the likeliest first.

    Args:
        only_certain: only those that the rules would link as certain.
        limit: at most so many.
    """
    described = clean(traits)
    found = blocking.candidates(uow.connection, 0, blocking_rules.keys(described, french=app.model.french))
    scores = score_many(described, [form for _, _, form in found], app.model)
    graded: list[tuple[Grade, float, int]] = []
    for (record_id, _, form), weighed in zip(found, scores, strict=True):
        grade = grade_of(weighed, described, form, app.model)
        if grade is not None and (grade is Grade.CERTAIN or not only_certain):
            graded.append((grade, weighed.weight_bits, record_id))
    by_id = {r.id: r for r in records.by_ids(uow.connection, [record_id for _, _, record_id in graded])}
    hidden = hidden_from(uow)
    matches = [
        Match(by_id[record_id], grade, bits, app.model.probability(bits))
        for grade, bits, record_id in graded
        if by_id[record_id].is_active and not by_id[record_id].traits.identity_attributes & hidden
    ]
    return sorted(matches, key=lambda m: (m.grade.rank, -m.weight_bits, m.record.key))[:limit]

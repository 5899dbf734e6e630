"""Who else resembles the records of a task: people who might be the same, and relatives who are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ihe.confidentiality import sight_of
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.record import Record, shown
from mpi.domain.scoring import score_many
from mpi.domain.vetoes import Veto
from mpi.store import blocking, pairs, records

_MOST_THIRDS: Final = 6
_MOST_RELATIVES: Final = 4
RELATIVES: Final = (Veto.BIRTH_RANK, Veto.TWINS, Veto.PARENT, Veto.SIBLINGS)
"""Vetoes that name a relative, the most telling first."""


@dataclass(frozen=True, slots=True)
class Third:
    """Another record that resembles one of the two.

    Attributes:
        weight_bits: with the one it resembles more.
        to: the record (id) it resembles.
        same_person: whether it is already one person with that one.
        relation: the veto that makes it a relative of that one (``TWINS``, ``SIBLINGS``, ``PARENT``, ``BIRTH_RANK``),
            or ``None``.
    """

    record: Record
    weight_bits: float
    to: int
    same_person: bool
    relation: str | None


@dataclass(frozen=True, slots=True)
class _Likeness:
    weight_bits: float
    to: int
    relation: str | None


def find_resembling(uow: UnitOfWork, app: MpiApplication, two: Sequence[Record]) -> tuple[Third, ...]:
    """Those who might be the same person, the likeliest first; then relatives.

    Identities that the caller may not see are left out, unless they are of the caller's own domain.
    """
    ids = {record.id for record in two}
    alike = _alike(uow, ids)
    relatives = {other: found for other, found in _relatives(uow, app, ids).items() if other not in alike}
    chosen = _best(alike, _MOST_THIRDS) | _best(relatives, _MOST_RELATIVES)
    person_of = {record.id: record.person_id for record in two}
    seen = shown(records.by_ids(uow.connection, chosen), sight_of(uow.caller))
    found = {r.id: r for r in seen if r.is_active}
    return tuple(
        Third(found[other], like.weight_bits, like.to, found[other].person_id == person_of[like.to], like.relation)
        for other, like in chosen.items()
        if other in found
    )


def _best(found: dict[int, _Likeness], most: int) -> dict[int, _Likeness]:
    return dict(sorted(found.items(), key=lambda item: -item[1].weight_bits)[:most])


def _alike(uow: UnitOfWork, ids: set[int]) -> dict[int, _Likeness]:
    best: dict[int, _Likeness] = {}
    for record_id in ids:
        for scored in pairs.with_record(uow.connection, record_id):
            other = next(i for i in scored.pair if i != record_id)
            if other not in ids and (other not in best or best[other].weight_bits < scored.weight_bits):
                relation = _relation(scored.evidence["vetoes"])
                best[other] = _Likeness(scored.weight_bits, record_id, relation)
    return best


def _relatives(uow: UnitOfWork, app: MpiApplication, ids: set[int]) -> dict[int, _Likeness]:
    """Candidates that a veto names relatives: such pairs are not kept, they are weighed anew."""
    best: dict[int, _Likeness] = {}
    for record_id, cleaned in records.cleaned_by_ids(uow.connection, sorted(ids)).items():
        found = blocking.candidates(uow.connection, record_id, blocking.keys_of(uow.connection, record_id))
        others = [(other_id, form) for other_id, _, form in found if other_id not in ids]
        scores = score_many(cleaned, [form for _, form in others], app.model)
        for (other_id, _), weighed in zip(others, scores, strict=True):
            relation = _relation([veto.name for veto in weighed.vetoes])
            if relation and (other_id not in best or best[other_id].weight_bits < weighed.weight_bits):
                best[other_id] = _Likeness(weighed.weight_bits, record_id, relation)
    return best


def _relation(vetoes: Sequence[str]) -> str | None:
    return next((veto.name for veto in RELATIVES if veto.name in vetoes), None)

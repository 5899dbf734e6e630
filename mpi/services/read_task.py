"""Everything a steward needs to decide a task: both records, the evidence, who said what, who else resembles them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ihe.confidentiality import sight_of
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.cleaning import clean
from mpi.domain.explanation import explain
from mpi.domain.identity import Traits
from mpi.domain.record import Record, shown
from mpi.domain.scoring import score
from mpi.domain.stewardship import REGION_DESK, Outcome
from mpi.services.answer_task import count_votes
from mpi.services.explain_link import explain_pair
from mpi.services.read_worklist import desk_of, visible_task
from mpi.store import pairs, records, votes
from mpi.store.votes import Comment, StoredVote
from mpi.store.worklist import ListedTask

_MOST_THIRDS = 6


@dataclass(frozen=True, slots=True)
class Side:
    """One of two columns.

    Attributes:
        traits: to compare; for an overlay those of the version before or after the update.
        at: when the source stated them.
        together: active records of the same person, itself apart.
        versions: how many states of the record are kept.
    """

    record: Record
    traits: Traits
    at: datetime
    together: tuple[Record, ...]
    versions: int


@dataclass(frozen=True, slots=True)
class Third:
    """Another record that resembles one of the two.

    Attributes:
        weight_bits: with the one it resembles more.
        to: the record (id) it resembles.
        person: whether it is already one person with that one.
    """

    record: Record
    weight_bits: float
    to: int
    same_person: bool


@dataclass(frozen=True, slots=True)
class TaskInFull:
    """A task with all that speaks for and against.

    Attributes:
        evidence: as :func:`mpi.domain.explanation.explain` tells it.
        outcome: where the votes stand.
        may_answer: whether the caller's answer is asked for.
    """

    task: ListedTask
    first: Side
    second: Side
    evidence: Mapping[str, Any]
    votes: tuple[StoredVote, ...]
    comments: tuple[Comment, ...]
    outcome: Outcome
    thirds: tuple[Third, ...]
    may_answer: bool


def read_task(uow: UnitOfWork, app: MpiApplication, task_id: int) -> TaskInFull:
    """Read a task in any state.

    Raises:
        NotFound: there is none, or the caller may not see it.
    """
    task = visible_task(uow, task_id)
    found = {r.id: r for r in records.by_ids(uow.connection, task.pair)}
    first, second = found[task.pair[0]], found[task.pair[1]]
    members = shown(records.by_persons(uow.connection, {first.person_id, second.person_id}), sight_of(uow.caller))
    said = votes.of_tasks(uow.connection, [task.id])
    if first.id == second.id:
        sides = _versions(uow, task, first, members)
        evidence = _between(app, sides[0].traits, sides[1].traits)
    else:
        sides = _side(first, members), _side(second, members)
        evidence = explain_pair(uow, app, first.key, second.key)
    return TaskInFull(
        task,
        *sides,
        evidence,
        tuple(said),
        tuple(votes.comments(uow.connection, task.id)),
        count_votes(uow, app, task),
        _thirds(uow, (first, second)),
        task.state == "open" and desk_of(uow.caller) in (REGION_DESK, *task.domains),
    )


def _side(record: Record, members: Sequence[Record]) -> Side:
    together = tuple(r for r in members if r.person_id == record.person_id and r.is_active and r.id != record.id)
    return Side(record, record.traits, record.source_updated_at or record.created_at, together, record.version)


def _versions(uow: UnitOfWork, task: ListedTask, record: Record, members: Sequence[Record]) -> tuple[Side, Side]:
    """The states before and after the update that looks like an overlay."""
    before, before_at = records.version_of(uow.connection, record.id, task.details["version_before"])
    after = _side(record, members)
    return Side(record, before, before_at or record.created_at, after.together, record.version), after


def _between(app: MpiApplication, before: Traits, after: Traits) -> dict[str, Any]:
    one, other = clean(before), clean(after)
    return explain(score(one, other, app.model), one, other, app.model)


def _thirds(uow: UnitOfWork, two: Sequence[Record]) -> tuple[Third, ...]:
    ids = {record.id for record in two}
    person_of = {record.id: record.person_id for record in two}
    best: dict[int, tuple[float, int]] = {}
    for record_id in ids:
        for scored in pairs.with_record(uow.connection, record_id):
            other = next(i for i in scored.pair if i != record_id)
            if other not in ids and (other not in best or best[other][0] < scored.weight_bits):
                best[other] = (scored.weight_bits, record_id)
    chosen = dict(sorted(best.items(), key=lambda item: -item[1][0])[:_MOST_THIRDS])
    seen = shown(records.by_ids(uow.connection, chosen), sight_of(uow.caller))
    found = {r.id: r for r in seen if r.is_active}
    return tuple(
        Third(found[other], bits, to, found[other].person_id == person_of[to])
        for other, (bits, to) in chosen.items()
        if other in found
    )

"""Everything a steward needs to decide a task: records, their history, evidence, who said what, who resembles them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ihe.confidentiality import sight_of
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.cleaning import clean
from mpi.domain.explanation import explain
from mpi.domain.identity import Traits
from mpi.domain.partition import TaskKind
from mpi.domain.record import Record, shown
from mpi.domain.scoring import score
from mpi.domain.stewardship import REGION_DESK, Outcome
from mpi.services.answer_task import count_votes
from mpi.services.explain_link import explain_pair
from mpi.services.find_resembling import Third, find_resembling
from mpi.services.read_worklist import desk_of, visible_task
from mpi.store import records, votes
from mpi.store.records import Version
from mpi.store.votes import Comment, StoredVote
from mpi.store.worklist import ListedTask

_MOST_VERSIONS: Final = 12


@dataclass(frozen=True, slots=True)
class Side:
    """One of two columns.

    Attributes:
        traits: to compare; for an overlay those of the version before or after the update.
        at: when the source stated them.
        together: active records of the same person, itself apart.
        history: the latest states of the record, latest first; :attr:`Record.version` tells how many there are.
    """

    record: Record
    traits: Traits
    at: datetime
    together: tuple[Record, ...]
    history: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class TaskInFull:
    """A task with all that speaks for and against.

    Attributes:
        sides: both records, or the one that the task is about.
        evidence: as :func:`mpi.domain.explanation.explain` tells it; ``None`` where nothing is compared.
        outcome: where the votes stand.
        may_answer: whether the caller's answer is asked for.
    """

    task: ListedTask
    sides: tuple[Side, ...]
    evidence: Mapping[str, Any] | None
    votes: tuple[StoredVote, ...]
    comments: tuple[Comment, ...]
    outcome: Outcome
    thirds: tuple[Third, ...]
    may_answer: bool

    @property
    def first(self) -> Side:
        """The left column."""
        return self.sides[0]

    @property
    def second(self) -> Side:
        """The right column; the left one again where there is no other."""
        return self.sides[-1]


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
    history = records.latest_versions(uow.connection, found, _MOST_VERSIONS)
    sides: tuple[Side, ...] = tuple(_side(each, members, history) for each in found.values())
    evidence: Mapping[str, Any] | None = None
    if task.kind == TaskKind.SUSPECTED_OVERLAY:
        sides = (_before(uow, task, sides[0]), sides[0])
        evidence = _between(app, sides[0].traits, sides[1].traits)
    elif first.id != second.id:
        evidence = explain_pair(uow, app, first.key, second.key)
    return TaskInFull(
        task,
        sides,
        evidence,
        tuple(said),
        tuple(votes.comments(uow.connection, task.id)),
        count_votes(uow, app, task),
        find_resembling(uow, app, (first, second)),
        task.state == "open" and desk_of(uow.caller) in (REGION_DESK, *task.domains),
    )


def _side(record: Record, members: Sequence[Record], history: Mapping[int, Sequence[Version]]) -> Side:
    together = tuple(r for r in members if r.person_id == record.person_id and r.is_active and r.id != record.id)
    stated = record.source_updated_at or record.created_at
    return Side(record, record.traits, stated, together, tuple(history.get(record.id, ())))


def _before(uow: UnitOfWork, task: ListedTask, after: Side) -> Side:
    """The state before the update that looks like an overlay."""
    traits, stated = records.version_of(uow.connection, after.record.id, task.details["version_before"])
    return replace(after, traits=traits, at=stated or after.record.created_at, history=())


def _between(app: MpiApplication, before: Traits, after: Traits) -> dict[str, Any]:
    one, other = clean(before), clean(after)
    return explain(score(one, other, app.model), one, other, app.model)

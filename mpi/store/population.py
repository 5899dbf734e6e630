"""The whole population as it is linked now: what a change of the model is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection, text

from mpi.domain.partition import RecordView
from mpi.store import bulk
from mpi.store.pairs import Pair, ordered
from mpi.store.tasks import TaskKey


@dataclass(frozen=True)
class Present:
    """The active records and what is decided about them.

    Attributes:
        ids: in order, those of ``records``.
        persons: the person of each record.
        grades: the grade of each record's link; ``None`` for a founder and a record alone.
        tasks: open now.
        same: pairs of records that somebody called one person.
        different: pairs of records that somebody called two persons.
    """

    ids: list[int]
    records: list[RecordView]
    persons: dict[int, int]
    grades: dict[int, str | None]
    tasks: frozenset[TaskKey]
    same: frozenset[Pair]
    different: frozenset[Pair]

    @cached_property
    def tasks_of(self) -> dict[int, set[TaskKey]]:
        """The open tasks of each record."""
        found: dict[int, set[TaskKey]] = {}
        for task in self.tasks:
            for record_id in task[1:]:
                found.setdefault(record_id, set()).add(task)
        return found


def present(connection: Connection) -> Present:
    """Read it; in a transaction that nobody else's writing disturbs."""
    ids, records = [], []
    for record_id, key, form in bulk.active_forms(connection):
        ids.append(record_id)
        records.append(RecordView(key, form))
    rows = connection.execute(text("SELECT id, person_id, grade FROM record WHERE state = 'active'")).all()
    open_tasks = connection.execute(text("SELECT kind, record_a, record_b FROM task WHERE state = 'open'"))
    survivor = _survivors(connection)
    decided: dict[str, set[Pair]] = {"same": set(), "different": set()}
    for row in connection.execute(text("SELECT record_a, record_b, verdict FROM decision WHERE revoked_at IS NULL")):
        one, other = survivor.get(row.record_a, row.record_a), survivor.get(row.record_b, row.record_b)
        if one != other:
            decided[row.verdict].add(ordered(one, other))
    return Present(
        ids,
        records,
        {row.id: row.person_id for row in rows},
        {row.id: row.grade for row in rows},
        frozenset((row.kind, row.record_a, row.record_b) for row in open_tasks),
        frozenset(decided["same"]),
        frozenset(decided["different"]),
    )


def _survivors(connection: Connection) -> dict[int, int]:
    """For each subsumed record the one at the end of its merges."""
    into: dict[int, int] = {
        row.id: row.merged_into
        for row in connection.execute(text("SELECT id, merged_into FROM record WHERE merged_into IS NOT NULL"))
    }
    found = {}
    for record_id in into:
        standing = record_id
        while standing in into:
            standing = into[standing]
        found[record_id] = standing
    return found

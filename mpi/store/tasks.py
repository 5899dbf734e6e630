"""Tasks: what a person must decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from mpi.domain.stewardship import risk_of
from mpi.store.pairs import Pair
from mpi.store.traits_json import json_text

TaskKey = tuple[str, int, int]
"""Kind and both records; the same record twice for a task about one record."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as stored."""

    id: int
    kind: str
    state: str
    pair: Pair
    weight_bits: float | None
    details: Mapping[str, Any]
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to open.

    Attributes:
        kind: a :class:`mpi.domain.partition.TaskKind`.
    """

    kind: str
    pair: Pair
    weight_bits: float | None
    details: Mapping[str, Any]

    @property
    def key(self) -> TaskKey:
        """What makes it the same task as another."""
        return (self.kind, *self.pair)


_COLUMNS = "id, kind, state, record_a, record_b, weight_bits, details, opened_at"


def open_among(connection: Connection, ids: Iterable[int]) -> list[Task]:
    """Open tasks that touch any of some records."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM task WHERE state = 'open' AND (record_a = ANY(:ids) OR record_b = ANY(:ids))"),
        {"ids": list(ids)},
    )
    return [Task(r.id, r.kind, r.state, (r.record_a, r.record_b), r.weight_bits, r.details, r.opened_at) for r in rows]


def open_tasks(connection: Connection, tasks: Iterable[NewTask], *, event_id: int, now: datetime) -> None:
    """Open tasks that are not open yet."""
    rows = [
        {
            "kind": t.kind,
            "a": t.pair[0],
            "b": t.pair[1],
            "weight_bits": t.weight_bits,
            "details": json_text(dict(t.details)),
            "risk": risk_of(t.kind, t.weight_bits),
            "event_id": event_id,
            "now": now,
        }
        for t in tasks
    ]
    if rows:
        connection.execute(
            text(
                "INSERT INTO task (kind, state, record_a, record_b, domain_a, domain_b, weight_bits, risk, details,"
                " opened_event_id, opened_at)"
                " SELECT :kind, 'open', a.id, b.id, a.domain, b.domain, :weight_bits, :risk, CAST(:details AS jsonb),"
                " :event_id, :now FROM record a, record b WHERE a.id = :a AND b.id = :b"
                " ON CONFLICT (kind, record_a, record_b) WHERE state = 'open' DO NOTHING"
            ),
            rows,
        )


def close(connection: Connection, ids: Iterable[int], how: str, *, event_id: int, now: datetime) -> None:
    """Close tasks whose reason is gone or decided."""
    connection.execute(
        text(
            "UPDATE task SET state = 'closed', closed_at = :now, closed_how = :how, closed_event_id = :event_id"
            " WHERE id = ANY(:ids) AND state = 'open'"
        ),
        {"ids": list(ids), "how": how, "event_id": event_id, "now": now},
    )


def reopen_closed_by(connection: Connection, event_id: int) -> list[int]:
    """Open again the tasks that an event closed, as they were, unless the same question was opened anew since.

    Returns:
        The records they are about.
    """
    rows = connection.execute(
        text(
            "UPDATE task t SET state = 'open', closed_at = NULL, closed_how = NULL, closed_event_id = NULL"
            " WHERE closed_event_id = :event_id AND NOT EXISTS (SELECT 1 FROM task o WHERE o.state = 'open'"
            " AND (o.kind, o.record_a, o.record_b) = (t.kind, t.record_a, t.record_b))"
            " RETURNING record_a, record_b"
        ),
        {"event_id": event_id},
    )
    return sorted({record_id for row in rows for record_id in (row.record_a, row.record_b)})


def close_opened_by(
    connection: Connection, opened_by: int, kinds: Iterable[str], *, event_id: int, now: datetime
) -> None:
    """Close the tasks of some kinds that an event opened, because it was taken back."""
    ids = connection.execute(
        text("SELECT id FROM task WHERE opened_event_id = :opened_by AND kind = ANY(:kinds) AND state = 'open'"),
        {"opened_by": opened_by, "kinds": list(kinds)},
    ).scalars()
    close(connection, ids, "taken back", event_id=event_id, now=now)


def count_open(connection: Connection) -> dict[str, int]:
    """How many tasks wait, by kind."""
    rows = connection.execute(text("SELECT kind, count(*) AS n FROM task WHERE state = 'open' GROUP BY kind"))
    return {row.kind: row.n for row in rows}


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task with the names of its records, for export."""

    task_id: int
    kind: str
    state: str
    domain_a: str
    local_id_a: str
    domain_b: str
    local_id_b: str
    weight_bits: float | None


def all_tasks(connection: Connection) -> Iterator[TaskRow]:
    """Every task, streamed in order of id."""
    query = text(
        "SELECT t.id, t.kind, t.state, a.domain, a.local_id, b.domain, b.local_id, t.weight_bits"
        " FROM task t JOIN record a ON a.id = t.record_a JOIN record b ON b.id = t.record_b ORDER BY t.id"
    )
    rows = connection.execute(query, execution_options={"yield_per": 5000})
    for row in rows:
        yield TaskRow(*row)

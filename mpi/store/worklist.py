"""The worklist: open tasks as stewards look through them, with the desks they lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from mpi.store.hiding import is_hidden
from mpi.store.pairs import Pair


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; a condition left empty does not narrow.

    Attributes:
        site: one of the records is of this domain.
        with_site: and one is of this one.
        assigned_to: lies on this person's desk.
        unvoted_by: this site (empty: the region) has not answered.
        least_bits: weight of at least so many bits.
        order: ``risk`` (risk × age), ``age`` (oldest first), ``new`` (newest first) or ``weight``.
    """

    kinds: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    site: str | None = None
    with_site: str | None = None
    assigned_to: str | None = None
    unvoted_by: str | None = None
    least_bits: float | None = None
    order: str = "risk"
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ListedTask:
    """A task on the list.

    Attributes:
        domains: of both records, in their order.
        claimed_by: who has it open at this desk now, or ``None``.
    """

    id: int
    kind: str
    state: str
    stage: str
    pair: Pair
    domains: tuple[str, str]
    weight_bits: float | None
    risk: float
    details: Any
    opened_at: datetime
    opened_event_id: int
    closed_at: datetime | None
    closed_how: str | None
    closed_event_id: int | None
    assigned_to: str | None
    claimed_by: str | None

    @property
    def owners(self) -> tuple[str, ...]:
        """Domains of the records, without repetition."""
        return tuple(dict.fromkeys(self.domains))


_ORDERS: Final = {
    "risk": "t.risk * (1 + date_part('epoch', CAST(:now AS timestamptz) - t.opened_at) / 86400) DESC, t.id",
    "age": "t.opened_at, t.id",
    "new": "t.opened_at DESC, t.id DESC",
    "weight": "t.weight_bits DESC NULLS LAST, t.id",
}
ORDERS: Final = tuple(_ORDERS)
_COLUMNS: Final = """t.id, t.kind, t.state, t.stage, t.record_a, t.record_b, t.domain_a, t.domain_b, t.weight_bits,
    t.risk, t.details, t.opened_at, t.opened_event_id, t.closed_at, t.closed_how, t.closed_event_id, d.assigned_to,
    CASE WHEN d.claimed_until > :now THEN d.claimed_by END AS claimed_by"""
_FROM: Final = "FROM task t LEFT JOIN task_desk d ON d.task_id = t.id AND d.site = :desk"


_HIDES: Final = (
    f"EXISTS (SELECT 1 FROM record h WHERE h.id IN (t.record_a, t.record_b) AND h.domain <> :desk AND {is_hidden('h')})"
)
"""That a task shows a site's desk somebody hidden of another site."""


def _conditions(wanted: TaskFilter, parameters: dict[str, Any]) -> str:
    clauses = ["t.state = 'open'"]
    if wanted.site is not None and wanted.site == parameters["desk"]:
        clauses.append(f"NOT {_HIDES}")
    if wanted.kinds:
        clauses.append("t.kind = ANY(:kinds)")
        parameters["kinds"] = list(wanted.kinds)
    if wanted.stages:
        clauses.append("t.stage = ANY(:stages)")
        parameters["stages"] = list(wanted.stages)
    for name, site in (("site", wanted.site), ("with_site", wanted.with_site)):
        if site is not None:
            clauses.append(f":{name} IN (t.domain_a, t.domain_b)")
            parameters[name] = site
    if wanted.assigned_to is not None:
        clauses.append("d.assigned_to = :assigned_to")
        parameters["assigned_to"] = wanted.assigned_to
    if wanted.unvoted_by is not None:
        clauses.append(
            "NOT EXISTS (SELECT 1 FROM task_vote v WHERE v.task_id = t.id AND v.site = :unvoted_by"
            " AND v.withdrawn_event_id IS NULL)"
        )
        parameters["unvoted_by"] = wanted.unvoted_by
    if wanted.least_bits is not None:
        clauses.append("t.weight_bits >= :least_bits")
        parameters["least_bits"] = wanted.least_bits
    return " AND ".join(clauses)


def listed(connection: Connection, wanted: TaskFilter, *, desk: str, now: datetime) -> list[ListedTask]:
    """A page of open tasks, one more than the limit when there are more.

    Args:
        desk: whose assignments and claims are shown: a domain code, empty for the region.
    """
    parameters: dict[str, Any] = {"now": now, "desk": desk, "limit": wanted.limit + 1, "offset": wanted.offset}
    conditions = _conditions(wanted, parameters)
    # The page is chosen on what is narrow; the wide columns are read of its rows only.
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} {_FROM} WHERE {conditions} ORDER BY {_ORDERS[wanted.order]} LIMIT :limit OFFSET :offset"
        ),
        parameters,
    )
    return [_task(row) for row in rows]


def by_ids(connection: Connection, ids: Sequence[int], *, desk: str, now: datetime) -> list[ListedTask]:
    """Tasks in any state, in order of id."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} {_FROM} WHERE t.id = ANY(:ids) ORDER BY t.id"),
        {"ids": list(ids), "desk": desk, "now": now},
    )
    return [_task(row) for row in rows]


def _task(row: Row[Any]) -> ListedTask:
    return ListedTask(
        row.id,
        row.kind,
        row.state,
        row.stage,
        (row.record_a, row.record_b),
        (row.domain_a, row.domain_b),
        row.weight_bits,
        row.risk,
        row.details,
        row.opened_at,
        row.opened_event_id,
        row.closed_at,
        row.closed_how,
        row.closed_event_id,
        row.assigned_to,
        row.claimed_by,
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """How many open tasks there are of one kind between two domains, at one stage."""

    kind: str
    stage: str
    domains: tuple[str, str]
    count: int


def counts(connection: Connection, desk: str) -> list[Counted]:
    """Open tasks by kind, stage and domains.

    Args:
        desk: only those that this site may see; empty for all.
    """
    visible = f" AND :desk IN (domain_a, domain_b) AND NOT {_HIDES}" if desk else ""
    rows = connection.execute(
        text(
            f"SELECT kind, stage, domain_a, domain_b, count(*) AS n FROM task t WHERE state = 'open'{visible}"
            " GROUP BY kind, stage, domain_a, domain_b"
        ),
        {"desk": desk} if desk else {},
    )
    return [Counted(row.kind, row.stage, (row.domain_a, row.domain_b), row.n) for row in rows]


def set_stage(connection: Connection, task_id: int, stage: str) -> None:
    """Note where a task stands."""
    connection.execute(text("UPDATE task SET stage = :stage WHERE id = :id"), {"id": task_id, "stage": stage})


def close_as_decided(connection: Connection, task_id: int, *, event_id: int, now: datetime) -> None:
    """Close a task by the decision about it, and say so where linking anew has closed it already."""
    connection.execute(
        text(
            "UPDATE task SET state = 'closed', closed_at = :now, closed_how = 'decided', closed_event_id = :event_id"
            " WHERE id = :id AND (state = 'open' OR closed_event_id = :event_id)"
        ),
        {"id": task_id, "event_id": event_id, "now": now},
    )


def lock(connection: Connection, task_id: int) -> None:
    """Keep others from answering a task until the end of the transaction."""
    connection.execute(text("SELECT id FROM task WHERE id = :id FOR NO KEY UPDATE"), {"id": task_id})


def assign(connection: Connection, task_ids: Sequence[int], desk: str, to: str | None) -> None:
    """Put tasks on somebody's desk, or on nobody's."""
    connection.execute(
        text(
            "INSERT INTO task_desk (task_id, site, assigned_to)"
            " SELECT id, :desk, CAST(:to AS text) FROM unnest(CAST(:ids AS bigint[])) AS id"
            " ON CONFLICT (task_id, site) DO UPDATE SET assigned_to = excluded.assigned_to"
        ),
        {"ids": list(task_ids), "desk": desk, "to": to},
    )


def claim(connection: Connection, task_id: int, desk: str, by: str, *, now: datetime, until: datetime) -> str:
    """Take a task in hand unless somebody else of the same desk has it; returns who has it now."""
    holder: str = connection.execute(
        text(
            "INSERT INTO task_desk AS d (task_id, site, claimed_by, claimed_until) VALUES (:id, :desk, :by, :until)"
            " ON CONFLICT (task_id, site) DO UPDATE SET"
            " claimed_by = CASE WHEN d.claimed_until > :now THEN d.claimed_by ELSE :by END,"
            " claimed_until = CASE WHEN d.claimed_until > :now AND d.claimed_by <> :by"
            " THEN d.claimed_until ELSE :until END RETURNING claimed_by"
        ),
        {"id": task_id, "desk": desk, "by": by, "now": now, "until": until},
    ).scalar_one()
    return holder


def release(connection: Connection, task_id: int, desk: str, by: str) -> None:
    """Let go of a task."""
    connection.execute(
        text(
            "UPDATE task_desk SET claimed_by = NULL, claimed_until = NULL"
            " WHERE task_id = :id AND site = :desk AND claimed_by = :by"
        ),
        {"id": task_id, "desk": desk, "by": by},
    )

"""The outbox: events written in the commit that caused them, and their delivery to each subscriber.

Order is kept per subscriber and subject: an event is due only when no earlier event of its subject waits for that
subscriber. A dead-lettered event lets the later ones of its subject pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ihe.store.tables import outbox_delivery, outbox_event

_INSERT = insert(outbox_event).inline()


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event as delivered.

    Attributes:
        id: increasing; the same at every attempt, so that a subscriber can recognise a repetition.
        subject: ordering key.
        attempts: how many deliveries failed before this one.
    """

    id: int
    at: datetime
    kind: str
    subject: str
    payload: Mapping[str, Any]
    attempts: int = 0


def append_events(connection: Connection, events: Sequence[Mapping[str, Any]]) -> None:
    """Write events in the caller's transaction, in order; each has ``at``, ``kind``, ``subject``, ``payload``."""
    connection.execute(_INSERT, list(events))


def waiting_for_distribution(connection: Connection, limit: int) -> list[OutboxEvent]:
    """Committed events that were not yet handed to the subscribers, oldest first."""
    rows = connection.execute(
        select(
            outbox_event.c.id,
            outbox_event.c.at,
            outbox_event.c.kind,
            outbox_event.c.subject,
            outbox_event.c.payload,
        )
        .where(~outbox_event.c.distributed)
        .order_by(outbox_event.c.id)
        .limit(limit)
    )
    return [OutboxEvent(*row) for row in rows]


def distribute(connection: Connection, events: Sequence[OutboxEvent], takers: Mapping[int, Sequence[str]]) -> None:
    """Open a delivery for each subscriber that takes an event, and mark the events as distributed.

    Args:
        takers: event id → names of the subscribers that take it.
    """
    deliveries = [
        {"event_id": event.id, "subscriber": name, "subject": event.subject, "next_attempt_at": event.at}
        for event in events
        for name in takers.get(event.id, ())
    ]
    if deliveries:
        connection.execute(upsert(outbox_delivery).on_conflict_do_nothing(), deliveries)
    connection.execute(
        update(outbox_event).where(outbox_event.c.id.in_(bindparam("ids", expanding=True))).values(distributed=True),
        {"ids": [event.id for event in events]},
    )


_DUE = text(
    """
    SELECT e.id, e.at, e.kind, e.subject, e.payload, d.attempts
    FROM outbox_delivery d JOIN outbox_event e ON e.id = d.event_id
    WHERE d.subscriber = :subscriber AND d.state = 'waiting' AND d.next_attempt_at <= :now
      AND NOT EXISTS (
        SELECT 1 FROM outbox_delivery earlier
        WHERE earlier.subscriber = d.subscriber AND earlier.subject = d.subject
          AND earlier.state = 'waiting' AND earlier.event_id < d.event_id)
    ORDER BY d.event_id
    LIMIT :limit
    """
)


def due(connection: Connection, subscriber: str, now: datetime, limit: int) -> list[OutboxEvent]:
    """Events to deliver now: at most one per subject, oldest first."""
    rows = connection.execute(_DUE, {"subscriber": subscriber, "now": now, "limit": limit})
    return [OutboxEvent(*row) for row in rows]


def delivered(connection: Connection, subscriber: str, event_id: int, now: datetime) -> None:
    """Record a success."""
    connection.execute(
        update(outbox_delivery)
        .where(outbox_delivery.c.subscriber == subscriber, outbox_delivery.c.event_id == event_id)
        .values(state="delivered", delivered_at=now, attempts=outbox_delivery.c.attempts + 1, last_error=None)
    )


def failed(
    connection: Connection, subscriber: str, event: OutboxEvent, now: datetime, error: str, max_attempts: int
) -> bool:
    """Record a failure: try again later, twice as late each time up to an hour, or give up.

    Returns:
        Whether the event was dead-lettered.
    """
    attempts = event.attempts + 1
    dead = attempts >= max_attempts
    delay = timedelta(seconds=min(3600, 2 ** min(attempts, 12)))
    connection.execute(
        update(outbox_delivery)
        .where(outbox_delivery.c.subscriber == subscriber, outbox_delivery.c.event_id == event.id)
        .values(
            state="dead" if dead else "waiting",
            attempts=attempts,
            next_attempt_at=now + delay,
            last_error=error,
        )
    )
    return dead


def replay(connection: Connection, subscriber: str, since: datetime, now: datetime) -> int:
    """Deliver again everything of one subscriber since a moment, dead letters too; returns how many."""
    return connection.execute(
        update(outbox_delivery)
        .where(
            outbox_delivery.c.subscriber == subscriber,
            outbox_delivery.c.event_id.in_(select(outbox_event.c.id).where(outbox_event.c.at >= since)),
        )
        .values(state="waiting", attempts=0, next_attempt_at=now, last_error=None)
    ).rowcount


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far a subscriber is behind.

    Attributes:
        waiting: deliveries not made yet.
        dead: deliveries given up.
        oldest: moment of the oldest waiting event, or ``None``.
    """

    subscriber: str
    waiting: int
    dead: int
    oldest: datetime | None


def backlogs(connection: Connection) -> list[Backlog]:
    """The backlog of each subscriber that has one."""
    rows = connection.execute(
        text(
            """
            SELECT d.subscriber, count(*) FILTER (WHERE d.state = 'waiting'),
                   count(*) FILTER (WHERE d.state = 'dead'), min(e.at) FILTER (WHERE d.state = 'waiting')
            FROM outbox_delivery d JOIN outbox_event e ON e.id = d.event_id
            WHERE d.state IN ('waiting', 'dead') GROUP BY d.subscriber ORDER BY d.subscriber
            """
        )
    )
    return [Backlog(*row) for row in rows]


def oldest_undistributed(connection: Connection) -> datetime | None:
    """Moment of the oldest event that no subscriber has seen yet, or ``None``."""
    moment: datetime | None = connection.execute(
        select(outbox_event.c.at).where(~outbox_event.c.distributed).order_by(outbox_event.c.id).limit(1)
    ).scalar()
    return moment

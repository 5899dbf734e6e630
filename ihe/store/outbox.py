"""The outbox: events written in the commit that caused them, and their delivery to each subscriber.

Order is kept per subscriber and subject: an event is due only when no earlier event of its subject waits for that
subscriber. A dead-lettered event lets the later ones of its subject pass. One delivery to a subscriber is at work at a
time, whatever processes there are: it is claimed by a lock that lasts as long as the transaction that records it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ihe.store.tables import outbox_delivery, outbox_event

_INSERT = insert(outbox_event).inline()
_EVENT = select(
    outbox_event.c.id, outbox_event.c.at, outbox_event.c.kind, outbox_event.c.subject, outbox_event.c.payload
)
_PAGE = 1000
_COPY_FROM_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event as delivered.

    Attributes:
        id: increasing; the same at every attempt, so that a subscriber can recognise a repetition.
        subject: ordering key.
        attempts: how often the subscriber refused it before.
    """

    id: int
    at: datetime
    kind: str
    subject: str
    payload: Mapping[str, Any]
    attempts: int = 0


def append_events(connection: Connection, events: Sequence[Mapping[str, Any]]) -> None:
    """Write events in the caller's transaction, in order; each has ``at``, ``kind``, ``subject``, ``payload``."""
    if len(events) < _COPY_FROM_EVENTS:
        connection.execute(_INSERT, list(events))
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy("COPY outbox_event (at, kind, subject, payload) FROM STDIN") as copy:
        for event in events:
            copy.write_row((event["at"], event["kind"], event["subject"], json.dumps(event["payload"])))


_AT_ONCE = datetime.fromtimestamp(0, UTC)
_LONGEST_DELAY = timedelta(hours=1)


def waiting_for_distribution(connection: Connection, limit: int) -> list[OutboxEvent]:
    """Committed events that were not yet handed to the subscribers, oldest first."""
    rows = connection.execute(_EVENT.where(~outbox_event.c.distributed).order_by(outbox_event.c.id).limit(limit))
    return [OutboxEvent(*row) for row in rows]


def distribute(connection: Connection, events: Sequence[OutboxEvent], takers: Mapping[int, Sequence[str]]) -> None:
    """Open a delivery for each subscriber that takes an event, and mark the events as distributed.

    Args:
        takers: event id → names of the subscribers that take it.
    """
    deliveries = [
        {"event_id": event.id, "subscriber": name, "subject": event.subject, "next_attempt_at": _AT_ONCE}
        for event in events
        for name in takers.get(event.id, ())
    ]
    if deliveries:
        connection.execute(upsert(outbox_delivery).on_conflict_do_nothing(), deliveries)
    connection.execute(
        update(outbox_event).where(outbox_event.c.id.in_(bindparam("ids", expanding=True))).values(distributed=True),
        {"ids": [event.id for event in events]},
    )


_CLAIM = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:subscriber, 7502))")
_DUE = text(
    """
    SELECT e.id, e.at, e.kind, e.subject, e.payload, d.attempts
    FROM outbox_delivery d JOIN outbox_event e ON e.id = d.event_id
    WHERE d.subscriber = :subscriber AND d.state = 'waiting'
      AND (d.next_attempt_at <= :now OR d.next_attempt_at > :later)
      AND NOT EXISTS (
        SELECT 1 FROM outbox_delivery earlier
        WHERE earlier.subscriber = d.subscriber AND earlier.subject = d.subject
          AND earlier.state = 'waiting' AND earlier.event_id < d.event_id)
    ORDER BY d.event_id
    LIMIT 1
    """
)


def claim(connection: Connection, subscriber: str) -> bool:
    """Become the only one who delivers to a subscriber until the transaction ends; false when somebody else is."""
    return bool(connection.execute(_CLAIM, {"subscriber": subscriber}).scalar())


def next_due(connection: Connection, subscriber: str, now: datetime) -> OutboxEvent | None:
    """The oldest event to deliver now, or ``None``; never one whose subject has an earlier one waiting.

    One that would wait for longer than anything has to was put off by a clock that has been set back since.
    """
    later = now + _LONGEST_DELAY
    row = connection.execute(_DUE, {"subscriber": subscriber, "now": now, "later": later}).one_or_none()
    return OutboxEvent(*row) if row else None


def delivered(connection: Connection, subscriber: str, event_id: int, now: datetime) -> None:
    """Record a success."""
    _record(connection, subscriber, event_id, state="delivered", delivered_at=now, last_error=None)


def unreached(connection: Connection, subscriber: str, event_id: int, error: str, next_attempt_at: datetime) -> None:
    """Record that the subscriber could not be reached: the event is not to blame, and never given up."""
    _record(connection, subscriber, event_id, next_attempt_at=next_attempt_at, last_error=error)


def refused(
    connection: Connection, subscriber: str, event: OutboxEvent, now: datetime, error: str, max_attempts: int
) -> bool:
    """Record a refusal: try again later, twice as late each time up to an hour, or give up.

    Returns:
        Whether the event was dead-lettered.
    """
    attempts = event.attempts + 1
    dead = attempts >= max_attempts
    delay = min(_LONGEST_DELAY, timedelta(seconds=2 ** min(attempts, 12)))
    _record(
        connection,
        subscriber,
        event.id,
        state="dead" if dead else "waiting",
        attempts=attempts,
        next_attempt_at=now + delay,
        last_error=error,
    )
    return dead


def _record(connection: Connection, subscriber: str, event_id: int, **values: Any) -> None:
    connection.execute(
        update(outbox_delivery)
        .where(outbox_delivery.c.subscriber == subscriber, outbox_delivery.c.event_id == event_id)
        .values(**values)
    )


def replay(connection: Connection, subscriber: str, takes: Callable[[OutboxEvent], bool], since: datetime) -> int:
    """Deliver again everything that concerns one subscriber since a moment: what was delivered, what was given up, and
    what happened before it subscribed. Events that were deleted for their age are gone.

    Args:
        takes: whether an event concerns the subscriber.

    Returns:
        How many deliveries were opened.
    """
    opened, last = 0, 0
    while True:
        page = connection.execute(
            _EVENT.where(outbox_event.c.distributed, outbox_event.c.at >= since, outbox_event.c.id > last)
            .order_by(outbox_event.c.id)
            .limit(_PAGE)
        ).all()
        if not page:
            return opened
        rows = [
            {"event_id": event.id, "subscriber": subscriber, "subject": event.subject, "next_attempt_at": _AT_ONCE}
            for event in (OutboxEvent(*row) for row in page)
            if takes(event)
        ]
        if rows:
            anew = {"state": "waiting", "attempts": 0, "next_attempt_at": _AT_ONCE, "last_error": None}
            key = [outbox_delivery.c.subscriber, outbox_delivery.c.event_id]
            connection.execute(upsert(outbox_delivery).on_conflict_do_update(index_elements=key, set_=anew), rows)
        opened += len(rows)
        last = page[-1].id


_PRUNE = text(
    """
    WITH old AS (
        SELECT e.id FROM outbox_event e
        WHERE e.distributed AND e.at < :moment AND NOT EXISTS (
            SELECT 1 FROM outbox_delivery d WHERE d.event_id = e.id AND d.state <> 'delivered')
        ORDER BY e.id LIMIT :limit
    ), deliveries AS (
        DELETE FROM outbox_delivery d USING old WHERE d.event_id = old.id
    )
    SELECT id FROM old
    """
)
_PRUNE_EVENTS = text("DELETE FROM outbox_event WHERE id = ANY(:ids)")


def forget_before(connection: Connection, moment: datetime, limit: int = 5000) -> int:
    """Delete events older than a moment that nobody waits for any more; dead letters stay. Returns how many."""
    ids = [row.id for row in connection.execute(_PRUNE, {"moment": moment, "limit": limit})]
    if ids:
        connection.execute(_PRUNE_EVENTS, {"ids": ids})
    return len(ids)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up.

    Attributes:
        at: when the event happened.
        error: class of the last refusal.
    """

    subscriber: str
    event_id: int
    at: datetime
    kind: str
    attempts: int
    error: str | None


def dead_letters(connection: Connection, limit: int = 100) -> list[DeadLetter]:
    """The newest deliveries that were given up."""
    rows = connection.execute(
        text(
            "SELECT d.subscriber, e.id, e.at, e.kind, d.attempts, d.last_error FROM outbox_delivery d"
            " JOIN outbox_event e ON e.id = d.event_id WHERE d.state = 'dead' ORDER BY e.id DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [DeadLetter(*row) for row in rows]


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

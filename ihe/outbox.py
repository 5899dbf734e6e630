"""Delivers outbox events to subscribers: at least once, in order per subject, with back-off and dead letters.

One process of all leads (session advisory lock); when it dies, another takes over. Each subscriber has its own thread,
so that a dead one delays nobody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from ihe.store import outbox
from ihe.store.outbox import OutboxEvent

log = logging.getLogger(__name__)

_LEADER_LOCK = 0x7475_6F75_7462_6F78
_BATCH = 200


class Subscriber(Protocol):
    """Somebody who wants events.

    Attributes:
        name: stable name under which deliveries are recorded.
    """

    @property
    def name(self) -> str: ...

    def takes(self, event: OutboxEvent) -> bool:
        """Whether the event concerns this subscriber."""

    def deliver(self, event: OutboxEvent) -> None:
        """Hand the event over; any exception means "not delivered, try again"."""


class Dispatcher:
    """Runs the deliveries in background threads.

    Args:
        engine: database.
        subscribers: returns the subscribers of this moment.
        poll_seconds: how often to look for new events.
        max_attempts: deliveries that failed so often become dead letters.
    """

    def __init__(
        self,
        engine: Engine,
        subscribers: Callable[[], Sequence[Subscriber]],
        *,
        poll_seconds: float = 0.2,
        max_attempts: int = 20,
    ) -> None:
        self._engine = engine
        self._subscribers = subscribers
        self._poll_seconds = poll_seconds
        self._max_attempts = max_attempts
        self._stopping = threading.Event()
        self._leader = threading.Thread(target=self._lead, name="outbox", daemon=True)
        self._couriers: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Start in the background."""
        self._leader.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Finish the deliveries in hand and stop."""
        self._stopping.set()
        for thread in (self._leader, *self._couriers.values()):
            thread.join(timeout_seconds)

    def _lead(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._engine.connect() as connection:
                    if self._is_leader(connection):
                        self._distribute_until_stopped(connection)
            except Exception as error:
                log.warning("outbox leader stumbled", extra={"error_type": type(error).__name__})
            self._stopping.wait(self._poll_seconds)

    def _is_leader(self, connection: Connection) -> bool:
        locked = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LEADER_LOCK}).scalar()
        connection.commit()
        return bool(locked)

    def _distribute_until_stopped(self, connection: Connection) -> None:
        try:
            while not self._stopping.is_set():
                if not distribute_once(connection, self._subscribers()):
                    self._stopping.wait(self._poll_seconds)
                self._keep_couriers()
        finally:
            if not connection.closed and not connection.invalidated:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LEADER_LOCK})
                connection.commit()

    def _keep_couriers(self) -> None:
        for subscriber in self._subscribers():
            courier = self._couriers.get(subscriber.name)
            if courier is None or not courier.is_alive():
                courier = threading.Thread(
                    target=self._carry, args=(subscriber,), name=f"outbox {subscriber.name}", daemon=True
                )
                self._couriers[subscriber.name] = courier
                courier.start()

    def _carry(self, subscriber: Subscriber) -> None:
        while not self._stopping.is_set():
            try:
                carried = deliver_once(self._engine, subscriber, self._max_attempts, self._stopping)
            except Exception as error:
                log.warning("outbox courier stumbled", extra={"error_type": type(error).__name__})
                return
            if not carried:
                self._stopping.wait(self._poll_seconds)


def distribute_once(connection: Connection, subscribers: Sequence[Subscriber]) -> int:
    """Hand waiting events to those who take them, in one transaction; returns how many events."""
    with connection.begin():
        events = outbox.waiting_for_distribution(connection, _BATCH)
        if events:
            takers = {event.id: [s.name for s in subscribers if s.takes(event)] for event in events}
            outbox.distribute(connection, events, takers)
    return len(events)


def deliver_once(
    engine: Engine, subscriber: Subscriber, max_attempts: int, stopping: threading.Event | None = None
) -> int:
    """Deliver what is due for one subscriber, each event in its own transaction; returns how many were tried."""
    with engine.connect() as connection:
        events = outbox.due(connection, subscriber.name, datetime.now(UTC), _BATCH)
    for count, event in enumerate(events):
        if stopping is not None and stopping.is_set():
            return count
        error = _attempt(subscriber, event)
        with engine.begin() as connection:
            now = datetime.now(UTC)
            if error is None:
                outbox.delivered(connection, subscriber.name, event.id, now)
            elif outbox.failed(connection, subscriber.name, event, now, error, max_attempts):
                log.error("event dead-lettered", extra={"subscriber": subscriber.name, "event_id": event.id})
    return len(events)


def _attempt(subscriber: Subscriber, event: OutboxEvent) -> str | None:
    try:
        subscriber.deliver(event)
    except Exception as error:
        return type(error).__name__
    return None

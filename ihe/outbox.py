"""Delivers outbox events to subscribers: at least once, in order per subject, with back-off and dead letters.

Rules:

- One process of all leads (session advisory lock): it hands new events to the subscribers that take them, and delivers
  them. When it dies, or its connection to the database does, another takes over.
- Each subscriber has its own courier (thread), so that a dead one delays nobody.
- A delivery and its record are one transaction: a crash between them delivers the event again.
- A subscriber that cannot be reached is left alone for longer and longer, up to a minute, and nothing is given up; an
  event that it refuses is tried again more and more seldom, lets the events of other subjects pass, and becomes a dead
  letter in the end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from ihe.errors import Unavailable
from ihe.store import outbox
from ihe.store.outbox import OutboxEvent

log = logging.getLogger(__name__)

_LEADER_LOCK = 0x7475_6F75_7462_6F78
_BATCH = 200
_LONGEST_PAUSE_SECONDS = 60.0
_NEW_SUBSCRIBER_SECONDS = 1.0
"""How often to look for new subscribers while nothing happens: their events wait for them."""


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
        """Hand the event over, in the courier's thread.

        Raises:
            Unavailable: it could not be reached; anything else means that it refused the event.
        """

    def close(self) -> None:
        """Give connections back; called in the courier's thread when it ends, and deliveries may still follow."""


class Outcome(Enum):
    """What came of looking for something to deliver."""

    NOTHING_DUE = auto()
    DELIVERED = auto()
    REFUSED = auto()
    UNREACHED = auto()


class Dispatcher:
    """Runs the deliveries in background threads.

    Args:
        engine: database; a courier holds one connection while it delivers.
        subscribers: returns the subscribers of this moment.
        poll_seconds: how often to look for new events.
        max_attempts: an event refused so often becomes a dead letter.
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

    def start(self) -> None:
        """Start in the background."""
        self._leader.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Finish the deliveries in hand and stop; safe to call when it was never started."""
        self._stopping.set()
        if self._leader.ident is not None:
            self._leader.join(timeout_seconds)

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
        couriers: dict[str, _Courier] = {}
        look_again_at = 0.0
        try:
            while not self._stopping.is_set():
                if time.monotonic() >= look_again_at:
                    self._keep(couriers, self._subscribers())
                    look_again_at = time.monotonic() + _NEW_SUBSCRIBER_SECONDS
                if distribute_once(connection, self._subscribers):
                    look_again_at = 0.0  # some of it may be for a new one
                    for courier in couriers.values():
                        courier.wake()
                else:
                    self._stopping.wait(self._poll_seconds)
        finally:
            for courier in couriers.values():
                courier.dismiss()
            for courier in couriers.values():
                courier.join(_LONGEST_PAUSE_SECONDS)
            if not connection.closed and not connection.invalidated:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LEADER_LOCK})
                connection.commit()

    def _keep(self, couriers: dict[str, _Courier], subscribers: Sequence[Subscriber]) -> None:
        """Have one living courier for each subscriber of this moment, and none for others."""
        wanted = {subscriber.name: subscriber for subscriber in subscribers}
        for name in couriers.keys() - wanted.keys():
            couriers.pop(name).dismiss()
        for name, subscriber in wanted.items():
            if name not in couriers or not couriers[name].is_alive():
                couriers[name] = _Courier(self._engine, subscriber, self._max_attempts)
                couriers[name].start()


class _Courier(threading.Thread):
    """Delivers to one subscriber until dismissed."""

    _IDLE_SECONDS = 1.0

    def __init__(self, engine: Engine, subscriber: Subscriber, max_attempts: int) -> None:
        super().__init__(name=f"outbox {subscriber.name}", daemon=True)
        self._engine = engine
        self._subscriber = subscriber
        self._max_attempts = max_attempts
        self._dismissed = threading.Event()
        self._call = threading.Event()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._call.set()

    def dismiss(self) -> None:
        """Finish the delivery in hand and end."""
        self._dismissed.set()
        self._call.set()

    def run(self) -> None:
        try:
            self._carry()
        finally:
            self._subscriber.close()

    def _carry(self) -> None:
        failures = 0
        while not self._dismissed.is_set():
            self._call.clear()
            pause = min(_LONGEST_PAUSE_SECONDS, 2.0**failures)
            try:
                outcome = deliver_next(self._engine, self._subscriber, self._max_attempts, pause)
            except Exception as error:
                log.warning("outbox courier stumbled", extra={"error_type": type(error).__name__})
                outcome = Outcome.UNREACHED
            if outcome is Outcome.UNREACHED:
                failures += 1
                self._dismissed.wait(pause)
            elif outcome is Outcome.NOTHING_DUE:
                self._call.wait(self._IDLE_SECONDS)
            else:
                failures = 0


def distribute_once(connection: Connection, subscribers: Callable[[], Sequence[Subscriber]]) -> int:
    """Hand waiting events to those who take them, in one transaction; returns how many events.

    Args:
        subscribers: asked after the events were read, so that who subscribed before an event gets it.
    """
    with connection.begin():
        events = outbox.waiting_for_distribution(connection, _BATCH)
        if events:
            present = subscribers()
            takers = {event.id: [s.name for s in present if _takes(s, event)] for event in events}
            outbox.distribute(connection, events, takers)
    return len(events)


def _takes(subscriber: Subscriber, event: OutboxEvent) -> bool:
    """Whether an event concerns a subscriber; one that fails to say gets it, so that it alone has the trouble."""
    try:
        return subscriber.takes(event)
    except Exception as error:
        log.warning("subscriber stumbled", extra={"subscriber": subscriber.name, "error_type": type(error).__name__})
        return True


def deliver_next(engine: Engine, subscriber: Subscriber, max_attempts: int, pause_seconds: float = 1.0) -> Outcome:
    """Deliver the oldest event that is due for a subscriber, and record what came of it in the same transaction.

    Args:
        max_attempts: an event refused so often becomes a dead letter.
        pause_seconds: how long the subscriber is left alone when it was not reached. The event rests twice as long, so
            that one which breaks every connection lets those of other subjects pass.
    """
    with engine.begin() as connection:
        if not outbox.claim(connection, subscriber.name):
            return Outcome.NOTHING_DUE
        event = outbox.next_due(connection, subscriber.name, datetime.now(UTC))
        if event is None:
            return Outcome.NOTHING_DUE
        try:
            subscriber.deliver(event)
        except Unavailable as error:
            later = datetime.now(UTC) + timedelta(seconds=2 * pause_seconds)
            outbox.unreached(connection, subscriber.name, event.id, type(error).__name__, later)
            return Outcome.UNREACHED
        except Exception as error:
            now = datetime.now(UTC)
            if outbox.refused(connection, subscriber.name, event, now, type(error).__name__, max_attempts):
                log.error("event dead-lettered", extra={"subscriber": subscriber.name, "event_id": event.id})
            return Outcome.REFUSED
        outbox.delivered(connection, subscriber.name, event.id, datetime.now(UTC))
        return Outcome.DELIVERED

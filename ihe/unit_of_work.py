"""One database transaction: what is read, decided, saved, announced and audited together.

A service gets a :class:`UnitOfWork`, never a connection of its own making. Domain events appended here stand in the
outbox of the same commit; nothing is announced that was not saved, and nothing saved stays unannounced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from ihe.audit import AuditTrail
from ihe.caller import Caller
from ihe.store import outbox


class UnitOfWork:
    """An open transaction with its caller and its moment.

    Attributes:
        connection: SQLAlchemy connection, for the store layers only.
        caller: on whose behalf.
        now: the moment of the request (UTC), one for the whole unit.
        trail: what the audit event of the request will name.
    """

    def __init__(self, connection: Connection, caller: Caller, now: datetime, trail: AuditTrail | None = None) -> None:
        self.connection = connection
        self.caller = caller
        self.now = now
        self.trail = AuditTrail() if trail is None else trail
        self._events: list[dict[str, Any]] = []

    def publish(self, kind: str, subject: str, payload: Mapping[str, Any]) -> None:
        """Append a domain event to the outbox, delivered after the commit, in order per subject.

        Args:
            kind: what happened (``person.linked``, ``document.registered``…).
            subject: the ordering key, for example the person or record concerned.
            payload: JSON-serialisable facts.
        """
        self._events.append({"at": self.now, "kind": kind, "subject": subject, "payload": dict(payload)})

    def flush_events(self) -> None:
        """Write the events published so far; done once, before the commit."""
        if self._events:
            outbox.append_events(self.connection, self._events)
            self._events = []


class Database:
    """Opens units of work on one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def unit(
        self, caller: Caller, *, isolation: str | None = None, trail: AuditTrail | None = None
    ) -> Iterator[UnitOfWork]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Args:
            caller: on whose behalf.
            isolation: for example ``REPEATABLE READ`` for an export from one snapshot; default read committed.
            trail: where is noted what the audit event will name; ``None`` makes one that nobody reads.
        """
        engine = self.engine.execution_options(isolation_level=isolation) if isolation else self.engine
        with engine.connect() as connection, connection.begin():
            uow = UnitOfWork(connection, caller, datetime.now(UTC), trail)
            yield uow
            uow.flush_events()

    def is_ready(self) -> bool:
        """Whether the database answers."""
        with self.engine.connect() as connection:
            return bool(connection.execute(text("SELECT 1")).scalar())

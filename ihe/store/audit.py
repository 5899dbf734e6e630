"""Writes audit events: in the transaction they describe, or, of what only read, in one commit with others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import orjson
from sqlalchemy import Connection, insert

from ihe import fibers
from ihe.audit import AuditEvent
from ihe.single_statements import Parameters
from ihe.store.tables import audit_event

_INSERT = insert(audit_event).inline()
_INSERT_ALL = """
    INSERT INTO audit_event (at, transaction, event_code, event_action, outcome, node, site, user_id, purpose,
        correlation_id, objects, reason)
    SELECT * FROM json_to_recordset(%s) AS event (at timestamptz, transaction text, event_code text, event_action text,
        outcome smallint, node text, site text, user_id text, purpose text, correlation_id text, objects jsonb,
        reason text)
"""


_NUL = b"\\u0000"
"""As JSON writes it."""


def append(connection: Connection, event: AuditEvent) -> None:
    """Write one event; it becomes durable with the caller's commit."""
    connection.execute(_INSERT, _storable(_columns(event)))


def _columns(event: AuditEvent) -> dict[str, Any]:
    return {
        "at": event.at,
        "transaction": event.transaction,
        "event_code": event.event_code,
        "event_action": event.event_action,
        "outcome": int(event.outcome),
        "node": event.node,
        "site": event.site,
        "user_id": event.user,
        "purpose": event.purpose,
        "correlation_id": event.correlation_id,
        "objects": event.objects,
        "reason": event.reason,
    }


def _storable(columns: dict[str, Any]) -> dict[str, Any]:
    """With objects without NULs, which the database keeps in no text: a message that has one gets its own answer."""
    return columns | {
        "objects": [
            {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in each.items()}
            for each in columns["objects"]
        ]
    }


class _Entry:
    """An event on its way, and the thread or fiber that waits for it.

    Attributes:
        turn: given when the event is written, or when who waits for it is to write what waits.
        is_settled: whether it was written, or failed.
        error: why it could not be written.
    """

    __slots__ = ("columns", "error", "is_settled", "turn")

    def __init__(self, event: AuditEvent) -> None:
        self.columns = _columns(event)
        self.turn = fibers.turn()
        self.is_settled = False
        self.error: Exception | None = None


class SharedCommit:
    """Writes events durably; those that come while others are being written share the next commit.

    One thread writes at a time (or one fiber of an event loop): the first that finds nobody writing, afterwards always
    one of those that wait. So a lonely event costs no hand-over, and many at once cost one statement and one flush to
    disk together.

    Args:
        ask: runs one statement, which is committed by itself.
    """

    def __init__(self, ask: Callable[[LiteralString, Parameters], object]) -> None:
        self._ask = ask
        self._guard = threading.Lock()
        self._waiting: list[_Entry] = []
        self._is_writing = False

    def write(self, event: AuditEvent) -> None:
        """Write an event; it is durable when this returns.

        Raises:
            Exception: what the database says against it.
        """
        mine = _Entry(event)
        with self._guard:
            self._waiting.append(mine)
            must_wait, self._is_writing = self._is_writing, True
        if must_wait:
            mine.turn.wait()
        if not mine.is_settled:
            self._write_waiting(mine)
        if mine.error is not None:
            raise mine.error

    def _write_waiting(self, mine: _Entry) -> None:
        with self._guard:
            entries, self._waiting = self._waiting, []
        self._settle(entries)
        with self._guard:
            successor = self._waiting[0] if self._waiting else None
            self._is_writing = successor is not None
        if successor is not None:
            successor.turn.give()
        for entry in entries:
            entry.is_settled = True
            if entry is not mine:
                entry.turn.give()

    def _settle(self, entries: Sequence[_Entry]) -> None:
        try:
            written = orjson.dumps([entry.columns for entry in entries])
            if _NUL in written:
                written = orjson.dumps([_storable(entry.columns) for entry in entries])
            self._ask(_INSERT_ALL, (written.decode(),))
        except Exception as error:
            if len(entries) == 1:
                entries[0].error = error
                return
            for entry in entries:  # what is wrong with one event must not refuse the others
                self._settle([entry])


class SharedCommits:
    """Threads share commits with threads, and what is served in an event loop (:mod:`ihe.fibers`) with what else is
    served there: neither waits for the other.

    Args:
        ask: runs one statement, which is committed by itself.
    """

    def __init__(self, ask: Callable[[LiteralString, Parameters], object]) -> None:
        self._ask = ask
        self._by_loop: dict[object, SharedCommit] = {}

    def write(self, event: AuditEvent) -> None:
        """Write an event; it is durable when this returns.

        Raises:
            Exception: what the database says against it.
        """
        loop = fibers.present_loop()
        (self._by_loop.get(loop) or self._by_loop.setdefault(loop, SharedCommit(self._ask))).write(event)

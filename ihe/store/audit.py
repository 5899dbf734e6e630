"""Writes audit events: in the transaction they describe, or, of what only read, in one commit with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import orjson
from sqlalchemy import Connection, insert

from ihe.audit import AuditEvent
from ihe.single_statements import Parameters
from ihe.store.tables import audit_event
from ihe.together import Together

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


class SharedCommits:
    """Writes events durably; those that come while others are being written share the next commit.

    Args:
        ask: runs one statement, which is committed by itself.
    """

    def __init__(self, ask: Callable[[LiteralString, Parameters], object]) -> None:
        self._ask = ask
        self._together = Together(self._write_all)

    def write(self, event: AuditEvent) -> None:
        """Write an event; it is durable when this returns.

        Raises:
            Exception: what the database says against it.
        """
        self._together.do(event)

    def _write_all(self, events: Sequence[AuditEvent]) -> Sequence[None]:
        rows = [_columns(event) for event in events]
        written = orjson.dumps(rows)
        if _NUL in written:
            written = orjson.dumps([_storable(row) for row in rows])
        self._ask(_INSERT_ALL, (written.decode(),))
        return [None] * len(events)

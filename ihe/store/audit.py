"""Writes audit events in the transaction they describe."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from ihe.audit import AuditEvent
from ihe.store.tables import audit_event

_INSERT = insert(audit_event).inline()


def append(connection: Connection, event: AuditEvent) -> None:
    """Write one event; it becomes durable with the caller's commit."""
    connection.execute(
        _INSERT,
        {
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
            "objects": [dict(item) for item in event.objects],
            "reason": event.reason,
        },
    )

"""Identity events: the append-only log of everything that changed what the index believes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from ihe.caller import Caller
from mpi.store.traits_json import json_text


@dataclass(frozen=True, slots=True)
class IdentityEvent:
    """One entry of the log.

    Attributes:
        payload: enough to explain the event and to take it back.
        undoes: the event that this one takes back, or ``None``.
        undone_by: the event that took this one back, or ``None``.
    """

    id: int
    at: datetime
    kind: str
    caller: str
    site: str | None
    payload: Mapping[str, Any]
    undoes: int | None
    undone_by: int | None


def append(
    connection: Connection,
    now: datetime,
    caller: Caller,
    kind: str,
    payload: Mapping[str, Any],
    undoes: int | None = None,
) -> int:
    """Write one event; returns its id."""
    event_id: int = connection.execute(
        text(
            "INSERT INTO identity_event (at, kind, caller, site, payload, undoes)"
            " VALUES (:at, :kind, :caller, :site, CAST(:payload AS jsonb), :undoes) RETURNING id"
        ),
        {
            "at": now,
            "kind": kind,
            "caller": caller.label,
            "site": caller.site,
            "payload": json_text(dict(payload)),
            "undoes": undoes,
        },
    ).scalar_one()
    return event_id


def get(connection: Connection, event_id: int) -> IdentityEvent | None:
    """One event, locked against being undone twice at once."""
    row = connection.execute(
        text(
            "SELECT e.id, e.at, e.kind, e.caller, e.site, e.payload, e.undoes,"
            " (SELECT u.id FROM identity_event u WHERE u.undoes = e.id) AS undone_by"
            " FROM identity_event e WHERE e.id = :id FOR UPDATE OF e"
        ),
        {"id": event_id},
    ).one_or_none()
    return _event(row) if row else None


def _event(row: Row[Any]) -> IdentityEvent:
    return IdentityEvent(row.id, row.at, row.kind, row.caller, row.site, row.payload, row.undoes, row.undone_by)

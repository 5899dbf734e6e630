"""Identity events: the append-only log of everything that changed what the index believes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def merge_of(connection: Connection, record_id: int) -> int | None:
    """The merge in force that subsumed a record, or ``None``."""
    found: int | None = connection.execute(
        text(
            "SELECT max(e.id) FROM identity_event e WHERE e.kind = 'record.merged'"
            " AND (e.payload->>'subsumed')::bigint = :record_id"
            " AND NOT EXISTS (SELECT 1 FROM identity_event u WHERE u.undoes = e.id)"
        ),
        {"record_id": record_id},
    ).scalar()
    return found


_LATER = """
    SELECT e.id, e.at, e.kind, e.caller, e.site, e.payload, e.undoes, NULL AS undone_by FROM identity_event e
    WHERE e.id = ANY(:ids) AND NOT EXISTS (SELECT 1 FROM identity_event u WHERE u.undoes = e.id) ORDER BY e.id DESC
"""
_TOUCHING = """
    SELECT event_id FROM record_version WHERE record_id = ANY(:records)
    UNION SELECT event_id FROM link WHERE record_id = ANY(:records)
    UNION SELECT event_id FROM decision WHERE record_a = ANY(:records) OR record_b = ANY(:records)
    UNION SELECT revoked_event_id FROM decision WHERE record_a = ANY(:records) OR record_b = ANY(:records)
    UNION SELECT v.event_id FROM task_vote v JOIN task t ON t.id = v.task_id
        WHERE t.record_a = ANY(:records) OR t.record_b = ANY(:records)
    UNION SELECT v.withdrawn_event_id FROM task_vote v JOIN task t ON t.id = v.task_id
        WHERE t.record_a = ANY(:records) OR t.record_b = ANY(:records)
    UNION SELECT id FROM identity_event WHERE CAST(payload->>'record_id' AS bigint) = ANY(:records)
        AND kind IN ('record.renamed', 'record.renamed.undone', 'record.withdrawn')
    UNION SELECT id FROM identity_event WHERE CAST(payload->>'survivor' AS bigint) = ANY(:records)
        AND kind IN ('record.merged', 'record.merged.undone')
    UNION SELECT id FROM identity_event WHERE CAST(payload->>'subsumed' AS bigint) = ANY(:records)
        AND kind IN ('record.merged', 'record.merged.undone')
"""


def touching(connection: Connection, record_ids: Iterable[int]) -> list[int]:
    """Ids of the events that changed something about some records, oldest first.

    A change of number, and a merge within one person, leave no other mark than the event itself.
    """
    rows = connection.execute(text(_TOUCHING), {"records": list(record_ids)})
    return sorted(row.event_id for row in rows if row.event_id is not None)


def by_ids(connection: Connection, ids: Iterable[int]) -> list[IdentityEvent]:
    """Events, oldest first, each with what took it back."""
    rows = connection.execute(
        text(
            "SELECT e.id, e.at, e.kind, e.caller, e.site, e.payload, e.undoes,"
            " (SELECT u.id FROM identity_event u WHERE u.undoes = e.id) AS undone_by"
            " FROM identity_event e WHERE e.id = ANY(:ids) ORDER BY e.id"
        ),
        {"ids": list(ids)},
    )
    return [_event(row) for row in rows]


def in_force_after(connection: Connection, event_id: int, record_ids: Iterable[int]) -> list[IdentityEvent]:
    """Later events about some records that nothing took back, latest first."""
    ids = [found for found in touching(connection, record_ids) if found > event_id]
    return [_event(row) for row in connection.execute(text(_LATER), {"ids": ids})]


def last_in_force(connection: Connection, kind: str) -> IdentityEvent | None:
    """The last event of a kind that nothing took back; for kinds of which there are few."""
    row = connection.execute(
        text(
            "SELECT e.id, e.at, e.kind, e.caller, e.site, e.payload, e.undoes, NULL AS undone_by FROM identity_event e"
            " WHERE e.kind = :kind AND NOT EXISTS (SELECT 1 FROM identity_event u WHERE u.undoes = e.id)"
            " ORDER BY e.id DESC LIMIT 1"
        ),
        {"kind": kind},
    ).one_or_none()
    return _event(row) if row else None


def records_of(event: IdentityEvent) -> list[int]:
    """The records that an event is about."""
    payload = event.payload
    found = [*payload.get("pair", ()), *payload.get("records", ())]
    found += [payload[name] for name in ("record_id", "survivor", "subsumed") if payload.get(name) is not None]
    return sorted(set(found))


def _event(row: Row[Any]) -> IdentityEvent:
    return IdentityEvent(row.id, row.at, row.kind, row.caller, row.site, row.payload, row.undoes, row.undone_by)

"""Search of the audit trail: by time, person, system, patient, transaction, outcome; latest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, text

from ihe.audit import AuditEvent
from ihe.store.audit_chain import event_of

COLUMNS = """id, at, transaction, event_code, event_action, outcome, node, site, user_id, purpose, correlation_id,
    objects, reason"""


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """Which events; what is left empty does not narrow.

    Attributes:
        since, until: moments, the second not included.
        patients: identifiers as audited, one of which an event names.
        objects: identifiers of any participant object, one of which an event names.
        transactions, event_codes, actions, outcomes, users, systems: one of each.
        before: only events with a lower id (the page after that).
    """

    since: datetime | None = None
    until: datetime | None = None
    patients: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    transactions: tuple[str, ...] = ()
    event_codes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    outcomes: tuple[int, ...] = ()
    users: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    before: int | None = None


_AMONG = {
    "transactions": "transaction",
    "event_codes": "event_code",
    "actions": "event_action",
    "outcomes": "outcome",
    "users": "user_id",
    "systems": "node",
    "ids": "id",
}


def find(connection: Connection, search: AuditSearch, limit: int) -> list[tuple[int, AuditEvent]]:
    """At most so many events with their ids, latest first."""
    clauses, parameters = ["true"], dict[str, Any](limit=limit)
    for name, column in _AMONG.items():
        if values := getattr(search, name):
            clauses.append(f"{column} = ANY(:{name})")
            parameters[name] = list(values)
    for name, clause in (("since", "at >= :since"), ("until", "at < :until"), ("before", "id < :before")):
        if (value := getattr(search, name)) is not None:
            clauses.append(clause)
            parameters[name] = value
    if search.patients:
        clauses.append(_naming("patient", search.patients, parameters))
    if search.objects:
        clauses.append(_naming(None, search.objects, parameters))
    # What is sealed is found by its index; what is not yet is little.
    wanted = " AND ".join(clauses)
    rows = connection.execute(
        text(
            f"SELECT * FROM (SELECT {COLUMNS} FROM audit_event WHERE position IS NOT NULL AND {wanted}"
            f" ORDER BY id DESC LIMIT :limit) AS sealed UNION ALL SELECT * FROM (SELECT {COLUMNS} FROM audit_event"
            f" WHERE position IS NULL AND {wanted} ORDER BY id DESC LIMIT :limit) AS fresh"
            " ORDER BY id DESC LIMIT :limit"
        ),
        parameters,
    )
    return [_found(row) for row in rows.mappings()]


def _naming(kind: str | None, identifiers: Sequence[str], parameters: dict[str, Any]) -> str:
    clauses = []
    for number, each in enumerate(identifiers):
        name = f"{kind or 'object'}_{number}"
        parameters[name] = orjson.dumps([{"id": each} if kind is None else {"kind": kind, "id": each}]).decode()
        clauses.append(f"objects @> CAST(:{name} AS jsonb)")
    return "(" + " OR ".join(clauses) + ")"


def _found(row: RowMapping) -> tuple[int, AuditEvent]:
    return row["id"], event_of(row)

"""Deletes objects, leaving a note of what was deleted: identifiers only, no metadata."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.postgresql import insert as upsert

from xds.domain.registered import (
    Registered,
    RegisteredAssociation,
    RegisteredEntry,
    RegisteredFolder,
    RegisteredSet,
)
from xds.store import rows
from xds.store.tables import (
    association,
    document_entry,
    folder,
    removed_object,
    status_change,
    submission_set,
)

_TABLES = {
    RegisteredEntry: document_entry,
    RegisteredSet: submission_set,
    RegisteredFolder: folder,
    RegisteredAssociation: association,
}


def remove(connection: Connection, items: Iterable[Registered], now: datetime, caller: str) -> None:
    """Delete objects and their status history."""
    notes = []
    for item in items:
        table, key = _TABLES[type(item)], rows.to_uuid(item.id)
        connection.execute(delete(table).where(table.c.id == key))
        connection.execute(delete(status_change).where(status_change.c.object_id == key))
        notes.append(
            {
                "id": key,
                "kind": table.name,
                "unique_id": getattr(item, "unique_id", None),
                "repository_unique_id": getattr(item, "repository_unique_id", None),
                "removed_at": now,
                "caller": caller,
            }
        )
    if notes:
        # An object registered again under its old id and removed again keeps its first note.
        connection.execute(upsert(removed_object).on_conflict_do_nothing(), notes)

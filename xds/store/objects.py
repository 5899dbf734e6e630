"""Reads objects by their identifiers, and saves what a submission adds and changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, Table, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from ihe.values import PatientId
from xds.domain.model import Association, AssociationType, Availability, Described, DocumentEntry, SubmissionSet
from xds.domain.registered import (
    Registered,
    RegisteredAssociation,
    RegisteredEntry,
    RegisteredFolder,
    RegisteredObject,
    RegisteredSet,
)
from xds.store import rows
from xds.store.selecting import ASSOCIATIONS, ENTRIES, FOLDERS, SETS, Condition, named, one_of, selected
from xds.store.tables import association, document_entry, folder, status_change, submission_set

_LOCK = select(func.pg_advisory_xact_lock(func.unnest(bindparam("keys", type_=ARRAY(BigInteger)))))


def lock(connection: Connection, names: Iterable[str]) -> None:
    """Wait until no other transaction holds any of these names; held until the end of the transaction.

    All callers take their keys in ascending order, so that no two wait for each other.
    """
    keys = sorted({int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True) for name in names})
    if keys:
        connection.execute(_LOCK, {"keys": keys})


def entries_by_id(connection: Connection, ids: Iterable[str], *, for_update: bool = False) -> list[RegisteredEntry]:
    """Entries by entryUUID, in the order of registration."""
    return selected(connection, ENTRIES, named("id", ids), for_update=for_update)


def entries_by_unique_id(connection: Connection, unique_ids: Iterable[str]) -> list[RegisteredEntry]:
    """Entries by uniqueId; several may share one."""
    return selected(connection, ENTRIES, one_of("unique_id", unique_ids))


def entries_by_logical_id(
    connection: Connection, ids: Iterable[str], *, for_update: bool = False
) -> list[RegisteredEntry]:
    """All versions of entries."""
    return selected(connection, ENTRIES, named("logical_id", ids), for_update=for_update)


def sets_by_id(connection: Connection, ids: Iterable[str]) -> list[RegisteredSet]:
    """Submission sets by entryUUID, in the order of registration."""
    return selected(connection, SETS, named("id", ids))


def sets_by_unique_id(connection: Connection, unique_ids: Iterable[str]) -> list[RegisteredSet]:
    """Submission sets by uniqueId, at most one each."""
    return selected(connection, SETS, one_of("unique_id", unique_ids))


def folders_by_id(connection: Connection, ids: Iterable[str], *, for_update: bool = False) -> list[RegisteredFolder]:
    """Folders by entryUUID, in the order of registration."""
    return selected(connection, FOLDERS, named("id", ids), for_update=for_update)


def folders_by_unique_id(connection: Connection, unique_ids: Iterable[str]) -> list[RegisteredFolder]:
    """Folders by uniqueId, every version."""
    return selected(connection, FOLDERS, one_of("unique_id", unique_ids))


def folders_by_logical_id(
    connection: Connection, ids: Iterable[str], *, for_update: bool = False
) -> list[RegisteredFolder]:
    """All versions of folders."""
    return selected(connection, FOLDERS, named("logical_id", ids), for_update=for_update)


def by_unique_id(connection: Connection, unique_ids: Sequence[str]) -> list[RegisteredObject]:
    """Entries, sets and folders by uniqueId, every version."""
    return [
        *entries_by_unique_id(connection, unique_ids),
        *sets_by_unique_id(connection, unique_ids),
        *folders_by_unique_id(connection, unique_ids),
    ]


def associations_by_id(connection: Connection, ids: Iterable[str]) -> list[RegisteredAssociation]:
    """Associations by id."""
    return selected(connection, ASSOCIATIONS, named("id", ids))


def associations_from(
    connection: Connection, ids: Iterable[str], types: Iterable[str] | None = None
) -> list[RegisteredAssociation]:
    """Associations whose source is one of the objects, of the given types or of any."""
    return selected(connection, ASSOCIATIONS, named("source", ids), *_of(types))


def associations_to(
    connection: Connection, ids: Iterable[str], types: Iterable[str] | None = None
) -> list[RegisteredAssociation]:
    """Associations whose target is one of the objects, of the given types or of any."""
    return selected(connection, ASSOCIATIONS, named("target", ids), *_of(types))


def objects_by_id(connection: Connection, ids: Sequence[str], *, for_update: bool = False) -> dict[str, Registered]:
    """Objects of every kind by id; unknown ids are absent.

    Args:
        for_update: keep others from changing the entries and folders until the end of the transaction.
    """
    found: list[Registered] = []
    if ids:
        found += entries_by_id(connection, ids, for_update=for_update)
        found += folders_by_id(connection, ids, for_update=for_update)
        found += sets_by_id(connection, ids)
        found += associations_by_id(connection, ids)
    return {each.id: each for each in found}


_DERIVED = text(
    """
    WITH RECURSIVE derived (id) AS (
        SELECT unnest(CAST(:ids AS uuid[]))
        UNION
        SELECT a.source FROM association a JOIN derived d ON a.target = d.id
        WHERE a.type IN (:transforms, :appends) AND a.status = 'Approved')
    SELECT e.id, e.anchor FROM derived JOIN document_entry e USING (id) WHERE e.status = 'Approved'
    """
)


def derived_from(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The approved ones among the entries and everything transformed from or appended to them, at any depth.

    Returns:
        Entry id → anchor.
    """
    parameters = {
        "ids": [rows.to_uuid(each) for each in ids],
        "transforms": AssociationType.TRANSFORMS,
        "appends": AssociationType.APPENDS,
    }
    return {rows.to_urn(row.id): row.anchor for row in connection.execute(_DERIVED, parameters)}


def folders_holding(connection: Connection, entry_id: str, *, for_update: bool = False) -> list[RegisteredFolder]:
    """Approved folders that the entry is an approved member of."""
    members = "id IN (SELECT source FROM association WHERE target = %s AND type = %s AND status = 'Approved')"
    conditions: list[Condition] = [
        (members, (rows.to_uuid(entry_id), AssociationType.HAS_MEMBER.value)),
        ("status = 'Approved'", ()),
    ]
    return selected(connection, FOLDERS, *conditions, for_update=for_update)


def save_described(connection: Connection, items: Iterable[tuple[Described, PatientId, bytes]], now: datetime) -> None:
    """Save entries, sets and folders.

    Args:
        items: each with its anchor and its rendered body.
    """
    by_table: dict[Table, list[dict[str, object]]] = {}
    for item, anchor, body in items:
        by_table.setdefault(_table_of(item), []).append(rows.described_row(item, anchor, body, now))
    for table, values in by_table.items():
        connection.execute(insert(table).inline(), values)


def save_associations(connection: Connection, items: Iterable[tuple[Association, bytes]], now: datetime) -> None:
    """Save associations, each with its rendered body."""
    values = [rows.association_row(item, body, now) for item, body in items]
    if values:
        connection.execute(insert(association).inline(), values)


def set_status(connection: Connection, ids: Sequence[str], status: Availability, now: datetime, caller: str) -> None:
    """Change the status of entries, folders or associations and note it in their history."""
    if not ids:
        return
    keys = [rows.to_uuid(each) for each in ids]
    for table in (document_entry, folder, association):
        connection.execute(update(table).where(table.c.id.in_(keys)).values(status=status))
    connection.execute(
        insert(status_change).inline(),
        [{"object_id": key, "at": now, "status": status, "caller": caller} for key in keys],
    )


def touch_folders(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Set ``lastUpdateTime`` of folders."""
    if ids:
        connection.execute(
            update(folder).where(folder.c.id.in_([rows.to_uuid(each) for each in ids])).values(last_update_time=now)
        )


def _table_of(item: Described) -> Table:
    if isinstance(item, DocumentEntry):
        return document_entry
    return submission_set if isinstance(item, SubmissionSet) else folder


def _of(types: Iterable[str] | None) -> list[Condition]:
    return [] if types is None else [one_of("type", types)]

"""Blocking keys: who might be the same patient, found in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

from mpi.domain.cleaning import Cleaned
from mpi.domain.identity import RecordKey

_LOCK = text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k")
_DELETE = text("DELETE FROM blocking_key WHERE record_id = :record_id")
_INSERT = text(
    "INSERT INTO blocking_key (key, record_id) SELECT k, :record_id FROM unnest(CAST(:keys AS bigint[])) AS k"
)
_CANDIDATES = text(
    """
    SELECT r.id, r.domain, r.local_id, r.cleaned
    FROM record r
    WHERE r.id IN (SELECT b.record_id FROM blocking_key b WHERE b.key = ANY(:keys)) AND r.id <> :record_id
    ORDER BY r.id
    """
)


def lock(connection: Connection, keys: Iterable[int]) -> None:
    """Take the advisory locks of some keys, in sorted order, until the end of the transaction.

    Two records that could be the same patient share a key, so the later one waits and then sees the earlier one.
    """
    connection.execute(_LOCK, {"keys": sorted(set(keys))})


def keys_of(connection: Connection, record_id: int) -> list[int]:
    """The keys under which a record is found."""
    rows = connection.execute(text("SELECT key FROM blocking_key WHERE record_id = :id"), {"id": record_id})
    return [row.key for row in rows]


def replace(connection: Connection, record_id: int, keys: Sequence[int]) -> None:
    """Find the record under these keys from now on; no keys: it is not found any more."""
    connection.execute(_DELETE, {"record_id": record_id})
    add(connection, record_id, keys)


def remove_all(connection: Connection) -> None:
    """Find nobody any more, until keys are written anew."""
    connection.execute(text("DELETE FROM blocking_key"))


def add(connection: Connection, record_id: int, keys: Sequence[int]) -> None:
    """Find a new record under these keys."""
    if keys:
        connection.execute(_INSERT, {"record_id": record_id, "keys": list(set(keys))})


def candidates(connection: Connection, record_id: int, keys: Sequence[int]) -> list[tuple[int, RecordKey, Cleaned]]:
    """Records that share a key with a record, with their matching forms, ordered by id."""
    if not keys:
        return []
    rows = connection.execute(_CANDIDATES, {"record_id": record_id, "keys": list(keys)})
    return [(row.id, RecordKey(row.domain, row.local_id), Cleaned.from_json(row.cleaned)) for row in rows]

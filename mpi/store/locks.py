"""Advisory locks on records by name, so that two messages about one local id are taken one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, text

from mpi.domain.identity import RecordKey


def _number(key: RecordKey) -> int:
    digest = hashlib.blake2b(f"{key.domain}\0{key.local_id}".encode(), digest_size=8, person=b"record").digest()
    return int.from_bytes(digest, "big", signed=True)


def lock_records(connection: Connection, keys: Iterable[RecordKey]) -> None:
    """Wait for and take the locks of some local ids, in sorted order, until the end of the transaction.

    Always taken before the locks on blocking keys, which keeps the two kinds from dead-locking each other.
    """
    connection.execute(
        text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k"),
        {"keys": sorted({_number(key) for key in keys})},
    )

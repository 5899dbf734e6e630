"""What each consumer was last told of a record: the identifiers of its patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, text


def last_told(connection: Connection, subscriber: str, record_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The identifiers last told of some records; one never told of is absent."""
    rows = connection.execute(
        text(
            "SELECT record_id, identifiers FROM notified_reference"
            " WHERE subscriber = :subscriber AND record_id = ANY(:ids)"
        ),
        {"subscriber": subscriber, "ids": list(record_ids)},
    )
    return {row.record_id: tuple(row.identifiers) for row in rows}


def remember(
    connection: Connection, subscriber: str, record_id: int, identifiers: Sequence[str], now: datetime
) -> None:
    """Write down what a consumer has acknowledged."""
    connection.execute(
        text(
            "INSERT INTO notified_reference (subscriber, record_id, identifiers, notified_at)"
            " VALUES (:subscriber, :record_id, :identifiers, :now) ON CONFLICT (subscriber, record_id)"
            " DO UPDATE SET identifiers = excluded.identifiers, notified_at = excluded.notified_at"
        ),
        {"subscriber": subscriber, "record_id": record_id, "identifiers": list(identifiers), "now": now},
    )


def forget(connection: Connection, subscriber: str) -> int:
    """Forget what a consumer was told, so that everything delivered again is told again; returns how many."""
    return connection.execute(
        text("DELETE FROM notified_reference WHERE subscriber = :subscriber"), {"subscriber": subscriber}
    ).rowcount

"""Successions of domains."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from mpi.domain.succession import Succession, Successions

_CURRENT = text(
    "SELECT domain, successor, effective_at, event_id FROM domain_succession WHERE revoked_by IS NULL ORDER BY domain"
)


def current(connection: Connection) -> list[Succession]:
    """All that were not undone, also those that are not in force yet."""
    return [Succession(*row) for row in connection.execute(_CURRENT)]


def in_force(connection: Connection, at: datetime) -> Successions:
    """Those in force at a moment."""
    return Successions(current(connection), at)


def insert(connection: Connection, succession: Succession) -> None:
    """Write one."""
    connection.execute(
        text(
            "INSERT INTO domain_succession (event_id, domain, successor, effective_at)"
            " VALUES (:event_id, :domain, :successor, :effective_at)"
        ),
        {
            "event_id": succession.event_id,
            "domain": succession.domain,
            "successor": succession.successor,
            "effective_at": succession.effective_at,
        },
    )


def revoke(connection: Connection, event_id: int, by: int) -> None:
    """Take one back.

    Args:
        event_id: that recorded it.
        by: the event that takes it back.
    """
    connection.execute(
        text("UPDATE domain_succession SET revoked_by = :by WHERE event_id = :event_id"),
        {"event_id": event_id, "by": by},
    )


def lock(connection: Connection) -> None:
    """Let nobody else write successions until the end of the transaction."""
    connection.execute(text("LOCK TABLE domain_succession IN SHARE ROW EXCLUSIVE MODE"))


def has_heirs(connection: Connection, domain: str) -> bool:
    """Whether records of a domain were renumbered into another domain."""
    found = connection.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM record r JOIN record s ON s.id = r.merged_into"
            " WHERE r.domain = :domain AND s.domain <> r.domain)"
        ),
        {"domain": domain},
    ).scalar_one()
    return bool(found)

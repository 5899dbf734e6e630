"""Answers too long for one message: the ids found, kept until they were fetched, cancelled, or too old."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text


def keep(
    connection: Connection,
    pointer: str,
    *,
    owner: str,
    tag: str,
    kind: str,
    ids: Sequence[int],
    expires_at: datetime,
) -> None:
    """Write a snapshot."""
    connection.execute(
        text(
            "INSERT INTO query_snapshot (pointer, owner, tag, kind, ids, expires_at)"
            " VALUES (:pointer, :owner, :tag, :kind, :ids, :expires_at)"
        ),
        {"pointer": pointer, "owner": owner, "tag": tag, "kind": kind, "ids": list(ids), "expires_at": expires_at},
    )


def get(connection: Connection, pointer: str, *, owner: str, kind: str, now: datetime) -> list[int] | None:
    """The ids of a snapshot that is its owner's and not too old, or ``None``."""
    found: list[int] | None = connection.execute(
        text(
            "SELECT ids FROM query_snapshot WHERE pointer = :pointer AND owner = :owner AND kind = :kind"
            " AND expires_at > :now"
        ),
        {"pointer": pointer, "owner": owner, "kind": kind, "now": now},
    ).scalar()
    return found


def drop(connection: Connection, *, owner: str, tag: str) -> int:
    """Delete the snapshots of a query; returns how many."""
    return connection.execute(
        text("DELETE FROM query_snapshot WHERE owner = :owner AND tag = :tag"), {"owner": owner, "tag": tag}
    ).rowcount


def forget_before(connection: Connection, moment: datetime) -> int:
    """Delete what was too old at a moment; returns how many."""
    return connection.execute(
        text("DELETE FROM query_snapshot WHERE expires_at <= :moment"), {"moment": moment}
    ).rowcount

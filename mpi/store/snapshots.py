"""Answers too long for one message: the ids found, kept until they were fetched, cancelled, or too old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A kept answer.

    Attributes:
        question: the question as asked, or ``None``.
        delivered: how many of the ids were answered.
    """

    pointer: str
    ids: tuple[int, ...]
    question: str | None
    delivered: int


def keep(
    connection: Connection,
    pointer: str,
    *,
    owner: str,
    tag: str,
    kind: str,
    ids: Sequence[int],
    expires_at: datetime,
    question: str | None = None,
    delivered: int = 0,
) -> None:
    """Write a snapshot.

    Args:
        question: the question as asked, where its continuation does not repeat it.
        delivered: how many of the ids were answered.
    """
    connection.execute(
        text(
            "INSERT INTO query_snapshot (pointer, owner, tag, kind, ids, expires_at, question, delivered)"
            " VALUES (:pointer, :owner, :tag, :kind, :ids, :expires_at, :question, :delivered)"
        ),
        {
            "pointer": pointer,
            "owner": owner,
            "tag": tag,
            "kind": kind,
            "ids": list(ids),
            "expires_at": expires_at,
            "question": question,
            "delivered": delivered,
        },
    )


def get(connection: Connection, pointer: str, *, owner: str, kind: str, now: datetime) -> Snapshot | None:
    """A snapshot that is its owner's and not too old, or ``None``."""
    row = connection.execute(
        text(
            "SELECT pointer, ids, question, delivered FROM query_snapshot"
            " WHERE pointer = :pointer AND owner = :owner AND kind = :kind AND expires_at > :now"
        ),
        {"pointer": pointer, "owner": owner, "kind": kind, "now": now},
    ).one_or_none()
    return Snapshot(row.pointer, tuple(row.ids), row.question, row.delivered) if row is not None else None


def latest(connection: Connection, *, owner: str, tag: str, kind: str, now: datetime) -> Snapshot | None:
    """The newest snapshot of a query that is not too old, or ``None``."""
    row = connection.execute(
        text(
            "SELECT pointer, ids, question, delivered FROM query_snapshot"
            " WHERE owner = :owner AND tag = :tag AND kind = :kind AND expires_at > :now"
            " ORDER BY expires_at DESC, pointer LIMIT 1"
        ),
        {"owner": owner, "tag": tag, "kind": kind, "now": now},
    ).one_or_none()
    return Snapshot(row.pointer, tuple(row.ids), row.question, row.delivered) if row is not None else None


def deliver(connection: Connection, pointer: str, delivered: int) -> None:
    """Write down how many ids of a snapshot were answered."""
    connection.execute(
        text("UPDATE query_snapshot SET delivered = :delivered WHERE pointer = :pointer"),
        {"pointer": pointer, "delivered": delivered},
    )


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

"""What stewards said about tasks: votes, comments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class StoredVote:
    """An answer as kept.

    Attributes:
        site: domain code; empty for the region.
        answer: ``same``, ``different`` or ``unknown``.
        withdrawn_event_id: what took it back, or ``None`` while it counts.
    """

    id: int
    task_id: int
    site: str
    by: str
    at: datetime
    answer: str
    reason: str
    event_id: int
    withdrawn_event_id: int | None


_COLUMNS = "id, task_id, site, by, at, answer, reason, event_id, withdrawn_event_id"


def add(
    connection: Connection,
    task_id: int,
    *,
    site: str,
    by: str,
    at: datetime,
    answer: str,
    reason: str,
    event_id: int,
) -> None:
    """Keep an answer."""
    connection.execute(
        text(
            "INSERT INTO task_vote (task_id, site, by, at, answer, reason, event_id)"
            " VALUES (:task_id, :site, :by, :at, :answer, :reason, :event_id)"
        ),
        {
            "task_id": task_id,
            "site": site,
            "by": by,
            "at": at,
            "answer": answer,
            "reason": reason,
            "event_id": event_id,
        },
    )


def of_tasks(connection: Connection, task_ids: Iterable[int]) -> list[StoredVote]:
    """All answers to some tasks, withdrawn ones too, oldest first."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM task_vote WHERE task_id = ANY(:ids) ORDER BY id"), {"ids": list(task_ids)}
    )
    return [StoredVote(*row) for row in rows]


def of_event(connection: Connection, event_id: int) -> StoredVote | None:
    """The answer that an event wrote, or ``None``."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM task_vote WHERE event_id = :event_id"), {"event_id": event_id}
    ).one_or_none()
    return StoredVote(*row) if row else None


def withdraw(connection: Connection, vote_id: int, event_id: int | None) -> None:
    """Take an answer back, or (``None``) let it count again."""
    connection.execute(
        text("UPDATE task_vote SET withdrawn_event_id = :event_id WHERE id = :id"),
        {"id": vote_id, "event_id": event_id},
    )


@dataclass(frozen=True, slots=True)
class Comment:
    """What a steward wrote to the others."""

    at: datetime
    by: str
    site: str
    words: str


def comment(connection: Connection, task_id: int, *, at: datetime, by: str, site: str, words: str) -> None:
    """Keep a comment."""
    connection.execute(
        text("INSERT INTO task_comment (task_id, at, by, site, words) VALUES (:task_id, :at, :by, :site, :words)"),
        {"task_id": task_id, "at": at, "by": by, "site": site, "words": words},
    )


def comments(connection: Connection, task_id: int) -> list[Comment]:
    """The comments on a task, oldest first."""
    rows = connection.execute(
        text("SELECT at, by, site, words FROM task_comment WHERE task_id = :id ORDER BY id"), {"id": task_id}
    )
    return [Comment(*row) for row in rows]

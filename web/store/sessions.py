"""Sessions: found by the hash of the token that only the browser holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def begin(connection: Connection, token: str, content: Mapping[str, Any], now: datetime) -> None:
    """Keep a new session."""
    connection.execute(
        text(
            "INSERT INTO web_session (token_hash, content, begun_at, seen_at)"
            " VALUES (:hash, CAST(:content AS jsonb), :now, :now)"
        ),
        {"hash": _hash(token), "content": orjson.dumps(content).decode(), "now": now},
    )


def find(connection: Connection, token: str, *, begun_after: datetime, seen_after: datetime) -> Any | None:
    """The content of a session that is neither too old nor idle for too long, or ``None``."""
    return connection.execute(
        text(
            "SELECT content FROM web_session WHERE token_hash = :hash AND begun_at > :begun_after"
            " AND seen_at > :seen_after"
        ),
        {"hash": _hash(token), "begun_after": begun_after, "seen_after": seen_after},
    ).scalar()


def touch(connection: Connection, token: str, now: datetime, *, not_since: datetime) -> None:
    """Note that a session is in use, unless that was noted a moment ago."""
    connection.execute(
        text("UPDATE web_session SET seen_at = :now WHERE token_hash = :hash AND seen_at < :not_since"),
        {"hash": _hash(token), "now": now, "not_since": not_since},
    )


def change(connection: Connection, token: str, content: Mapping[str, Any]) -> None:
    """Replace the content of a session."""
    connection.execute(
        text("UPDATE web_session SET content = CAST(:content AS jsonb) WHERE token_hash = :hash"),
        {"hash": _hash(token), "content": orjson.dumps(content).decode()},
    )


def end(connection: Connection, token: str) -> None:
    """End a session: its token opens nothing any more."""
    connection.execute(text("DELETE FROM web_session WHERE token_hash = :hash"), {"hash": _hash(token)})


def forget_before(connection: Connection, moment: datetime) -> int:
    """Delete sessions not used since a moment; returns how many."""
    return connection.execute(text("DELETE FROM web_session WHERE seen_at <= :moment"), {"moment": moment}).rowcount

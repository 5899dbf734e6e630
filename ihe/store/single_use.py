"""Assertions that count once, and have been used; shared by all processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, text

from ihe.claims import SingleUse
from ihe.store.tables import used_assertion


def use(connection: Connection, assertion: SingleUse, now: datetime) -> bool:
    """Use an assertion; ``False`` when it has been used before. Of two at once, the later one waits and is told so."""
    added = connection.execute(
        text(
            "INSERT INTO used_assertion (name, until, used_at) VALUES (:name, :until, :now) ON CONFLICT DO NOTHING"
            " RETURNING name"
        ),
        {"name": assertion.name, "until": assertion.until, "now": now},
    )
    return added.scalar() is not None


def forget_expired(connection: Connection, now: datetime) -> int:
    """Forget those that have expired anyway; returns how many."""
    return connection.execute(delete(used_assertion).where(used_assertion.c.until < now)).rowcount

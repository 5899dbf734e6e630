"""How far each collector of the audit trail was served."""

from __future__ import annotations

from sqlalchemy import Connection, select, text, update
from sqlalchemy.dialects.postgresql import insert

from ihe.store.tables import audit_collector

_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 7504))")


def lock(connection: Connection, name: str) -> bool:
    """Be the only one that serves a collector until the commit; whether that could be had."""
    return bool(connection.execute(_LOCK, {"name": name}).scalar_one())


def confirmed(connection: Connection, name: str) -> tuple[int, int]:
    """The position that a collector has confirmed, and the one before its last batch."""
    added = insert(audit_collector).values(name=name, position=0, previous_position=0)
    connection.execute(added.on_conflict_do_nothing())
    row = connection.execute(select(audit_collector).where(audit_collector.c.name == name)).one()
    return row.position, row.previous_position


def confirm(connection: Connection, name: str, previous_position: int, position: int) -> None:
    """A collector has read a batch to its end."""
    one = update(audit_collector).where(audit_collector.c.name == name)
    connection.execute(one.values(previous_position=previous_position, position=position))

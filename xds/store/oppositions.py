"""Oppositions of patients to the sharing of their documents, kept with their history."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, text


def state(connection: Connection, patient_id: str, now: datetime, by: str) -> None:
    """Write one down; nothing changes when it is in force already."""
    connection.execute(
        text(
            "INSERT INTO opposition (patient_id, stated_at, stated_by) VALUES (:patient_id, :now, :by)"
            " ON CONFLICT (patient_id) WHERE withdrawn_at IS NULL DO NOTHING"
        ),
        {"patient_id": patient_id, "now": now, "by": by},
    )


def withdraw(connection: Connection, patient_ids: Collection[str], now: datetime, by: str) -> int:
    """End those in force for any of a person's identifiers (CX); returns how many."""
    return connection.execute(
        text(
            "UPDATE opposition SET withdrawn_at = :now, withdrawn_by = :by"
            " WHERE patient_id = ANY(:patient_ids) AND withdrawn_at IS NULL"
        ),
        {"patient_ids": list(patient_ids), "now": now, "by": by},
    ).rowcount


def is_opposed(connection: Connection, patient_ids: Collection[str]) -> bool:
    """Whether one is in force for any of a person's identifiers (CX)."""
    found = connection.execute(
        text("SELECT EXISTS (SELECT FROM opposition WHERE patient_id = ANY(:patient_ids) AND withdrawn_at IS NULL)"),
        {"patient_ids": list(patient_ids)},
    ).scalar_one()
    return bool(found)

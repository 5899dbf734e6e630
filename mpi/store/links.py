"""Links of records to persons, with their history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from mpi.store.traits_json import json_text


@dataclass(frozen=True, slots=True)
class Assignment:
    """To which person a record belongs, and why.

    Attributes:
        grade: ``certain`` or ``probable``; ``None`` for a record alone or a founder.
        how: ``alone``, ``score``, ``ins``, ``steward``, ``message`` or ``merge``.
        evidence: partner record, weight, decision: what explains the link later.
        model: version of the model, where one decided.
    """

    record_id: int
    person_id: int
    grade: str | None
    how: str
    evidence: Mapping[str, Any]
    model: str | None = None


def assign(connection: Connection, assignments: Iterable[Assignment], *, event_id: int, by: str, now: datetime) -> None:
    """Move records to persons: the former link ends, the new one begins, at the same moment."""
    rows = [
        {
            "record_id": a.record_id,
            "person_id": a.person_id,
            "grade": a.grade,
            "how": a.how,
            "evidence": json_text(dict(a.evidence)),
            "model": a.model,
            "event_id": event_id,
            "by": by,
            "now": now,
        }
        for a in assignments
    ]
    if not rows:
        return
    connection.execute(text("UPDATE link SET valid_to = :now WHERE record_id = :record_id AND valid_to IS NULL"), rows)
    connection.execute(
        text(
            "INSERT INTO link (record_id, person_id, grade, how, evidence, model, event_id, linked_by, valid_from)"
            " VALUES (:record_id, :person_id, :grade, :how, CAST(:evidence AS jsonb), :model, :event_id, :by, :now)"
        ),
        rows,
    )
    connection.execute(
        text("UPDATE record SET person_id = :person_id, grade = :grade, updated_at = :now WHERE id = :record_id"),
        rows,
    )


def linked(connection: Connection, record_ids: Iterable[int]) -> set[int]:
    """Those of some records that have a link in force (a record just created has none yet)."""
    rows = connection.execute(
        text("SELECT record_id FROM link WHERE record_id = ANY(:ids) AND valid_to IS NULL"), {"ids": list(record_ids)}
    )
    return {row.record_id for row in rows}


@dataclass(frozen=True, slots=True)
class LinkHistory:
    """One period of a record's link."""

    record_id: int
    person_id: int
    grade: str | None
    how: str
    evidence: Mapping[str, Any]
    model: str | None
    event_id: int
    linked_by: str
    valid_from: datetime
    valid_to: datetime | None


def history(connection: Connection, record_id: int) -> list[LinkHistory]:
    """All links a record has had, oldest first."""
    rows = connection.execute(
        text(
            "SELECT record_id, person_id, grade, how, evidence, model, event_id, linked_by, valid_from, valid_to"
            " FROM link WHERE record_id = :id ORDER BY valid_from, id"
        ),
        {"id": record_id},
    )
    return [LinkHistory(*row) for row in rows]

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


_ASSIGN = text(
    """
    WITH given AS (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:persons AS bigint[]), CAST(:grades AS text[]),
            CAST(:hows AS text[]), CAST(:evidence AS text[]), CAST(:models AS text[]))
            AS t(record_id, person_id, grade, how, evidence, model)
    ), moved AS (
        UPDATE record r SET person_id = g.person_id, grade = g.grade, updated_at = :now
        FROM given g WHERE r.id = g.record_id AND (r.person_id, r.grade) IS DISTINCT FROM (g.person_id, g.grade)
    ), closed AS (
        UPDATE link SET valid_to = :now WHERE record_id = ANY(:ids) AND valid_to IS NULL RETURNING id
    )
    INSERT INTO link (record_id, person_id, grade, how, evidence, model, event_id, linked_by, valid_from)
    SELECT record_id, person_id, grade, how, CAST(evidence AS jsonb), model, :event_id, :by, :now FROM given
    -- The former links end before the new ones begin: only one may be in force.
    WHERE (SELECT count(*) FROM closed) >= 0
    """
)


def assign(connection: Connection, assignments: Iterable[Assignment], *, event_id: int, by: str, now: datetime) -> None:
    """Move records to persons: the former link ends, the new one begins, at the same moment."""
    rows = list(assignments)
    if not rows:
        return
    columns = {
        "ids": [a.record_id for a in rows],
        "persons": [a.person_id for a in rows],
        "grades": [a.grade for a in rows],
        "hows": [a.how for a in rows],
        "evidence": [json_text(dict(a.evidence)) for a in rows],
        "models": [a.model for a in rows],
    }
    connection.execute(_ASSIGN, {**columns, "event_id": event_id, "by": by, "now": now})


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


def persons_on(connection: Connection, record_ids: Iterable[int], moment: datetime) -> set[int]:
    """The persons to whom records were linked at a past moment."""
    statement = (
        "SELECT DISTINCT person_id FROM link WHERE record_id = ANY(:ids)"
        " AND valid_from <= :moment AND (valid_to IS NULL OR valid_to > :moment)"
    )
    return set(connection.execute(text(statement), {"ids": list(record_ids), "moment": moment}).scalars())


def members_on(connection: Connection, person_id: int, moment: datetime) -> list[int]:
    """The records that were linked to a person at a past moment."""
    statement = (
        "SELECT record_id FROM link WHERE person_id = :person_id"
        " AND valid_from <= :moment AND (valid_to IS NULL OR valid_to > :moment) ORDER BY record_id"
    )
    return list(connection.execute(text(statement), {"person_id": person_id, "moment": moment}).scalars())


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


def members_at(connection: Connection, person_id: int, moment: datetime) -> list[int]:
    """The records that belonged to a person at a moment."""
    rows = connection.execute(
        text(
            "SELECT record_id FROM link WHERE person_id = :person AND valid_from <= :moment"
            " AND (valid_to IS NULL OR valid_to > :moment) ORDER BY record_id"
        ),
        {"person": person_id, "moment": moment},
    )
    return [row.record_id for row in rows]

"""What patients want, kept with its history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from ihe.unit_of_work import UnitOfWork
from mpi.domain.consent import Consent, Stance, Statement, Subject, Way

_COLUMNS = """id, patient_id, subject, professional, stance, since, is_dated, how, stated_at, stated_by, stated_for,
    ended_at, ended_by, (SELECT min(f.id) FROM consent f WHERE f.patient_id = consent.patient_id
    AND f.subject = consent.subject AND f.professional = consent.professional) AS first_id"""


def _consent(row: Row[Any]) -> Consent:
    values = dict(row._mapping)
    return Consent(
        **{
            **values,
            "subject": Subject(values["subject"]),
            "stance": Stance(values["stance"]),
            "how": Way(values["how"]),
        }
    )


def told(connection: Connection, patient_id: str, statement: Statement) -> list[Consent]:
    """Everything stated for an identifier about the same, oldest first; locked against others who would state."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"),
        {"key": f"consent {patient_id} {statement.subject} {statement.professional}"},
    )
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM consent WHERE patient_id = :patient_id AND subject = :subject"
            " AND professional = :professional ORDER BY id"
        ),
        {"patient_id": patient_id, "subject": statement.subject, "professional": statement.professional},
    )
    return [_consent(row) for row in rows]


def add(
    connection: Connection, patient_id: str, statement: Statement, *, how: Way, now: datetime, by: str, site: str | None
) -> int:
    """Write a statement down, in place of the one in force; returns its id."""
    parameters = {
        "patient_id": patient_id,
        "subject": statement.subject,
        "professional": statement.professional,
        "stance": statement.stance,
        "since": statement.since or now,
        "is_dated": statement.since is not None,
        "how": how,
        "now": now,
        "by": by,
        "site": site,
    }
    connection.execute(
        text(
            "UPDATE consent SET ended_at = :now, ended_by = :by WHERE patient_id = :patient_id"
            " AND subject = :subject AND professional = :professional AND ended_at IS NULL"
        ),
        parameters,
    )
    added: int = connection.execute(
        text(
            "INSERT INTO consent (patient_id, subject, professional, stance, since, is_dated, how, stated_at,"
            " stated_by, stated_for) VALUES (:patient_id, :subject, :professional, :stance, :since, :is_dated, :how,"
            " :now, :by, :site) RETURNING id"
        ),
        parameters,
    ).scalar_one()
    return added


def in_force(connection: Connection, patient_ids: Collection[str]) -> list[Consent]:
    """What holds for any of a person's identifiers (CX), oldest first."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM consent WHERE patient_id = ANY(:ids) AND ended_at IS NULL ORDER BY id"),
        {"ids": list(patient_ids)},
    )
    return [_consent(row) for row in rows]


def history(connection: Connection, patient_ids: Collection[str]) -> list[Consent]:
    """Everything that was ever stated for any of a person's identifiers (CX), latest first."""
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM consent WHERE patient_id = ANY(:ids) ORDER BY id DESC"),
        {"ids": list(patient_ids)},
    )
    return [_consent(row) for row in rows]


def by_id(connection: Connection, consent_id: int) -> Consent | None:
    """One statement, in force or not."""
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM consent WHERE id = :id"), {"id": consent_id}).one_or_none()
    return _consent(row) if row else None


def wanted(uow: UnitOfWork, patient_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Subject and professional of each opposition in force for any of a person's identifiers (CX)."""
    rows = uow.ask(
        "SELECT subject, professional FROM consent"
        " WHERE patient_id = ANY(%s) AND ended_at IS NULL AND stance = 'opposes'",
        (list(patient_ids),),
    )
    return [(row[0], row[1]) for row in rows]


def set_opposes_indexing(connection: Connection, record_id: int, *, opposes: bool) -> None:
    """Hide a record whose patient opposes, or show it again."""
    connection.execute(
        text("UPDATE record SET opposes_indexing = :opposes WHERE id = :id"), {"opposes": opposes, "id": record_id}
    )

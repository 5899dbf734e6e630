"""Patients as another index feeds them: identifiers of the affinity domain, their merges, and local ids linked to them.

Merges keep their chain: a subsumed identifier stays with the one that took it in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class FedPatient:
    """One identifier of the affinity domain (CX); ``merged_into`` is that of the survivor, or ``None``."""

    patient_id: str
    merged_into: str | None


def find(connection: Connection, patient_id: str, *, lock: bool = False) -> FedPatient | None:
    """An identifier of the affinity domain as it was fed, or ``None``."""
    statement = "SELECT patient_id, merged_into FROM fed_patient WHERE patient_id = :id" + (" FOR UPDATE" * lock)
    row = connection.execute(text(statement), {"id": patient_id}).one_or_none()
    return FedPatient(*row) if row else None


def linked_to(connection: Connection, local_id: str) -> str | None:
    """The identifier of the affinity domain that a local id is linked to, at the end of its merges; or ``None``."""
    return connection.execute(
        text(
            "WITH RECURSIVE chain AS ("
            " SELECT p.patient_id, p.merged_into FROM fed_link l JOIN fed_patient p USING (patient_id)"
            " WHERE l.local_id = :id UNION"
            " SELECT p.patient_id, p.merged_into FROM chain c JOIN fed_patient p ON p.patient_id = c.merged_into)"
            " SELECT patient_id FROM chain WHERE merged_into IS NULL"
        ),
        {"id": local_id},
    ).scalar_one_or_none()


def identifiers_of(connection: Connection, patient_id: str) -> list[str]:
    """A patient's identifier, those it took in, and the local ids linked to any of them (CX)."""
    return list(
        connection.execute(
            text(
                "WITH RECURSIVE chain AS ("
                " SELECT patient_id FROM fed_patient WHERE patient_id = :id UNION"
                " SELECT p.patient_id FROM chain c JOIN fed_patient p ON p.merged_into = c.patient_id)"
                " SELECT patient_id FROM chain"
                " UNION ALL SELECT l.local_id FROM chain JOIN fed_link l USING (patient_id)"
            ),
            {"id": patient_id},
        ).scalars()
    )


def add(connection: Connection, patient_id: str, now: datetime) -> None:
    """Write an identifier down; nothing changes when it is known."""
    statement = "INSERT INTO fed_patient (patient_id, fed_at) VALUES (:id, :now) ON CONFLICT DO NOTHING"
    connection.execute(text(statement), {"id": patient_id, "now": now})


def merge(connection: Connection, subsumed: str, survivor: str, now: datetime) -> None:
    """Let one identifier take in another."""
    statement = "UPDATE fed_patient SET merged_into = :survivor, merged_at = :now WHERE patient_id = :subsumed"
    connection.execute(text(statement), {"subsumed": subsumed, "survivor": survivor, "now": now})


def link(connection: Connection, local_ids: Collection[str], patient_id: str, now: datetime) -> None:
    """Link local ids to a patient; documents that came from them follow them from now on."""
    values = {"locals": list(local_ids), "id": patient_id, "now": now}
    for statement in _LINK:
        connection.execute(statement, values)


_FOLLOWERS = """
    UPDATE {table} o SET anchor = m.anchor FROM (
        SELECT a.source, min(e.anchor) AS anchor FROM association a JOIN document_entry e ON e.id = a.target
        WHERE a.type = 'urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember' AND a.source IN (
            SELECT a.source FROM association a JOIN document_entry e ON e.id = a.target
            WHERE e.source_patient_id = ANY(:locals))
        GROUP BY a.source HAVING min(e.anchor) = max(e.anchor)
    ) m WHERE o.id = m.source AND o.anchor <> m.anchor
"""
_LINK = (
    text(
        "INSERT INTO fed_link (local_id, patient_id, told_at) SELECT unnest(CAST(:locals AS text[])), :id, :now"
        " ON CONFLICT (local_id) DO UPDATE SET patient_id = excluded.patient_id, told_at = excluded.told_at"
    ),
    text(
        "UPDATE document_entry SET anchor = source_patient_id"
        " WHERE source_patient_id = ANY(:locals) AND anchor <> source_patient_id"
    ),
    text(_FOLLOWERS.format(table="submission_set")),
    text(_FOLLOWERS.format(table="folder")),
)
"""Metadata stays as it was submitted; only whom an object follows changes, from the patient named to its source."""

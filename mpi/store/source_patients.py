"""The logical ids under which sources of FHIR messages tell of their patients."""

from __future__ import annotations

from sqlalchemy import Connection, text

from mpi.domain.identity import RecordKey


def remember(connection: Connection, source: str, logical_id: str, key: RecordKey) -> None:
    """Note which patient a source means by a logical id."""
    connection.execute(
        text(
            "INSERT INTO source_patient (source, logical_id, domain, local_id)"
            " VALUES (:source, :logical_id, :domain, :local_id) ON CONFLICT (source, logical_id)"
            " DO UPDATE SET domain = excluded.domain, local_id = excluded.local_id"
        ),
        {"source": source, "logical_id": logical_id, "domain": key.domain, "local_id": key.local_id},
    )


def key_of(connection: Connection, source: str, logical_id: str) -> RecordKey | None:
    """The patient that a source means, or ``None`` when it never told."""
    row = connection.execute(
        text("SELECT domain, local_id FROM source_patient WHERE source = :source AND logical_id = :logical_id"),
        {"source": source, "logical_id": logical_id},
    ).one_or_none()
    return RecordKey(row.domain, row.local_id) if row else None

"""What an operator should know of manifests: what differs from their metadata, and ids without issuer.

Notices hang on the document: they are shown while its entry is approved, and go with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Notice:
    """One of them; it holds no patient data.

    Attributes:
        site: that provided the manifest, or ``None`` when the sender is of none.
        study_uid: the study that the manifest lists, or ``None``.
        anchor: identifier of the patient, as the registry keeps it.
        taken_by: who has it in hand, or ``None``.
        settled_at: when somebody said that it is dealt with, or ``None``: it waits.
        words: what they said.
    """

    id: int
    at: datetime
    site: str | None
    study_uid: str | None
    document_unique_id: str
    problem: str
    anchor: str
    taken_by: str | None
    settled_by: str | None
    settled_at: datetime | None
    words: str


def note(connection: Connection, now: datetime, site: str | None, document_unique_id: str, problem: str) -> None:
    """Keep one; the same again changes nothing.

    Args:
        document_unique_id: of a manifest that is kept.
        problem: a sentence without patient data.
    """
    connection.execute(
        text(
            "INSERT INTO imaging_notice (at, site, document_unique_id, problem)"
            " VALUES (:now, :site, :document, :problem) ON CONFLICT DO NOTHING"
        ),
        {"now": now, "site": site, "document": document_unique_id, "problem": problem},
    )


_CURRENT = """
    SELECT notice.id, notice.at, notice.site, min(study.study_uid), notice.document_unique_id, notice.problem,
        entry.patient_id, notice.taken_by, notice.settled_by, notice.settled_at, notice.words
    FROM imaging_notice AS notice
    JOIN document_entry AS entry ON entry.unique_id = notice.document_unique_id AND entry.status = 'Approved'
    LEFT JOIN imaging_study AS study ON study.document_unique_id = notice.document_unique_id
"""


def current(connection: Connection, most: int, *, site: str | None = None, settled: bool | None = None) -> list[Notice]:
    """Those of manifests that are in force, the latest first.

    Args:
        site: of this one only.
        settled: only those that are dealt with, or only those that are not.
    """
    conditions, values = ["true"], {"most": most, "site": site}
    if site is not None:
        conditions.append("notice.site = :site")
    if settled is not None:
        conditions.append(f"notice.settled_at IS {'NOT ' * settled}NULL")
    rows = connection.execute(
        text(
            f"{_CURRENT} WHERE {' AND '.join(conditions)} GROUP BY notice.id, entry.patient_id"
            " ORDER BY notice.at DESC, notice.id DESC LIMIT :most"
        ),
        values,
    )
    return [Notice(*row) for row in rows]


def waiting(connection: Connection) -> dict[str | None, int]:
    """How many of manifests in force nobody has dealt with, by site."""
    rows = connection.execute(
        text(
            "SELECT notice.site, count(*) AS n FROM imaging_notice AS notice WHERE notice.settled_at IS NULL AND EXISTS"
            " (SELECT 1 FROM document_entry AS entry WHERE entry.unique_id = notice.document_unique_id"
            " AND entry.status = 'Approved') GROUP BY notice.site"
        )
    )
    return {row.site: row.n for row in rows}


def take(connection: Connection, notice_id: int, site: str | None, by: str) -> str | None:
    """Take one in hand unless somebody else has it; returns who has it now, ``None`` when there is no such notice."""
    changes = "taken_by = coalesce(taken_by, :by)"
    holder: str | None = _written(connection, changes, "settled_at IS NULL", "taken_by", notice_id, site, by=by)
    return holder


def release(connection: Connection, notice_id: int, site: str | None) -> None:
    """Let go of one."""
    _written(connection, "taken_by = NULL", "true", "id", notice_id, site)


def settle(connection: Connection, notice_id: int, site: str | None, by: str, words: str, now: datetime) -> bool:
    """Say what became of one; ``False`` when it does not wait, or is in the hands of somebody else."""
    changes = "settled_by = :by, settled_at = :now, words = :words, taken_by = NULL"
    condition = "settled_at IS NULL AND coalesce(taken_by, :by) = :by"
    return _written(connection, changes, condition, "id", notice_id, site, by=by, words=words, now=now) is not None


def reopen(connection: Connection, notice_id: int, site: str | None) -> bool:
    """Take back that one is dealt with; ``False`` when it is not."""
    changes = "settled_by = NULL, settled_at = NULL, words = ''"
    return _written(connection, changes, "settled_at IS NOT NULL", "id", notice_id, site) is not None


def _written(
    connection: Connection,
    changes: str,
    condition: str,
    answer: str,
    notice_id: int,
    site: str | None,
    **values: Any,
) -> Any:
    return connection.execute(
        text(
            f"UPDATE imaging_notice SET {changes} WHERE id = :id AND {condition}"
            f" AND (CAST(:site AS text) IS NULL OR site = :site) RETURNING {answer}"
        ),
        {"id": notice_id, "site": site, **values},
    ).scalar()

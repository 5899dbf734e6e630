"""What an operator should know of manifests: what differs from their metadata, and ids without issuer.

Notices hang on the document: they are shown while its entry is approved, and go with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Notice:
    """One of them; it holds no patient data.

    Attributes:
        site: that provided the manifest, or ``None`` when the sender is of none.
        study_uid: the study that the manifest lists, or ``None``.
    """

    at: datetime
    site: str | None
    study_uid: str | None
    document_unique_id: str
    problem: str


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


def current(connection: Connection, most: int) -> list[Notice]:
    """Those of manifests that are in force, the latest first."""
    rows = connection.execute(
        text(
            "SELECT notice.at, notice.site, min(study.study_uid), notice.document_unique_id, notice.problem"
            " FROM imaging_notice AS notice"
            " JOIN document_entry AS entry ON entry.unique_id = notice.document_unique_id"
            " AND entry.status = 'Approved'"
            " LEFT JOIN imaging_study AS study ON study.document_unique_id = notice.document_unique_id"
            " GROUP BY notice.id ORDER BY notice.at DESC, notice.id DESC LIMIT :most"
        ),
        {"most": most},
    )
    return [Notice(*row) for row in rows]

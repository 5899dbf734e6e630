"""What was read in the name of an emergency: told to the regional officer once, and reviewed.

One row for each day, person, site, purpose, reason and patient; every single request stands in the audit trail.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from ihe.unit_of_work import UnitOfWork

EVENT_KIND: Final = "emergency.declared"
VERDICTS: Final = ("justified", "unjustified")
_COLUMNS: Final = """id, purpose, node, site, user_id, patient, reason, first_at, last_at, requests, verdict, comment,
    reviewed_at, reviewed_by"""


@dataclass(frozen=True, slots=True)
class EmergencyAccess:
    """Somebody's emergency.

    Attributes:
        site, reason: empty where none was told.
        patient: as audited; empty where only documents were named.
        requests: how many were made.
        verdict: one of :data:`VERDICTS`, or ``None`` while it waits for a review.
    """

    id: int
    purpose: str
    node: str
    site: str
    user_id: str
    patient: str
    reason: str
    first_at: datetime
    last_at: datetime
    requests: int
    verdict: str | None
    comment: str | None
    reviewed_at: datetime | None
    reviewed_by: str | None


def note(uow: UnitOfWork) -> None:
    """Write down that the unit's caller read in an emergency; the first time that day it is announced."""
    caller = uow.caller
    patients = [str(each["id"]) for each in uow.trail.objects if each["kind"] == "patient"]
    row = uow.connection.execute(
        text(
            "INSERT INTO emergency_access AS e (day, purpose, node, site, user_id, patient, reason, first_at, last_at,"
            " requests) VALUES (CAST(:now AS timestamptz)::date, :purpose, :node, :site, :user_id, :patient, :reason,"
            " :now, :now, 1) ON CONFLICT (day, purpose, user_id, site, patient, md5(reason))"
            " DO UPDATE SET last_at = excluded.last_at, requests = e.requests + 1 RETURNING id, requests"
        ),
        {
            "now": uow.now,
            "purpose": caller.purpose,
            "node": caller.node,
            "site": caller.site or "",
            "user_id": caller.user or "",
            "patient": patients[0] if patients else "",
            "reason": caller.reason or "",
        },
    ).one()
    if row.requests == 1:
        uow.publish(EVENT_KIND, f"emergency/{row.id}", {"id": row.id, "purpose": caller.purpose, "site": caller.site})


def listed(connection: Connection, *, waiting: bool, limit: int = 200) -> list[EmergencyAccess]:
    """Those that wait for a review, oldest first, or those reviewed, latest first."""
    condition = "verdict IS NULL ORDER BY id" if waiting else "verdict IS NOT NULL ORDER BY reviewed_at DESC, id DESC"
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM emergency_access WHERE {condition} LIMIT :limit"), {"limit": limit}
    )
    return [EmergencyAccess(*row) for row in rows]


def by_id(connection: Connection, access_id: int) -> EmergencyAccess | None:
    """One of them."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM emergency_access WHERE id = :id"), {"id": access_id}
    ).one_or_none()
    return EmergencyAccess(*row) if row else None


def review(uow: UnitOfWork, access_id: int, verdict: str, comment: str) -> bool:
    """Write down what the officer says; false when there is none that waits."""
    written = uow.connection.execute(
        text(
            "UPDATE emergency_access SET verdict = :verdict, comment = :comment, reviewed_at = :now, reviewed_by = :by"
            " WHERE id = :id AND verdict IS NULL"
        ),
        {"id": access_id, "verdict": verdict, "comment": comment, "now": uow.now, "by": uow.caller.label},
    )
    return written.rowcount == 1


def forget_before(connection: Connection, moment: datetime) -> int:
    """Delete what was reviewed and is older than a moment; returns how many. What waits for a review stays."""
    done = "DELETE FROM emergency_access WHERE verdict IS NOT NULL AND last_at < :moment"
    return connection.execute(text(done), {"moment": moment}).rowcount

"""Identifiers by which other communities know our patients, each for as long as it may be remembered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from ihe.values import AssigningAuthority, Oid, PatientId
from mpi.domain.community import Correlation, PatientLocation

_OF_PERSON = text(
    """
    SELECT DISTINCT ON (c.home) c.record_id, c.home, c.authority, c.value, c.found_at, c.expires_at
    FROM correlation c JOIN record r ON r.id = c.record_id
    WHERE r.person_id = :person_id AND r.state <> 'withdrawn' AND c.expires_at > :now
    ORDER BY c.home, c.found_at DESC, c.record_id
    """
)
_KEEP = text(
    """
    INSERT INTO correlation (record_id, home, authority, value, found_at, expires_at)
    VALUES (:record_id, :home, :authority, :value, :found_at, :expires_at)
    ON CONFLICT (record_id, home) DO UPDATE SET authority = excluded.authority, value = excluded.value,
        found_at = excluded.found_at, expires_at = excluded.expires_at
    """
)


def of_person(connection: Connection, person_id: int, now: datetime) -> list[Correlation]:
    """The latest of each community, by homeCommunityId, that may still be remembered."""
    return [
        Correlation(
            row.record_id,
            PatientLocation(Oid(row.home), PatientId(row.value, AssigningAuthority(oid=Oid(row.authority)))),
            row.found_at,
            row.expires_at,
        )
        for row in connection.execute(_OF_PERSON, {"person_id": person_id, "now": now})
    ]


def keep(connection: Connection, correlation: Correlation) -> None:
    """Write one, in place of the former one of its record and community."""
    location = correlation.location
    connection.execute(
        _KEEP,
        {
            "record_id": correlation.record_id,
            "home": str(location.home),
            "authority": str(location.patient_id.authority.oid),
            "value": location.patient_id.value,
            "found_at": correlation.found_at,
            "expires_at": correlation.expires_at,
        },
    )


def forget(connection: Connection, record_id: int, home: Oid) -> None:
    """Forget what a community said of a record."""
    connection.execute(
        text("DELETE FROM correlation WHERE record_id = :record_id AND home = :home"),
        {"record_id": record_id, "home": str(home)},
    )


def forget_before(connection: Connection, now: datetime) -> int:
    """Forget what is out of date; returns how many."""
    return connection.execute(text("DELETE FROM correlation WHERE expires_at <= :now"), {"now": now}).rowcount

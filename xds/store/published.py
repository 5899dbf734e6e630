"""What the publisher has seen in each archive and what it has registered of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class WatchedStudy:
    """A study of an archive.

    Attributes:
        instances: as last counted.
        since: when that count was first seen.
        published_instances: how many the registered manifest lists; ``None`` when none is registered.
        document_unique_id: of the last registered manifest, or ``None``.
        waits_for: why it is not registered, or ``None``.
    """

    study_uid: str
    instances: int
    since: datetime
    published_instances: int | None
    document_unique_id: str | None
    waits_for: str | None


def lock(connection: Connection, site: str) -> bool:
    """Be the only publisher of a site until the commit; whether that could be had."""
    found = connection.execute(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended(:site, 7511))"), {"site": site}
    ).scalar_one()
    return bool(found)


def of_site(connection: Connection, site: str) -> dict[str, WatchedStudy]:
    """Every study seen in a site's archive, by UID."""
    rows = connection.execute(
        text(
            "SELECT study_uid, instances, since, published_instances, document_unique_id, waits_for"
            " FROM published_study WHERE site = :site"
        ),
        {"site": site},
    )
    return {row.study_uid: WatchedStudy(*row) for row in rows}


def hold(connection: Connection, site: str, seen: WatchedStudy) -> bool:
    """Be the only publisher of a study until the commit, if it still is as it was seen; whether that could be had."""
    row = connection.execute(
        text(
            "SELECT instances, published_instances, document_unique_id FROM published_study"
            " WHERE site = :site AND study_uid = :uid FOR UPDATE SKIP LOCKED"
        ),
        {"site": site, "uid": seen.study_uid},
    ).one_or_none()
    return row is not None and tuple(row) == (seen.instances, seen.published_instances, seen.document_unique_id)


def saw(connection: Connection, site: str, study_uid: str, instances: int, now: datetime) -> None:
    """The archive now has so many instances of a study."""
    connection.execute(
        text(
            "INSERT INTO published_study (site, study_uid, instances, since) VALUES (:site, :uid, :count, :now)"
            " ON CONFLICT (site, study_uid) DO UPDATE SET instances = :count, since = :now"
        ),
        {"site": site, "uid": study_uid, "count": instances, "now": now},
    )


def registered(connection: Connection, site: str, study_uid: str, instances: int, document_unique_id: str) -> None:
    """A manifest of so many instances is registered."""
    connection.execute(
        text(
            "UPDATE published_study SET published_instances = :count, document_unique_id = :document,"
            " waits_for = NULL WHERE site = :site AND study_uid = :uid"
        ),
        {"site": site, "uid": study_uid, "count": instances, "document": document_unique_id},
    )


def waits(connection: Connection, site: str, study_uid: str, reason: str) -> None:
    """It cannot be registered yet."""
    connection.execute(
        text("UPDATE published_study SET waits_for = :reason WHERE site = :site AND study_uid = :uid"),
        {"site": site, "uid": study_uid, "reason": reason},
    )


def forget(connection: Connection, site: str, study_uid: str) -> None:
    """The archive has it no longer."""
    connection.execute(
        text("DELETE FROM published_study WHERE site = :site AND study_uid = :uid"), {"site": site, "uid": study_uid}
    )

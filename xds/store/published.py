"""What the publisher has seen in each archive and what it has registered of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text


@dataclass(frozen=True, slots=True)
class WatchedStudy:
    """A study of an archive.

    Attributes:
        instances: as last counted.
        listed: a digest of what the archive's list last said of it.
        since: when that was first seen.
        published_listed: the digest of what the registered manifest was made of; ``None`` when none is registered.
        document_unique_id: of the last registered manifest, or ``None``.
        waits_for: why it is not registered, or ``None``.
    """

    study_uid: str
    instances: int
    listed: str
    since: datetime
    published_listed: str | None
    document_unique_id: str | None
    waits_for: str | None


def lock(connection: Connection, site: str) -> bool:
    """Be the only publisher of a site until the commit; whether that could be had."""
    found = connection.execute(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended(:site, 7511))"), {"site": site}
    ).scalar_one()
    return bool(found)


@contextmanager
def lead(engine: Engine) -> Iterator[Connection | None]:
    """Be the only process that publishes while the block runs and the connection lives; ``None``: another one does."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(7511, 0)")).scalar_one():
            yield None
            return
        connection.detach()  # the lock goes with the connection, which is therefore never given back
        yield connection


def check_lead(connection: Connection) -> None:
    """Find out whether the connection, and with it the lead, still lives.

    Raises:
        DBAPIError: it doesn't.
    """
    connection.execute(text("SELECT"))


def of_site(connection: Connection, site: str, only: Collection[str] | None = None) -> dict[str, WatchedStudy]:
    """The studies seen in a site's archive, by UID.

    Args:
        only: these; ``None``: all.
    """
    rows = connection.execute(
        text(
            "SELECT study_uid, instances, listed, since, published_listed, document_unique_id, waits_for"
            " FROM published_study WHERE site = :site AND (CAST(:only AS text[]) IS NULL OR study_uid = ANY(:only))"
        ),
        {"site": site, "only": None if only is None else list(only)},
    )
    return {row.study_uid: WatchedStudy(*row) for row in rows}


def hold(connection: Connection, site: str, seen: WatchedStudy) -> bool:
    """Be the only publisher of a study until the commit, if it still is as it was seen; whether that could be had."""
    row = connection.execute(
        text(
            "SELECT listed, published_listed, document_unique_id FROM published_study"
            " WHERE site = :site AND study_uid = :uid FOR UPDATE SKIP LOCKED"
        ),
        {"site": site, "uid": seen.study_uid},
    ).one_or_none()
    return row is not None and tuple(row) == (seen.listed, seen.published_listed, seen.document_unique_id)


def saw(connection: Connection, site: str, study_uid: str, instances: int, listed: str, now: datetime) -> None:
    """The archive's list now says so of a study.

    Args:
        listed: a digest of it.
    """
    connection.execute(
        text(
            "INSERT INTO published_study (site, study_uid, instances, listed, since)"
            " VALUES (:site, :uid, :count, :listed, :now)"
            " ON CONFLICT (site, study_uid) DO UPDATE SET instances = :count, listed = :listed, since = :now"
        ),
        {"site": site, "uid": study_uid, "count": instances, "listed": listed, "now": now},
    )


def registered(connection: Connection, site: str, study_uid: str, listed: str, document_unique_id: str) -> None:
    """The manifest in force says what the archive's list said of a study."""
    connection.execute(
        text(
            "UPDATE published_study SET published_listed = :listed, document_unique_id = :document,"
            " waits_for = NULL WHERE site = :site AND study_uid = :uid"
        ),
        {"site": site, "uid": study_uid, "listed": listed, "document": document_unique_id},
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


def waiting(connection: Connection, site: str, most: int = 200) -> tuple[str, ...]:
    """UIDs of studies that could not be registered yet, those that wait longest first."""
    rows = connection.execute(
        text(
            "SELECT study_uid FROM published_study WHERE site = :site AND waits_for IS NOT NULL"
            " ORDER BY since LIMIT :most"
        ),
        {"site": site, "most": most},
    )
    return tuple(row.study_uid for row in rows)


@dataclass(frozen=True, slots=True)
class SiteState:
    """How far a site's archive is published: numbers of studies.

    Attributes:
        waiting: not registered yet, by reason; an empty reason: still changing.
    """

    site: str
    published: int
    waiting: dict[str, int]


def states(connection: Connection) -> list[SiteState]:
    """Of every site of whose archive something was seen, by code."""
    rows = connection.execute(
        text(
            "SELECT site, count(*) FILTER (WHERE document_unique_id IS NOT NULL AND listed = published_listed),"
            " coalesce(waits_for, '') AS reason,"
            " count(*) FILTER (WHERE listed IS DISTINCT FROM published_listed) AS waiting"
            " FROM published_study GROUP BY site, reason ORDER BY site, reason"
        )
    )
    found: dict[str, SiteState] = {}
    for site, registered_count, reason, count in rows:
        state = found.setdefault(site, SiteState(site, 0, {}))
        waits = {**state.waiting, reason: count} if count else state.waiting
        found[site] = SiteState(site, state.published + registered_count, waits)
    return list(found.values())

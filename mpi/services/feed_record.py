"""Create or update what a domain says of one of its patients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ihe.errors import Conflict, InvalidElement
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain import blocking
from mpi.domain.cleaning import clean
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.record import Record, RecordState
from mpi.services.relink import link_new, relink
from mpi.services.watch_record import doubt, watch_doubt, watch_update
from mpi.store import events, locks, records, tasks


class FeedOutcome(StrEnum):
    """What a feed did."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class FeedResult:
    """The record after the feed.

    Attributes:
        record_id: internal id.
        outcome: ``stale`` when a newer state was already known, which then stays.
    """

    record_id: int
    outcome: FeedOutcome


def feed_record(
    uow: UnitOfWork,
    app: MpiApplication,
    key: RecordKey,
    traits: Traits,
    *,
    source_updated_at: datetime | None = None,
    only_if_newer: bool = False,
    partial: bool = False,
) -> FeedResult:
    """Create the record, or replace its traits, and link it anew.

    Args:
        source_updated_at: when the source last changed the traits.
        only_if_newer: leave a state alone that is not older (encounter messages carry identity in passing).
        partial: keep traits that the message leaves empty (encounter messages leave many out).

    Raises:
        Conflict: the identifier was merged into another one; the source must use the survivor.
        InvalidElement: a trait is longer than any real one, or holds a NUL character.
    """
    if (name := traits.unstorable()) is not None:
        raise InvalidElement(f"{name} is no text of at most 1000 characters")
    locks.lock_records(uow.connection, [key])
    known = records.by_key(uow.connection, key)
    if known is None:
        event_id = events.append(
            uow.connection, uow.now, uow.caller, "record.created", {"domain": key.domain, "local_id": key.local_id}
        )
        cleaned = clean(traits)
        keys = blocking.keys(cleaned, french=app.model.french)
        record_id = records.insert(
            uow.connection,
            key,
            traits,
            cleaned,
            event_id=event_id,
            now=uow.now,
            source_updated_at=source_updated_at,
            keys=keys,
        )
        link_new(uow, app, record_id, key, cleaned, keys, event_id)
        if traits.is_doubtful:
            tasks.open_tasks(uow.connection, [doubt(record_id)], event_id=event_id, now=uow.now)
        return FeedResult(record_id, FeedOutcome.CREATED)
    if known.state is RecordState.SUBSUMED:
        raise Conflict("the identifier was merged into another one of its domain", "PID-3")
    if only_if_newer and _is_stale(known, source_updated_at):
        return FeedResult(known.id, FeedOutcome.STALE)
    stated = known.traits.completed_by(traits) if partial else traits
    if stated == known.traits and known.is_active:
        return FeedResult(known.id, FeedOutcome.UNCHANGED)
    return _update(uow, app, known, stated, source_updated_at)


def _is_stale(known: Record, source_updated_at: datetime | None) -> bool:
    return (
        source_updated_at is not None
        and known.source_updated_at is not None
        and source_updated_at < known.source_updated_at
    )


def _update(
    uow: UnitOfWork, app: MpiApplication, known: Record, traits: Traits, source_updated_at: datetime | None
) -> FeedResult:
    event_id = events.append(
        uow.connection,
        uow.now,
        uow.caller,
        "record.updated",
        {"record_id": known.id, "version_before": known.version, "state_before": str(known.state)},
    )
    records.update(
        uow.connection,
        known.id,
        traits,
        clean(traits),
        event_id=event_id,
        now=uow.now,
        source_updated_at=source_updated_at or known.source_updated_at,
    )
    if not known.is_active:
        records.set_state(uow.connection, known.id, RecordState.ACTIVE, None, uow.now)
        watch_doubt(uow, known.id, traits, event_id)
    else:
        watch_update(uow, known, traits, event_id)
    relink(uow, app, [known.id], event_id)
    return FeedResult(known.id, FeedOutcome.UPDATED)

"""Merge two local ids of one domain: what was the subsumed one's is the survivor's from now on (A40).

The subsumed one may be of a domain that the survivor's has succeeded: so its patients are renumbered.
"""

from __future__ import annotations

from datetime import datetime

from ihe.errors import Conflict, InvalidElement
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.cleaning import clean
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.record import RecordState
from mpi.services.consents import refresh_indexing
from mpi.services.feed_record import feed_record
from mpi.services.relink import relink
from mpi.store import blocking, events, locks, records, successions


def merge_records(
    uow: UnitOfWork,
    app: MpiApplication,
    survivor_key: RecordKey,
    subsumed_key: RecordKey,
    traits: Traits | None,
    *,
    source_updated_at: datetime | None = None,
) -> int:
    """Subsume one record into another; returns the event, by which it can be undone.

    The survivor is created when it is unknown; an unknown subsumed id is remembered as merged, so that a message
    about it that arrives late is refused instead of bringing it back.

    Args:
        traits: the survivor's traits as the message states them, or ``None`` when it states none.

    Raises:
        InvalidElement: both ids are the same, or of different domains of which one did not succeed the other.
        Conflict: the survivor was itself merged into another, or the subsumed one into a third.
    """
    estate = successions.in_force(uow.connection, uow.now).estate(survivor_key.domain)
    if subsumed_key.domain not in {survivor_key.domain, *estate}:
        raise InvalidElement("only two identifiers of one domain can be merged", "MRG-1")
    if survivor_key == subsumed_key:
        raise InvalidElement("an identifier cannot be merged into itself", "MRG-1")
    locks.lock_records(uow.connection, [survivor_key, subsumed_key])
    known = records.by_key(uow.connection, survivor_key)
    if known is not None and known.state is RecordState.SUBSUMED:
        raise Conflict("the surviving identifier was itself merged into another one", "PID-3")
    subsumed = records.by_key(uow.connection, subsumed_key)
    if subsumed is not None and subsumed.state is RecordState.SUBSUMED:
        if known is not None and subsumed.merged_into == known.id:
            return events.append(uow.connection, uow.now, uow.caller, "record.merge_repeated", {"survivor": known.id})
        raise Conflict("the subsumed identifier was already merged into another one", "MRG-1")
    if traits is not None or known is None:
        feed_record(uow, app, survivor_key, traits or Traits(), source_updated_at=source_updated_at, partial=True)
    survivor = records.by_key(uow.connection, survivor_key)
    if survivor is None:
        raise Conflict("the surviving record is gone", "PID-3")
    event_id = events.append(
        uow.connection,
        uow.now,
        uow.caller,
        "record.merged",
        {
            "survivor": survivor.id,
            "subsumed": subsumed.id if subsumed else None,
            "state_before": str(subsumed.state) if subsumed else None,
        },
    )
    if subsumed is None:
        empty = Traits()
        records.insert(
            uow.connection,
            subsumed_key,
            empty,
            clean(empty),
            event_id=event_id,
            now=uow.now,
            state=RecordState.SUBSUMED,
            merged_into=survivor,
        )
        return event_id
    records.set_state(uow.connection, subsumed.id, RecordState.SUBSUMED, survivor.id, uow.now)
    blocking.replace(uow.connection, subsumed.id, [])
    relink(uow, app, [subsumed.id, survivor.id], event_id)
    refresh_indexing(uow, app, records.by_ids(uow.connection, [survivor.id])[0])
    return event_id

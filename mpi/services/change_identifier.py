"""Give a record another local id; the former one stays resolvable for what was filed under it (A47)."""

from __future__ import annotations

from datetime import datetime

from ihe.errors import Conflict, InvalidElement
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.cleaning import clean
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.record import RecordState
from mpi.services.feed_record import feed_record
from mpi.services.relink import announce, relink
from mpi.store import events, locks, records


def change_identifier(
    uow: UnitOfWork,
    app: MpiApplication,
    former_key: RecordKey,
    new_key: RecordKey,
    traits: Traits | None,
    *,
    source_updated_at: datetime | None = None,
) -> int:
    """Rename a record; returns the event, by which it can be undone.

    The former id stays as a subsumed one, so that documents filed under it stay with the patient. When the former id
    is unknown, the record is created under the new one.

    Raises:
        InvalidElement: both ids are the same, or of different domains.
        Conflict: the new id is in use, or the former one was merged into another.
    """
    if former_key.domain != new_key.domain or former_key == new_key:
        raise InvalidElement("an identifier is changed into another one of its own domain", "MRG-1")
    locks.lock_records(uow.connection, [former_key, new_key])
    taken = records.by_key(uow.connection, new_key)
    if taken is not None and not taken.is_trace:
        raise Conflict("the new identifier is already in use", "PID-3")
    former = records.by_key(uow.connection, former_key)
    if former is not None and former.state is RecordState.SUBSUMED:
        raise Conflict("the former identifier was merged into another one", "MRG-1")
    if former is None:
        created = feed_record(uow, app, new_key, traits or Traits(), source_updated_at=source_updated_at)
        former_id, record_id = None, created.record_id
    else:
        former_id = record_id = former.id
        if taken is None:
            records.rename(uow.connection, record_id, new_key, uow.now)
        else:
            records.swap_keys(uow.connection, former, taken, uow.now)
    renamed = records.by_ids(uow.connection, [record_id])[0]
    event_id = events.append(
        uow.connection,
        uow.now,
        uow.caller,
        "record.renamed",
        {"record_id": former_id, "former": former_key.local_id, "new": new_key.local_id, "domain": new_key.domain},
    )
    if former is not None and taken is not None:
        alias_id = taken.id
        records.set_state(uow.connection, alias_id, RecordState.SUBSUMED, record_id, uow.now)
    else:
        empty = Traits()
        alias_id = records.insert(
            uow.connection,
            former_key,
            empty,
            clean(empty),
            event_id=event_id,
            now=uow.now,
            state=RecordState.SUBSUMED,
            merged_into=renamed,
        )
    relink(uow, app, [record_id, alias_id], event_id, rescore=False)
    if traits is not None and former is not None:
        feed_record(uow, app, new_key, traits, source_updated_at=source_updated_at, partial=True)
    announce(uow, app, [renamed.person_id], "record.renamed", event_id)
    return event_id

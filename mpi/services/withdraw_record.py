"""Withdraw a record that its source deleted: it answers no more, and keeps its history."""

from __future__ import annotations

from ihe.errors import UnknownPatient
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.domain.record import RecordState
from mpi.services.relink import relink
from mpi.store import blocking, events, locks, records


def withdraw_record(uow: UnitOfWork, app: MpiApplication, key: RecordKey) -> int:
    """Take a record out of service; returns the event.

    Raises:
        UnknownPatient: nothing active is known under the key.
    """
    locks.lock_records(uow.connection, [key])
    record = records.by_key(uow.connection, key)
    if record is None or not record.is_active:
        raise UnknownPatient("no active patient is known under that identifier", "PID-3")
    event_id = events.append(uow.connection, uow.now, uow.caller, "record.withdrawn", {"record_id": record.id})
    records.set_state(uow.connection, record.id, RecordState.WITHDRAWN, None, uow.now)
    blocking.replace(uow.connection, record.id, [])
    relink(uow, app, [record.id], event_id)
    return event_id

"""Take the merge of a record back because its source says so: it stands for itself again."""

from __future__ import annotations

from ihe.errors import Conflict
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.record import Record
from mpi.services.undo_event import undo_event
from mpi.store import events


def unmerge_record(uow: UnitOfWork, app: MpiApplication, record: Record) -> int:
    """Undo the merge that subsumed a record; returns the undoing event.

    Raises:
        Conflict: it was never known by itself, or something later depends on the merge.
    """
    merge = events.merge_of(uow.connection, record.id)
    if merge is None:
        raise Conflict("the merged identifier was never known by itself; there is nothing to restore")
    return undo_event(uow, app, merge, reason="taken back by the source")

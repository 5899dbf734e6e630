"""Tasks about one record: an update that looks like another person, and an identity that its own site doubts.

They are no matter of the partition. Both close by themselves when the site corrects its record.

Source: RNIV: attribute *identité douteuse* (DOUT); a collision is repaired by the site that owns the number.
"""

from __future__ import annotations

from ihe.unit_of_work import UnitOfWork
from mpi.domain.identity import Traits
from mpi.domain.overlay import suspect
from mpi.domain.partition import TaskKind
from mpi.domain.record import Record
from mpi.store import records, tasks
from mpi.store.tasks import NewTask, Task


def doubt(record_id: int) -> NewTask:
    """The question about an identity that its own site marks as doubtful."""
    return NewTask(str(TaskKind.DOUBTFUL_IDENTITY), (record_id, record_id), None, {})


def watch_doubt(uow: UnitOfWork, record_id: int, traits: Traits, event_id: int) -> None:
    """Ask while the site doubts the identity of an active record, and no longer."""
    asked = _asked(uow, record_id).get(TaskKind.DOUBTFUL_IDENTITY)
    if traits.is_doubtful and asked is None:
        tasks.open_tasks(uow.connection, [doubt(record_id)], event_id=event_id, now=uow.now)
    elif asked is not None and not traits.is_doubtful:
        tasks.close(uow.connection, [asked.id], "corrected", event_id=event_id, now=uow.now)


def watch_update(uow: UnitOfWork, known: Record, traits: Traits, event_id: int) -> None:
    """Ask whether an update replaced one person by another; an update that brings the former one back answers that.

    Args:
        known: the record before the update.
        traits: after it.
    """
    asked = _asked(uow, known.id).get(TaskKind.SUSPECTED_OVERLAY)
    if asked is not None:
        before, _ = records.version_of(uow.connection, known.id, asked.details["version_before"])
        if not suspect(before, traits):
            tasks.close(uow.connection, [asked.id], "corrected", event_id=event_id, now=uow.now)
    elif suspect(known.traits, traits):
        overlay = NewTask(
            str(TaskKind.SUSPECTED_OVERLAY), (known.id, known.id), None, {"version_before": known.version}
        )
        tasks.open_tasks(uow.connection, [overlay], event_id=event_id, now=uow.now)
    watch_doubt(uow, known.id, traits, event_id)


def _asked(uow: UnitOfWork, record_id: int) -> dict[str, Task]:
    found = tasks.open_among(uow.connection, [record_id])
    return {task.kind: task for task in found if task.pair == (record_id, record_id)}

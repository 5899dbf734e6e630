"""Take a step back as a steward: who may, and what would have to be taken back first."""

from __future__ import annotations

from ihe.errors import AccessDenied, Conflict, NotFound
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.stewardship import REGION_DESK
from mpi.services.read_worklist import desk_of
from mpi.services.undo_event import UNDOABLE, undo_event
from mpi.store import events, records
from mpi.store.events import IdentityEvent


def step(uow: UnitOfWork, event_id: int) -> IdentityEvent:
    """One event.

    Raises:
        NotFound: there is none of that number.
    """
    event = events.get(uow.connection, event_id)
    if event is None:
        raise NotFound("there is no such event")
    return event


def dependants(uow: UnitOfWork, event: IdentityEvent) -> list[IdentityEvent]:
    """Later steps in force that rest on an event, latest first: they must be taken back before it."""
    touched = events.records_of(event)
    later = events.in_force_after(uow.connection, event.id, touched)
    return [other for other in later if _rests_on(other, event)]


def _rests_on(other: IdentityEvent, event: IdentityEvent) -> bool:
    kind = event.kind.removesuffix(".undone")
    if other.kind.removesuffix(".undone") == kind and kind in ("pair.decided", "record.updated", "record.renamed"):
        return set(events.records_of(other)) == set(events.records_of(event))
    return (other.kind, kind) == ("pair.decided", "task.answered") and other.payload.get("answer_event") == event.id


def take_back(
    uow: UnitOfWork, app: MpiApplication, event_id: int, *, reason: str, with_dependants: bool = False
) -> list[int]:
    """Undo an event, after those that rest on it when that is wanted; returns the undoing events.

    Raises:
        NotFound: there is no such event, or it concerns other establishments only.
        AccessDenied: the caller may not take it back.
        Conflict: it was undone already, or later steps rest on it and were not to be taken back.
        InvalidElement: events of that kind are not undone.
    """
    event = step(uow, event_id)
    check_may_take_back(uow, event)
    resting = dependants(uow, event)
    if resting and not with_dependants:
        raise Conflict("later steps rest on this one; take them back first, or together with it")
    for other in resting:
        check_may_take_back(uow, other)
    return [undo_event(uow, app, each.id, reason=reason) for each in (*resting, event)]


def may_take_back(uow: UnitOfWork, event: IdentityEvent) -> bool:
    """Whether the caller may, and there is something to take back."""
    if event.kind not in UNDOABLE or event.undone_by is not None:
        return False
    try:
        check_may_take_back(uow, event)
    except (AccessDenied, NotFound):
        return False
    return True


def check_may_take_back(uow: UnitOfWork, event: IdentityEvent) -> None:
    """A site takes back what its own people did, and nothing that the region decided.

    Raises:
        NotFound: the event concerns other establishments only.
        AccessDenied: somebody else did it.
    """
    desk = desk_of(uow.caller)
    if desk == REGION_DESK:
        return
    concerned = records.by_ids(uow.connection, events.records_of(event))
    if all(record.key.domain != desk for record in concerned):
        raise NotFound("there is no such event")
    if event.site != desk:
        raise AccessDenied("another establishment or the region did this; ask them to take it back")

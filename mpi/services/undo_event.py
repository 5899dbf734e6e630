"""Take an identity event back: the index is then as if it had not happened, and says so in its history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ihe.errors import Conflict, InvalidElement, NotFound
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.cleaning import clean
from mpi.domain.identity import RecordKey
from mpi.domain.record import RecordState
from mpi.services.relink import announce, relink
from mpi.store import events, pairs, records
from mpi.store.events import IdentityEvent


def undo_event(uow: UnitOfWork, app: MpiApplication, event_id: int, *, reason: str) -> int:
    """Undo a decision, a merge, a change of identifier or an update; returns the undoing event.

    An undoing event of a decision can itself be undone.

    Raises:
        NotFound: there is no such event.
        Conflict: it was undone already, or something later depends on it.
        InvalidElement: events of that kind are not undone (a creation: withdraw the record instead).
    """
    event = events.get(uow.connection, event_id)
    if event is None:
        raise NotFound("there is no such event")
    if event.undone_by is not None:
        raise Conflict(f"the event was already undone by event {event.undone_by}")
    undo = _UNDO.get(event.kind)
    if undo is None:
        raise InvalidElement(f"an event of kind {event.kind} cannot be undone")
    undoing = events.append(
        uow.connection, uow.now, uow.caller, f"{event.kind}.undone", {"reason": reason, **event.payload}, event.id
    )
    undo(uow, app, event, undoing)
    return undoing


def _undo_decision(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    pair = (event.payload["pair"][0], event.payload["pair"][1])
    in_force = pairs.decisions_among(uow.connection, pair)
    written = pairs.decision_of_event(uow.connection, event.id)
    if [d.id for d in in_force] != [written]:
        raise Conflict("a later decision about the same pair depends on this one; undo that one first")
    pairs.revoke(uow.connection, written, by=uow.caller.label, event_id=undoing, now=uow.now)
    for former in event.payload["revoked"]:
        pairs.reinstate(uow.connection, former)
    relink(uow, app, pair, undoing, rescore=False)


def _redo_decision(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    pair = (event.payload["pair"][0], event.payload["pair"][1])
    written = pairs.decision_of_event(uow.connection, event.undoes or 0)
    in_force = pairs.decisions_among(uow.connection, pair)
    if sorted(d.id for d in in_force) != sorted(event.payload["revoked"]):
        raise Conflict("a later decision about the same pair depends on this one; undo that one first")
    for decision in in_force:
        pairs.revoke(uow.connection, decision.id, by=uow.caller.label, event_id=undoing, now=uow.now)
    pairs.reinstate(uow.connection, written)
    relink(uow, app, pair, undoing, rescore=False)


def _undo_merge(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    subsumed_id = event.payload["subsumed"]
    if subsumed_id is None:
        raise InvalidElement("the merged identifier was never known by itself; there is nothing to restore")
    (subsumed,) = records.by_ids(uow.connection, [subsumed_id])
    if subsumed.state is not RecordState.SUBSUMED or subsumed.merged_into != event.payload["survivor"]:
        raise Conflict("the merged identifier has changed since")
    former_state = RecordState(event.payload["state_before"])
    records.set_state(uow.connection, subsumed.id, former_state, None, uow.now)
    relink(uow, app, [subsumed.id, event.payload["survivor"]], undoing)


def _undo_rename(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    record_id, payload = event.payload["record_id"], event.payload
    if record_id is None:
        raise InvalidElement("the former identifier was never known by itself; there is nothing to restore")
    former, new = (RecordKey(payload["domain"], payload[name]) for name in ("former", "new"))
    (record,) = records.by_ids(uow.connection, [record_id])
    alias = records.by_key(uow.connection, former)
    if record.key != new or alias is None or alias.merged_into != record_id:
        raise Conflict("the identifier has changed since")
    records.swap_keys(uow.connection, record, alias, uow.now)
    announce(uow, app, [record.person_id], "record.renamed", undoing)


def _undo_update(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    (record,) = records.by_ids(uow.connection, [event.payload["record_id"]])
    before = event.payload["version_before"]
    if record.version != before + 1:
        raise Conflict("the record was changed again since; undo the later change first")
    traits, source_updated_at = records.version_of(uow.connection, record.id, before)
    records.update(
        uow.connection,
        record.id,
        traits,
        clean(traits),
        event_id=undoing,
        now=uow.now,
        source_updated_at=source_updated_at,
    )
    relink(uow, app, [record.id], undoing)


_UNDO: Mapping[str, Callable[[UnitOfWork, MpiApplication, IdentityEvent, int], Any]] = {
    "pair.decided": _undo_decision,
    "pair.decided.undone": _redo_decision,
    "record.merged": _undo_merge,
    "record.renamed": _undo_rename,
    "record.updated": _undo_update,
}

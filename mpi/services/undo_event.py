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
from mpi.services.answer_task import count_votes
from mpi.services.consents import refresh_indexing
from mpi.services.relink import LEFT_TO_OTHERS, announce, relink
from mpi.services.watch_record import watch_doubt
from mpi.store import events, models, pairs, records, successions, tasks, votes, worklist
from mpi.store.events import IdentityEvent


def undo_event(uow: UnitOfWork, app: MpiApplication, event_id: int, *, reason: str) -> int:
    """Undo a decision, an answer to a task, a merge, a change of identifier, an update, the activation of a model or
    a succession; returns the undoing event. Tasks that the event closed are open again, those it opened are closed.

    An undoing event of a decision or an answer can itself be undone.

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
    reopened = tasks.reopen_closed_by(uow.connection, event.id)
    tasks.close_opened_by(uow.connection, event.id, LEFT_TO_OTHERS, event_id=undoing, now=uow.now)
    undo(uow, app, event, undoing)
    if reopened:
        relink(uow, app, reopened, undoing, rescore=False)
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
    if "answer_event" in event.payload:
        _count_again(uow, app, event.payload["answer_event"], undoing)
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
    if "answer_event" in event.payload:
        _count_again(uow, app, event.payload["answer_event"], None)
    relink(uow, app, pair, undoing, rescore=False)
    if "task_id" in event.payload:
        worklist.close_as_decided(uow.connection, event.payload["task_id"], event_id=undoing, now=uow.now)


def _undo_answer(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    in_force = events.in_force_after(uow.connection, event.id, event.payload["records"])
    if any(e.kind == "pair.decided" and e.payload.get("answer_event") == event.id for e in in_force):
        raise Conflict("the decision that this answer completed depends on it; undo that one first")
    _count_again(uow, app, event.id, undoing)


def _redo_answer(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    _count_again(uow, app, event.undoes or 0, None)


def _count_again(uow: UnitOfWork, app: MpiApplication, answer_event: int, withdrawn_by: int | None) -> None:
    """Withdraw an answer or let it count again, and say where its task stands now."""
    vote = votes.of_event(uow.connection, answer_event)
    if vote is None:
        raise Conflict("the answer is gone")
    votes.withdraw(uow.connection, vote.id, withdrawn_by)
    (task,) = worklist.by_ids(uow.connection, [vote.task_id], desk="", now=uow.now)
    worklist.set_stage(uow.connection, task.id, str(count_votes(uow, app, task).stage))


def _undo_activation(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    # Not by the version in force: the same model may have been put in force twice.
    last = events.last_in_force(uow.connection, event.kind)
    if last is not None and last.id > event.id:
        raise Conflict("another model was put in force since; undo that one first")
    if "before" not in event.payload:
        raise InvalidElement("it is not known which model was in force before")
    models.activate(uow.connection, event.payload["before"], by=uow.caller.label, now=uow.now)


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
    for record in records.by_ids(uow.connection, [subsumed.id, event.payload["survivor"]]):
        refresh_indexing(uow, app, record)


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
    # The new identifier is as unknown as it was: it designates nobody until its site speaks of it.
    records.set_state(uow.connection, alias.id, RecordState.WITHDRAWN, None, uow.now)
    relink(uow, app, [record.id, alias.id], undoing, rescore=False)
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
    if record.is_active:
        watch_doubt(uow, record.id, traits, undoing)
    relink(uow, app, [record.id], undoing)


def _undo_succession(uow: UnitOfWork, app: MpiApplication, event: IdentityEvent, undoing: int) -> None:
    successions.lock(uow.connection)
    if successions.has_heirs(uow.connection, event.payload["domain"]):
        raise Conflict("patients of the domain were renumbered since; undo those merges first")
    successions.revoke(uow.connection, event.id, undoing)


_UNDO: Mapping[str, Callable[[UnitOfWork, MpiApplication, IdentityEvent, int], Any]] = {
    "domain.succeeded": _undo_succession,
    "pair.decided": _undo_decision,
    "pair.decided.undone": _redo_decision,
    "task.answered": _undo_answer,
    "task.answered.undone": _redo_answer,
    "model.activated": _undo_activation,
    "record.merged": _undo_merge,
    "record.renamed": _undo_rename,
    "record.updated": _undo_update,
}

UNDOABLE = frozenset(_UNDO)
"""Kinds of event that can be taken back."""

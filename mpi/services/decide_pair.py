"""Decide that two records are the same patient, or are not (steward, or A24/A37)."""

from __future__ import annotations

from ihe.errors import InvalidElement, UnknownPatient
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.domain.record import Record
from mpi.services.relink import relink
from mpi.store import events, locks, pairs, records


def decide_pair(
    uow: UnitOfWork,
    app: MpiApplication,
    first: RecordKey,
    second: RecordKey,
    verdict: str,
    *,
    reason: str,
    how: str = "steward",
    answered: tuple[int, int] | None = None,
) -> int:
    """Write a decision and link accordingly; returns the event, by which it can be undone.

    A former decision about the pair is revoked; undoing this one puts it back in force.

    Args:
        verdict: ``same`` or ``different``.
        how: ``steward`` or ``message``.
        answered: the task that this settles, and the event of the answer that settled it; ``None`` without a task.

    Raises:
        UnknownPatient: a record is unknown or not active.
        InvalidElement: both are the same record.
    """
    if first == second:
        raise InvalidElement("a decision is about two different records")
    locks.lock_records(uow.connection, [first, second])
    a, b = (_active(records.by_key(uow.connection, key)) for key in (first, second))
    pair = pairs.ordered(a.id, b.id)
    former = pairs.decisions_among(uow.connection, pair)
    event_id = events.append(
        uow.connection,
        uow.now,
        uow.caller,
        "pair.decided",
        {
            "pair": list(pair),
            "verdict": verdict,
            "reason": reason,
            "revoked": [d.id for d in former],
            **({"task_id": answered[0], "answer_event": answered[1]} if answered else {}),
        },
    )
    for decision in former:
        pairs.revoke(uow.connection, decision.id, by=uow.caller.label, event_id=event_id, now=uow.now)
    pairs.decide(
        uow.connection,
        pair,
        verdict,
        reason=reason,
        how=how,
        by=uow.caller.label,
        event_id=event_id,
        now=uow.now,
    )
    relink(uow, app, pair, event_id, rescore=False)
    return event_id


def _active(record: Record | None) -> Record:
    if record is None or not record.is_active:
        raise UnknownPatient("no active patient is known under that identifier")
    return record

"""Why a record is linked as it is, or what two records score."""

from __future__ import annotations

from typing import Any

from ihe.confidentiality import sight_of
from ihe.errors import UnknownPatient
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.explanation import explain
from mpi.domain.identity import RecordKey
from mpi.domain.record import Record, regional_id, shown
from mpi.domain.scoring import score
from mpi.store import evidence_json, links, pairs, records, tasks


def explain_pair(uow: UnitOfWork, app: MpiApplication, first: RecordKey, second: RecordKey) -> dict[str, Any]:
    """What two records score, field by field, from the stored score where there is one; JSON values.

    Raises:
        UnknownPatient: one is not known.
    """
    a, b = (_known(uow, key) for key in (first, second))
    cleaned = records.cleaned_by_ids(uow.connection, [a.id, b.id])
    pair = pairs.ordered(a.id, b.id)
    stored = pairs.get(uow.connection, pair)
    weighed = (
        evidence_json.from_json(stored.evidence)
        if stored is not None
        else score(cleaned[pair[0]], cleaned[pair[1]], app.model)
    )
    explained = explain(weighed, cleaned[pair[0]], cleaned[pair[1]], app.model)
    ordered = (a, b) if a.id == pair[0] else (b, a)
    decided = pairs.decisions_among(uow.connection, pair)
    return {
        "a": _named(ordered[0]),
        "b": _named(ordered[1]),
        "same_person": a.person_id == b.person_id,
        "stored": stored is not None,
        "decisions": [
            {"verdict": d.verdict, "by": d.decided_by, "at": d.decided_at.isoformat(), "reason": d.reason}
            for d in decided
        ],
        **explained,
    }


def explain_record(uow: UnitOfWork, app: MpiApplication, key: RecordKey) -> dict[str, Any]:
    """Why a record belongs to its person: its link with its evidence, its history, and what is asked about it.

    Raises:
        UnknownPatient: it is not known.
    """
    record = _known(uow, key)
    sight = sight_of(uow.caller)
    members = shown(records.by_persons(uow.connection, [record.person_id]), sight)
    history = links.history(uow.connection, record.id)
    present = history[-1] if history else None
    partner = None
    if present is not None and "pair" in present.evidence:
        other = next(i for i in present.evidence["pair"] if i != record.id)
        partner = next(iter(shown(records.by_ids(uow.connection, [other]), sight)), None)
    return {
        "record": _named(record),
        "state": str(record.state),
        "regional_id": regional_id(record.person_id),
        "grade": record.grade,
        "with": [_named(m) for m in members if m.is_active and m.id != record.id],
        "because": explain_pair(uow, app, key, partner.key) if partner is not None else None,
        "history": [
            {
                "regional_id": regional_id(h.person_id),
                "grade": h.grade,
                "how": h.how,
                "by": h.linked_by,
                "from": h.valid_from.isoformat(),
                "to": h.valid_to.isoformat() if h.valid_to else None,
                "event_id": h.event_id,
            }
            for h in history
        ],
        "open_tasks": [
            {"task_id": t.id, "kind": t.kind, "weight_bits": t.weight_bits}
            for t in tasks.open_among(uow.connection, [record.id])
        ],
    }


def _known(uow: UnitOfWork, key: RecordKey) -> Record:
    record = records.by_key(uow.connection, key)
    if record is None or not sight_of(uow.caller).sees(record.key.domain, is_hidden=record.is_hidden):
        raise UnknownPatient("no patient is known under that identifier")
    return record


def _named(record: Record) -> dict[str, str]:
    return {"domain": record.key.domain, "local_id": record.key.local_id}

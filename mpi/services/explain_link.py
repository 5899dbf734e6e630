"""Why a record is linked as it is, or what two records score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ihe.confidentiality import sight_of
from ihe.errors import NotFound, UnknownPatient
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.explanation import explain
from mpi.domain.identity import RecordKey
from mpi.domain.model import MatchModel
from mpi.domain.record import Record, regional_id, shown
from mpi.domain.scoring import PairScore, score
from mpi.store import evidence_json, links, models, pairs, records, tasks
from mpi.store.links import LinkHistory
from mpi.store.pairs import Pair


def explain_pair(uow: UnitOfWork, app: MpiApplication, first: RecordKey, second: RecordKey) -> dict[str, Any]:
    """What two records score, field by field, from the stored score where there is one; JSON values.

    A stored score is explained by the model that made it.

    Raises:
        UnknownPatient: one is not known.
    """
    a, b = (_known(uow, key) for key in (first, second))
    pair = pairs.ordered(a.id, b.id)
    cleaned = records.cleaned_by_ids(uow.connection, list(pair))
    stored = pairs.get(uow.connection, pair)
    model = _model(uow, app, stored.model if stored is not None else None)
    weighed = (
        evidence_json.from_json(stored.evidence)
        if stored is not None
        else score(cleaned[pair[0]], cleaned[pair[1]], model)
    )
    return _told(uow, {a.id: a, b.id: b}, pair, cleaned, weighed, model, stored=stored is not None)


def _told(
    uow: UnitOfWork,
    known: Mapping[int, Record],
    pair: Pair,
    cleaned: Mapping[int, Cleaned],
    weighed: PairScore,
    model: MatchModel,
    *,
    stored: bool,
) -> dict[str, Any]:
    a, b = (known[record_id] for record_id in pair)
    return {
        "a": _named(a),
        "b": _named(b),
        "same_person": a.person_id == b.person_id,
        "stored": stored,
        "decisions": [
            {"verdict": d.verdict, "by": d.decided_by, "at": d.decided_at.isoformat(), "reason": d.reason}
            for d in pairs.decisions_among(uow.connection, pair)
        ],
        **explain(weighed, cleaned[a.id], cleaned[b.id], model),
    }


def explain_record(uow: UnitOfWork, app: MpiApplication, key: RecordKey, event_id: int | None = None) -> dict[str, Any]:
    """Why a record belongs to its person: its link with its evidence, its history, and what is asked about it.

    ``because`` explains the link as it was decided: by the traits that the records had, under the model of the time.

    Args:
        event_id: explain the link that this event made, in place of the present one.

    Raises:
        UnknownPatient: it is not known.
        NotFound: the event made no link of this record.
    """
    record = _known(uow, key)
    history = links.history(uow.connection, record.id)
    chosen = [link for link in history if event_id in (None, link.event_id)]
    if not chosen and event_id is not None:
        raise NotFound("that event made no link of this record")
    members = shown(records.by_persons(uow.connection, [record.person_id]), sight_of(uow.caller))
    return {
        "record": _named(record),
        "state": str(record.state),
        "regional_id": regional_id(record.person_id),
        "grade": record.grade,
        "with": [_named(m) for m in members if m.is_active and m.id != record.id],
        "because": _because(uow, app, chosen[-1]) if chosen else None,
        "compared_with": _compared_with(uow, record),
        "history": [
            {
                "regional_id": regional_id(h.person_id),
                "grade": h.grade,
                "how": h.how,
                "weight_bits": h.evidence.get("weight_bits"),
                "model": h.model,
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


def _because(uow: UnitOfWork, app: MpiApplication, link: LinkHistory) -> dict[str, Any] | None:
    """The pair that a link rests on, as it was when the link was made.

    ``None`` for a link without one, or with a record that is not shown.
    """
    if "pair" not in link.evidence:
        return None
    one, other = link.evidence["pair"]
    seen = shown(records.by_ids(uow.connection, [one, other]), sight_of(uow.caller))
    known = {record.id: record for record in seen}
    if not known.keys() >= {one, other}:
        return None
    then = dict(zip((one, other), link.evidence.get("versions", ()), strict=False))
    pair = pairs.ordered(one, other)
    stored = pairs.get(uow.connection, pair)
    is_present = stored is not None and link.model in (None, stored.model)
    if is_present and all(then.get(i, known[i].version) == known[i].version for i in pair):
        return explain_pair(uow, app, *(known[i].key for i in pair))
    model = _model(uow, app, link.model)
    cleaned = {i: clean(records.version_of(uow.connection, i, then.get(i, known[i].version))[0]) for i in pair}
    weighed = score(cleaned[pair[0]], cleaned[pair[1]], model)
    return _told(uow, known, pair, cleaned, weighed, model, stored=False)


def _compared_with(uow: UnitOfWork, record: Record) -> list[dict[str, Any]]:
    """Who else came near enough to link or to ask, of this person and of others, the heaviest first."""
    found = pairs.with_record(uow.connection, record.id)
    others = records.by_ids(uow.connection, {i for p in found for i in p.pair if i != record.id})
    named = {other.id: other for other in shown(others, sight_of(uow.caller))}
    rows = []
    for scored in sorted(found, key=lambda p: (-p.weight_bits, p.pair)):
        other = named.get(next(i for i in scored.pair if i != record.id))
        if other is None:
            continue
        rows.append(
            {
                **_named(other),
                "same_person": other.person_id == record.person_id,
                "weight_bits": scored.weight_bits,
                "vetoes": list(scored.evidence["vetoes"]),
            }
        )
    return rows


def _model(uow: UnitOfWork, app: MpiApplication, version: str | None) -> MatchModel:
    """The model that decided; the one in force where that one is not kept."""
    if version in (None, app.model.version):
        return app.model
    return models.get(uow.connection, version or "") or app.model


def _known(uow: UnitOfWork, key: RecordKey) -> Record:
    record = records.by_key(uow.connection, key)
    if record is None or not sight_of(uow.caller).sees(record.key.domain, is_hidden=record.is_hidden):
        raise UnknownPatient("no patient is known under that identifier")
    return record


def _named(record: Record) -> dict[str, str]:
    return {"domain": record.key.domain, "local_id": record.key.local_id}

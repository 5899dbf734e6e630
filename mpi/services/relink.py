"""Decide anew to which persons some records belong, after anything about them changed.

Everything connected to them is locked, taken together and partitioned by the pure rules of
:mod:`mpi.domain.partition`; what came out differently is written with its evidence, and announced. The result is the
same whatever order the records arrived in, because the rules look at the set only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain import blocking as blocking_rules
from mpi.domain.cleaning import Cleaned
from mpi.domain.identity import RecordKey
from mpi.domain.partition import Membership, Pair, Partition, RecordView, is_edge, pair_of, partition
from mpi.domain.record import Record, RecordState, regional_id
from mpi.domain.scoring import score, score_many
from mpi.store import blocking, connected, evidence_json, links, pairs, records, tasks

LEFT_TO_OTHERS = frozenset({"suspected-overlay", "doubtful-identity"})
"""Kinds of task about one record: no matter of the partition, they stay open when it has nothing to say of them."""


def link_new(
    uow: UnitOfWork,
    app: MpiApplication,
    record_id: int,
    key: RecordKey,
    cleaned: Cleaned,
    keys: Sequence[int],
    event_id: int,
) -> None:
    """Link a record that was just created under its blocking keys.

    One that resembles nobody is a person by itself, at little cost.
    """
    blocking.lock(uow.connection, keys)
    kept = _score_candidates(uow, app, record_id, cleaned, keys)
    if kept:
        pairs.add(uow.connection, kept, uow.now)
        _relink_component(uow, app, {record_id}, event_id, new=record_id)
        return
    alone = links.Assignment(record_id, record_id, None, "alone", {})
    links.assign(uow.connection, [alone], event_id=event_id, by=uow.caller.label, now=uow.now)
    publish_person(uow, record_id, [key], "person.changed", event_id)


def relink(
    uow: UnitOfWork, app: MpiApplication, changed: Sequence[int], event_id: int, *, rescore: bool = True
) -> None:
    """Link the changed records and everything connected to them anew.

    Args:
        changed: ids of the records whose traits or state changed, or about which somebody decided.
        event_id: the identity event that caused it.
        rescore: whether traits or states changed, so that the pairs of these records are scored again.
    """
    seeds = set(changed)
    if rescore:
        for record, cleaned in records.with_cleaned(uow.connection, changed):
            seeds |= _rescore(uow, app, record, cleaned)
    moved = _relink_component(uow, app, seeds, event_id)
    if rescore and not moved:
        persons = {record.person_id for record in records.by_ids(uow.connection, changed)}
        announce(uow, app, persons, "person.updated", event_id)


def _relink_component(
    uow: UnitOfWork, app: MpiApplication, seeds: Iterable[int], event_id: int, new: int | None = None
) -> set[int]:
    """Partition everything connected to the seeds; returns the persons who gained or lost a record."""
    component = _lock_component(uow, seeds)
    decided = component.partition(app)
    moved = _write_links(uow, app, component, decided, event_id, new)
    _write_tasks(uow, component, decided, event_id)
    keys_of = {component.founder(person): person for person in decided.persons}
    for person_id in sorted(moved):
        publish_person(uow, person_id, keys_of.get(person_id, ()), "person.changed", event_id)
    return moved


def _score_candidates(
    uow: UnitOfWork, app: MpiApplication, record_id: int, cleaned: Cleaned, keys: Sequence[int]
) -> list[pairs.ScoredPair]:
    """Find and weigh those who share a key; the pairs that link or ask are kept."""
    found = blocking.candidates(uow.connection, record_id, keys)
    scores = score_many(cleaned, [other for _, _, other in found], app.model)
    return [
        pairs.ScoredPair(
            pairs.ordered(record_id, other_id), weighed.weight_bits, evidence_json.to_json(weighed), app.model.version
        )
        for (other_id, _, other), weighed in zip(found, scores, strict=True)
        if is_edge(weighed, cleaned, other, app.model)
    ]


def _rescore(uow: UnitOfWork, app: MpiApplication, record: Record, cleaned: Cleaned) -> set[int]:
    """Weigh a known record's pairs again; returns everyone it was or is connected to by a pair."""
    keys = blocking_rules.keys(cleaned, french=app.model.french) if record.is_active else ()
    former_keys = blocking.keys_of(uow.connection, record.id)
    blocking.lock(uow.connection, {*keys, *former_keys})
    if set(keys) != set(former_keys):
        blocking.replace(uow.connection, record.id, keys)
    connected = pairs.neighbours(uow.connection, record.id)
    kept = _score_candidates(uow, app, record.id, cleaned, keys)
    if connected:
        pairs.remove(uow.connection, record.id)
    pairs.add(uow.connection, kept, uow.now)
    return connected.union(*(scored.pair for scored in kept))


def _lock_component(uow: UnitOfWork, seeds: Iterable[int]) -> _Component:
    """All records connected to the seeds, locked, and still the whole component once they are."""
    while True:
        members = connected.lock(uow.connection, seeds)
        between = connected.between(uow.connection, seeds)
        if between.ids <= {record.id for record, _ in members}:
            return _Component.of(members, between)


@dataclass(frozen=True, slots=True)
class _Component:
    """Connected records.

    Attributes:
        all: active, subsumed and withdrawn ones, by id.
        active: by key.
        cleaned: of all, by id.
        survivor: for each subsumed record, the active one that stands for it.
        between: what was scored, decided and asked of them.
    """

    all: dict[int, Record]
    active: dict[RecordKey, Record]
    cleaned: dict[int, Cleaned]
    survivor: dict[int, int]
    between: connected.Between

    @classmethod
    def of(cls, members: Iterable[tuple[Record, Cleaned]], between: connected.Between) -> _Component:
        cleaned = {record.id: form for record, form in members}
        by_id = {record.id: record for record, _ in members}
        active = {record.key: record for record in by_id.values() if record.is_active}
        survivor = {}
        for record in by_id.values():
            standing = record
            while standing.merged_into is not None and standing.merged_into in by_id:
                standing = by_id[standing.merged_into]
            if record.state is RecordState.SUBSUMED and standing.is_active:
                survivor[record.id] = standing.id
        return cls(by_id, active, cleaned, survivor, between)

    def partition(self, app: MpiApplication) -> Partition:
        key_of = {record.id: key for key, record in self.active.items()}
        same: set[Pair] = set()
        different: set[Pair] = set()
        for pair, verdict in self.between.decisions:
            one, other = (key_of.get(self.survivor.get(i, i)) for i in pair)
            if one is not None and other is not None and one != other:
                (same if verdict == "same" else different).add(pair_of(one, other))
        edges = {}
        for scored in self.between.pairs:
            a, b = scored.pair
            if a not in key_of or b not in key_of:
                continue
            weighed = (
                evidence_json.from_json(scored.evidence)
                if scored.model == app.model.version
                else score(self.cleaned[a], self.cleaned[b], app.model)
            )
            edges[pair_of(key_of[a], key_of[b])] = weighed
        views = [RecordView(key, self.cleaned[record.id]) for key, record in self.active.items()]
        return partition(views, edges, same, different, app.model, app.policy)

    def founder(self, person: Iterable[RecordKey]) -> int:
        """The id of a person: that of the earliest of its records, those that others stand for included."""
        return min(record.id for key in person for record in self.following(self.active[key]))

    def following(self, record: Record) -> list[Record]:
        """The records that a survivor stands for, and itself."""
        return [record, *(self.all[i] for i, standing in self.survivor.items() if standing == record.id)]


def _write_links(
    uow: UnitOfWork, app: MpiApplication, component: _Component, decided: Partition, event_id: int, new: int | None
) -> set[int]:
    """Move the records whose person or grade changed; returns the persons who gained or lost a record."""
    assignments: list[links.Assignment] = []
    moved: set[int] = set()
    for person in decided.persons:
        founder = component.founder(person)
        for key in person:
            membership = decided.members[key]
            grade = str(membership.grade) if membership.evidence else None
            for record in component.following(component.active[key]):
                if record.person_id == founder and record.grade == grade and record.id != new:
                    continue
                if record.person_id != founder or record.id == new:
                    moved |= {record.person_id, founder}
                assignments.append(_assignment(component, record, founder, grade, membership, app.model.version))
    for record in component.all.values():
        if record.state is RecordState.WITHDRAWN:
            moved |= {record.person_id, record.id}
            if record.person_id != record.id:
                assignments.append(links.Assignment(record.id, record.id, None, "withdrawn", {}))
    links.assign(uow.connection, assignments, event_id=event_id, by=uow.caller.label, now=uow.now)
    return moved


def _assignment(
    component: _Component, record: Record, founder: int, grade: str | None, membership: Membership, model: str
) -> links.Assignment:
    if record.id in component.survivor:
        return links.Assignment(record.id, founder, grade, "merge", {"survivor": component.survivor[record.id]})
    if membership.evidence is None:
        return links.Assignment(record.id, founder, None, "alone", {})
    partner = component.active[next(key for key in membership.evidence if key != record.key)]
    evidence = {
        "pair": [record.id, partner.id],
        "versions": [record.version, partner.version],
        "weight_bits": membership.weight_bits,
    }
    how = "steward" if membership.by_steward else "score"
    return links.Assignment(record.id, founder, grade, how, evidence, model)


def _write_tasks(uow: UnitOfWork, component: _Component, decided: Partition, event_id: int) -> None:
    wanted = {}
    for request in decided.tasks:
        pair = pairs.ordered(*(component.active[key].id for key in request.pair))
        new = tasks.NewTask(str(request.kind), pair, request.weight_bits, {})
        wanted[new.key] = new
    gone = {r.id for r in component.all.values() if not r.is_active}
    open_now = component.between.open_tasks
    obsolete = [
        task_id
        for (kind, *pair), task_id in open_now.items()
        if (kind, *pair) not in wanted and (kind not in LEFT_TO_OTHERS or set(pair) & gone)
    ]
    if obsolete:
        tasks.close(uow.connection, obsolete, "facts changed", event_id=event_id, now=uow.now)
    fresh = [task for key, task in wanted.items() if key not in open_now]
    tasks.open_tasks(uow.connection, fresh, event_id=event_id, now=uow.now)


def announce(uow: UnitOfWork, app: MpiApplication, persons: Iterable[int], kind: str, event_id: int) -> None:
    """Publish what some persons are now: their active identifiers, none for one that was taken into another."""
    wanted = sorted(set(persons))
    members = records.keys_of_persons(uow.connection, wanted)
    for person_id in wanted:
        publish_person(uow, person_id, members.get(person_id, ()), kind, event_id)


def publish_person(uow: UnitOfWork, person_id: int, keys: Iterable[RecordKey], kind: str, event_id: int) -> None:
    """Publish that a person has these active identifiers, in order."""
    uow.publish(
        kind,
        f"person/{person_id}",
        {
            "person_id": person_id,
            "regional_id": regional_id(person_id),
            "records": [[key.domain, key.local_id] for key in keys],
            "event_id": event_id,
        },
    )

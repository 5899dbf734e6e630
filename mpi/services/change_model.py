"""Another match model: what it would decide differently, putting it in force, and linking everybody anew under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from ihe.errors import IheError
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain import blocking as blocking_rules
from mpi.domain.columns import Columns
from mpi.domain.edges import Edges, KeyTable, find_edges, weigh_edges
from mpi.domain.identity import RecordKey
from mpi.domain.linkage import divide
from mpi.domain.model import UNITS_PER_BIT, MatchModel
from mpi.domain.partition import Pair, Partition, RecordView, pair_of
from mpi.domain.scoring import score
from mpi.services.relink import LEFT_TO_OTHERS, relink
from mpi.store import blocking, bulk, events, evidence_json, models, pairs
from mpi.store.population import Present, present
from mpi.store.tasks import TaskKey

Progress = Callable[[int, int], None]
"""Told how many of how many groups of records are done."""


class Change(StrEnum):
    """How a decision differs."""

    LINK_GAINED = "link-gained"
    LINK_LOST = "link-lost"
    TASK_OPENED = "task-opened"
    TASK_CLOSED = "task-closed"


@dataclass(frozen=True, slots=True)
class Differing:
    """Two records about which another model decides differently.

    Attributes:
        before_bits, after_bits: what they weigh under the model in force and under the other.
    """

    change: Change
    first: RecordKey
    second: RecordKey
    before_bits: float
    after_bits: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How the decisions of a model differ from those in force.

    Attributes:
        records: active ones.
        records_moved: those whose person would be another.
        links_gained: pairs of records that would become one person.
        links_lost: pairs of records that would no longer be one person.
        grades_changed: records that stay but with another grade.
        tasks_opened: questions that would be asked.
        tasks_closed: questions that would no longer be asked.
        decisions: each decision that would differ.
    """

    records: int
    records_moved: int
    links_gained: int
    links_lost: int
    grades_changed: int
    tasks_opened: int
    tasks_closed: int
    decisions: tuple[Differing, ...] = ()


def shadow_run(uow: UnitOfWork, app: MpiApplication, model: MatchModel) -> Difference:
    """What the model would decide differently about the loaded population; nothing is written."""
    now = present(uow.connection)
    outcomes = list(_outcomes(now, app, model, find_edges([record.cleaned for record in now.records], model)))
    before = {record_id: now.persons[record_id] for record_id in now.ids}
    after = {record_id: founder for each in outcomes for record_id, founder in each.persons.items()}
    together = Counter((before[record_id], after[record_id]) for record_id in now.ids)
    kept = _pairs_within(together.values())
    moved = {record_id for record_id in now.ids if before[record_id] != after[record_id]}
    wanted = {task for each in outcomes for task in each.tasks}
    asked = {task for task in now.tasks if task[0] not in LEFT_TO_OTHERS}
    groups_before, groups_after = _groups(before), _groups(after)
    pairs_of: dict[Change, Iterable[tuple[int, int]]] = {
        Change.LINK_GAINED: _together(groups_after, before),
        Change.LINK_LOST: _together(groups_before, after),
        Change.TASK_OPENED: (task[1:] for task in sorted(wanted - now.tasks)),
        Change.TASK_CLOSED: (task[1:] for task in sorted(asked - wanted)),
    }
    place = {record_id: index for index, record_id in enumerate(now.ids)}
    return Difference(
        records=len(now.ids),
        records_moved=len(moved),
        links_gained=_pairs_within(Counter(after.values()).values()) - kept,
        links_lost=_pairs_within(Counter(before.values()).values()) - kept,
        grades_changed=sum(
            record_id not in moved and grade != now.grades[record_id]
            for each in outcomes
            for record_id, grade in each.grades.items()
        ),
        tasks_opened=len(wanted - now.tasks),
        tasks_closed=len(asked - wanted),
        decisions=tuple(
            _differing(change, now.records[place[a]], now.records[place[b]], app.model, model)
            for change, found in pairs_of.items()
            for a, b in found
            if a in place and b in place
        ),
    )


def _groups(persons: dict[int, int]) -> list[list[int]]:
    """The records of each person, the persons of one record left out."""
    groups: dict[int, list[int]] = {}
    for record_id, person in persons.items():
        groups.setdefault(person, []).append(record_id)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _together(groups: Iterable[Sequence[int]], elsewhere: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Pairs of records of one group that another division keeps apart."""
    for group in groups:
        if len({elsewhere[record_id] for record_id in group}) > 1:
            yield from ((a, b) for a, b in combinations(group, 2) if elsewhere[a] != elsewhere[b])


def _differing(change: Change, one: RecordView, other: RecordView, before: MatchModel, after: MatchModel) -> Differing:
    weights = (score(one.cleaned, other.cleaned, model).weight_bits for model in (before, after))
    return Differing(change, one.key, other.key, *weights)


def find_model(uow: UnitOfWork, version: str) -> MatchModel:
    """A kept model.

    Raises:
        IheError: there is none of that version.
    """
    found = models.get(uow.connection, version)
    if found is None:
        raise IheError(f"there is no model {version}")
    return found


def activate_model(uow: UnitOfWork, model: MatchModel, note: str = "") -> None:
    """Put a model in force: services use it from their next start, records keep their links until linked anew."""
    former = models.active(uow.connection)
    models.add(uow.connection, model, note=note, now=uow.now)
    models.activate(uow.connection, model.version, by=uow.caller.label, now=uow.now)
    events.append(
        uow.connection,
        uow.now,
        uow.caller,
        "model.activated",
        {"version": model.version, "before": former.version if former else None, "reason": note},
    )


def relink_everybody(uow: UnitOfWork, app: MpiApplication, progress: Progress = lambda done, total: None) -> int:
    """Weigh every pair under the model in force and link anew what comes out differently.

    One transaction: other writers wait, and a run that is stopped leaves nothing behind.

    Returns:
        How many groups of connected records were linked anew.
    """
    connection = uow.connection
    bulk.lock_writers(connection)
    now = present(connection)
    keys = KeyTable(blocking_rules.keys(record.cleaned, french=app.model.french) for record in now.records)
    edges = weigh_edges(Columns(record.cleaned for record in now.records), keys.pairs(), app.model)
    if now.ids and set(blocking_rules.keys(now.records[0].cleaned, french=app.model.french)) != set(
        blocking.keys_of(connection, now.ids[0])
    ):
        # A generic model and a French one look for records by other keys.
        values, owners = keys.by_key()
        blocking.remove_all(connection)
        bulk.write_keys(connection, values, np.array(now.ids, dtype=np.int64)[owners])
    event_id = events.append(connection, uow.now, uow.caller, "population.relinked", {"model": app.model.version})
    pairs.remove_all(connection)
    bulk.copy_pairs(connection, _pair_rows(now, app.model, edges), model=app.model.version, now=uow.now)
    bulk.analyze(connection)
    differing = [next(iter(each.persons)) for each in _outcomes(now, app, app.model, edges) if _differs(now, each)]
    for done, seed in enumerate(differing, 1):
        relink(uow, app, [seed], event_id, rescore=False)
        progress(done, len(differing))
    return len(differing)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A connected group of records as a model divides it.

    Attributes:
        persons: founder by record.
        grades: as stored, by record.
        tasks: what would be asked.
    """

    persons: dict[int, int]
    grades: dict[int, str | None]
    tasks: frozenset[TaskKey]


def _outcomes(now: Present, app: MpiApplication, model: MatchModel, edges: Edges) -> Iterator[_Outcome]:
    key_of = {record_id: record.key for record_id, record in zip(now.ids, now.records, strict=True)}
    id_of = {key: record_id for record_id, key in key_of.items()}
    same, different = (_keyed(decided, key_of) for decided in (now.same, now.different))
    for decided in divide(now.records, edges, model, app.policy, same, different):
        yield _outcome(decided, id_of)


def _keyed(decided: Iterable[tuple[int, int]], key_of: dict[int, RecordKey]) -> list[Pair]:
    return [pair_of(key_of[one], key_of[other]) for one, other in decided if one in key_of and other in key_of]


def _outcome(decided: Partition, id_of: dict[RecordKey, int]) -> _Outcome:
    persons, grades = {}, {}
    for person in decided.persons:
        founder = min(id_of[key] for key in person)
        for key in person:
            membership = decided.members[key]
            persons[id_of[key]] = founder
            grades[id_of[key]] = str(membership.grade) if membership.evidence else None
    asked = frozenset((str(task.kind), *pairs.ordered(*(id_of[key] for key in task.pair))) for task in decided.tasks)
    return _Outcome(persons, grades, asked)


def _differs(now: Present, outcome: _Outcome) -> bool:
    records = outcome.persons
    if any(now.persons[i] != outcome.persons[i] or now.grades[i] != outcome.grades[i] for i in records):
        return True
    asked = {task for i in records for task in now.tasks_of.get(i, ()) if task[0] not in LEFT_TO_OTHERS}
    return not outcome.tasks <= now.tasks or not asked <= outcome.tasks


def _pair_rows(now: Present, model: MatchModel, edges: Edges) -> Iterator[bulk.PairRow]:
    weights = (edges.scored.weight_units / UNITS_PER_BIT).tolist()
    ends = zip(edges.left.tolist(), edges.right.tolist(), strict=True)
    for (one, other), bits, evidence in zip(ends, weights, evidence_json.texts(edges.scored, model), strict=True):
        yield *pairs.ordered(now.ids[one], now.ids[other]), bits, evidence


def _pairs_within(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)

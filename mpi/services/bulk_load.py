"""Load many records at once: linked in memory by the same keys, weights and rules as online, written by COPY.

One transaction: a load that fails or is killed leaves nothing behind and is simply run again. Rows that say what is
already known of a record are recognised many at once, so that what was loaded before is passed over quickly; the other
rows about known records are updates and take the online way after the new ones. Records are kept as columns of numbers
and packed JSON, so that a million of them fit in two gigabytes.
"""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import orjson

from ihe.errors import Conflict, IheError
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain import blocking as blocking_rules
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.columns import Columns
from mpi.domain.edges import Edges, Ints, KeyTable, components, weigh_edges
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.linkage import members_of
from mpi.domain.model import UNITS_PER_BIT, MatchModel
from mpi.domain.partition import RecordView, TaskRequest, pair_of, partition
from mpi.domain.scored_pairs import GRADES, NO_GRADE
from mpi.domain.settling import settle
from mpi.services.feed_record import FeedOutcome, feed_record
from mpi.services.relink import publish_person, relink
from mpi.services.watch_record import doubt
from mpi.store import bulk, events, evidence_json, pairs, tasks
from mpi.store.traits_json import json_text

Progress = Callable[[str, int], None]
"""Told of progress: the phase, and how many records were read in it (0: it begins)."""

READING, COMPARING, DECIDING, WRITING_RECORDS, WRITING_LINKS, UPDATING = (
    "reading and cleaning",
    "blocking and comparing",
    "deciding",
    "writing records",
    "writing links",
    "updating",
)
LINKING = (COMPARING, DECIDING, WRITING_LINKS)
"""The phases that link; the others read and store."""
_REPORT_EVERY = 5000
_COMPARED_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One row to load."""

    key: RecordKey
    traits: Traits
    source_updated_at: datetime | None


@dataclass(slots=True)
class BulkResult:
    """What a load did, by outcome of its rows; refused ones with the reason.

    Attributes:
        compared: pairs of records that shared a blocking key.
        seconds: how long each phase took.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[tuple[RecordKey, IheError]] = field(default_factory=list)
    compared: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


class _Population:
    """Everybody, known and new, by position; new ones come last, in order of id.

    Attributes:
        id_of: of every record by name, in whatever state.
        model: in force.
        ids, keys, blocked: of those that are linked, by position.
        first_new: position of the first new record.
        doubtful: ids of the new ones whose identity their site doubts.
    """

    def __init__(self, id_of: dict[RecordKey, int], model: MatchModel) -> None:
        self.id_of = id_of
        self.model = model
        self.ids = array("q")
        self.keys: list[RecordKey] = []
        self.blocked = KeyTable()
        self.first_new = 0
        self.doubtful: list[int] = []
        self._forms: list[str] = []

    def add(self, record_id: int, key: RecordKey, form: Cleaned) -> str:
        """Take one more; returns its matching form as JSON."""
        packed = json_text(form.to_json())
        self.ids.append(record_id)
        self.keys.append(key)
        self.blocked.add(blocking_rules.keys(form, french=self.model.french))
        self._forms.append(packed)
        return packed

    def view(self, index: int) -> RecordView:
        """What deciding needs of a record."""
        return RecordView(self.keys[index], Cleaned.from_json(orjson.loads(self._forms[index])))


class _Clock:
    """Notes how long each phase takes, and tells that it begins."""

    def __init__(self, seconds: dict[str, float], progress: Progress) -> None:
        self._seconds = seconds
        self._progress = progress
        self._phase = ""
        self._since = 0.0

    def begin(self, phase: str) -> None:
        self.end()
        self._phase, self._since = phase, time.monotonic()
        self._progress(phase, 0)

    def end(self) -> None:
        if self._phase:
            elapsed = time.monotonic() - self._since
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + elapsed
        self._phase = ""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Make millions of objects that stay: looking for cycles among them, again and again, took a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_uncollected()
def bulk_load(
    uow: UnitOfWork, app: MpiApplication, rows: Iterable[BulkRow], progress: Progress = lambda phase, count: None
) -> BulkResult:
    """Load the rows and link them with each other and with everybody known."""
    result = BulkResult()
    clock = _Clock(result.seconds, progress)
    clock.begin(READING)
    bulk.lock_writers(uow.connection)
    population = _Population(bulk.known_keys(uow.connection), app.model)
    event_id = events.append(uow.connection, uow.now, uow.caller, "bulk.loaded", {})
    updates: list[BulkRow] = []
    known = _KnownRows(uow, updates)
    columns = Columns(_everybody(uow, rows, population, known, progress))
    result.unchanged += known.unchanged
    result.created = len(population.ids) - population.first_new
    if result.created:
        clock.begin(COMPARING)
        edges = weigh_edges(columns, population.blocked.pairs(), app.model)
        result.compared = edges.weighed
        del columns
        clock.begin(DECIDING)
        decided = _decide(app, population, edges)
        clock.begin(WRITING_RECORDS)
        _write_records(uow, population, decided, event_id)
        clock.begin(WRITING_LINKS)
        _write_links(uow, app, population, edges, decided, event_id)
    clock.begin(UPDATING)
    _update(uow, app, updates, result, progress)
    clock.end()
    return result


class _KnownRows:
    """Sets rows about known records aside, those apart that say nothing new.

    Attributes:
        unchanged: how many said nothing new.
    """

    def __init__(self, uow: UnitOfWork, updates: list[BulkRow]) -> None:
        self.unchanged = 0
        self._uow = uow
        self._updates = updates
        self._changed: set[int] = set()
        self._waiting: list[tuple[int, BulkRow]] = []

    def add(self, record_id: int, row: BulkRow) -> None:
        """Take the next row about a record."""
        self._waiting.append((record_id, row))
        if len(self._waiting) >= _COMPARED_AT_ONCE:
            self.compare()

    def compare(self) -> None:
        """Look at those that wait; a row about a record that an earlier one changes is not known to repeat anything."""
        stated = [(record_id, row.traits, row.source_updated_at) for record_id, row in self._waiting]
        known = bulk.say_nothing_new(self._uow.connection, stated)
        for place, (record_id, row) in enumerate(self._waiting):
            if place in known and record_id not in self._changed:
                self.unchanged += 1
            else:
                self._changed.add(record_id)
                self._updates.append(row)
        self._waiting = []


def _everybody(
    uow: UnitOfWork, rows: Iterable[BulkRow], population: _Population, known: _KnownRows, progress: Progress
) -> Iterator[Cleaned]:
    """The known records, then the new ones, which are staged in passing; rows about known ones are set aside."""
    for record_id, key, form in bulk.active_forms(uow.connection):
        population.add(record_id, key, form)
        yield form
    population.first_new = len(population.ids)
    record_id = bulk.next_record_id(uow.connection)
    with bulk.Stage(uow.connection) as stage:
        for row in rows:
            if row.key in population.id_of:
                known.add(population.id_of[row.key], row)
                continue
            population.id_of[row.key] = record_id
            form = clean(row.traits)
            if row.traits.is_doubtful:
                population.doubtful.append(record_id)
            packed = population.add(record_id, row.key, form)
            stage.add(record_id, row.key, row.traits, packed, row.source_updated_at)
            yield form
            record_id += 1
            if record_id % _REPORT_EVERY == 0:
                progress(READING, _REPORT_EVERY)
    known.compare()
    if len(population.ids) > population.first_new:
        bulk.take_record_ids(uow.connection, record_id - 1)


@dataclass(slots=True)
class _Decided:
    """What becomes of the new records. By place among them unless said otherwise.

    Attributes:
        persons: id of the founder of the person of each.
        partners: id of the record with which each is linked best, or -1.
        grades: index in :data:`GRADES`, or :data:`NO_GRADE`.
        weight_units: of the pair with the partner, in 1/256 bit.
        tasks: what people are asked.
        joining: ids of those connected with known records: written alone, then linked the online way.
        together: ids of the persons of several records, with their positions.
    """

    persons: Ints
    partners: Ints
    grades: Ints
    weight_units: Ints
    tasks: list[TaskRequest]
    joining: list[int]
    together: dict[int, list[int]]

    def texts_of_grades(self) -> list[str | None]:
        names = [str(grade) for grade in GRADES]
        return [None if grade == NO_GRADE else names[grade] for grade in self.grades.tolist()]


def _decide(app: MpiApplication, population: _Population, edges: Edges) -> _Decided:
    ids, first = np.array(population.ids, dtype=np.int64), population.first_new
    root = components(len(ids), edges.left, edges.right)
    among_new = edges.chosen(root[edges.left] >= first)
    settled = settle(population.keys, among_new, root, app.model, app.policy)
    partner = settled.partner
    persons = np.where(partner >= 0, ids[root], ids)
    partners = np.where(partner >= 0, ids[partner], -1)
    grades, weights, requests = settled.grades, settled.weight_units, list(settled.tasks)
    edges_of = settled.open_edges(among_new)
    is_open = np.isin(root, list(edges_of))
    open_positions = np.flatnonzero(is_open)
    for of, places in members_of(root[open_positions]).items():
        indices = open_positions[places].tolist()
        scored = {
            pair_of(population.keys[among_new.left[e]], population.keys[among_new.right[e]]): among_new.scored.one(
                e, app.model
            )
            for e in edges_of[of]
        }
        part = partition([population.view(index) for index in indices], scored, (), (), app.model, app.policy)
        requests += part.tasks
        position = {population.keys[index]: index for index in indices}
        for person in part.persons:
            founder = min(population.id_of[key] for key in person)
            for key in person:
                index, member = position[key], part.members[key]
                persons[index] = founder
                if member.evidence is not None:
                    (other,) = set(member.evidence) - {key}
                    partners[index], grades[index] = population.id_of[other], member.grade.rank
                    weights[index] = round(member.weight_bits * UNITS_PER_BIT)
    joining = np.flatnonzero((root < first) & (np.arange(len(ids)) >= first))
    linked = first + np.flatnonzero(partners[first:] >= 0)
    positions = linked.tolist()
    together = {
        person_id: [positions[place] for place in places] for person_id, places in members_of(persons[linked]).items()
    }
    return _Decided(
        persons[first:],
        partners[first:],
        grades[first:],
        weights[first:],
        requests,
        ids[joining].tolist(),
        together,
    )


def _write_records(uow: UnitOfWork, population: _Population, decided: _Decided, event_id: int) -> None:
    ids = np.array(population.ids, dtype=np.int64)
    new, grades = ids[population.first_new :], decided.texts_of_grades()
    bulk.write_records(uow.connection, new, decided.persons, grades, event_id=event_id, now=uow.now)
    keys, owners = population.blocked.by_key()
    of_new = owners >= population.first_new
    bulk.write_keys(uow.connection, keys[of_new], ids[owners[of_new]])
    bulk.analyze(uow.connection, bulk.RECORD_TABLES)


def _write_links(
    uow: UnitOfWork, app: MpiApplication, population: _Population, edges: Edges, decided: _Decided, event_id: int
) -> None:
    connection = uow.connection
    bulk.copy_links(
        connection,
        _link_rows(population, decided),
        model=app.model.version,
        event_id=event_id,
        now=uow.now,
        by=uow.caller.label,
    )
    bulk.copy_pairs(connection, _pair_rows(app, population, edges), model=app.model.version, now=uow.now)
    asked = [
        tasks.NewTask(
            str(request.kind),
            pairs.ordered(*(population.id_of[key] for key in request.pair)),
            request.weight_bits,
            {},
        )
        for request in decided.tasks
    ]
    asked += map(doubt, population.doubtful)
    tasks.open_tasks(connection, asked, event_id=event_id, now=uow.now)
    bulk.analyze(connection, bulk.LINK_TABLES)
    for person_id, indices in decided.together.items():
        publish_person(uow, person_id, sorted(population.keys[i] for i in indices), "person.changed", event_id)
    for record_id in decided.joining:
        relink(uow, app, [record_id], event_id, rescore=False)


def _link_rows(population: _Population, decided: _Decided) -> Iterator[bulk.LinkRow]:
    columns = (decided.persons, decided.partners, decided.weight_units)
    rows = zip(
        population.ids[population.first_new :],
        *(column.tolist() for column in columns),
        decided.texts_of_grades(),
        strict=True,
    )
    for record_id, person_id, partner, units, grade in rows:
        if partner < 0:
            yield record_id, record_id, None, "alone", "{}"
        else:
            evidence = f'{{"pair":[{record_id},{partner}],"versions":[1,1],"weight_bits":{units / UNITS_PER_BIT!r}}}'
            yield record_id, person_id, grade, "score", evidence


def _pair_rows(app: MpiApplication, population: _Population, edges: Edges) -> Iterator[bulk.PairRow]:
    new = edges.chosen(edges.right >= population.first_new)
    ids = np.array(population.ids, dtype=np.int64)
    weights = (new.scored.weight_units / UNITS_PER_BIT).tolist()
    texts = evidence_json.texts(new.scored, app.model)
    return zip(ids[new.left].tolist(), ids[new.right].tolist(), weights, texts, strict=True)


def _update(
    uow: UnitOfWork, app: MpiApplication, updates: list[BulkRow], result: BulkResult, progress: Progress
) -> None:
    """Feed the rows about known records one by one."""
    for done, row in enumerate(updates, 1):
        try:
            outcome = feed_record(
                uow,
                app,
                row.key,
                row.traits,
                source_updated_at=row.source_updated_at,
                only_if_newer=row.source_updated_at is not None,
            ).outcome
        except Conflict as error:
            # Refused before anything was written: the id was merged into another one.
            result.refused.append((row.key, error))
            continue
        result.updated += outcome is FeedOutcome.UPDATED
        result.unchanged += outcome is not FeedOutcome.UPDATED
        if done % _REPORT_EVERY == 0:
            progress(UPDATING, _REPORT_EVERY)

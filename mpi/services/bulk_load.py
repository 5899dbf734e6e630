"""Load many records at once: linked in memory by the same keys, weights and rules as online, written by COPY.

One transaction: a load that fails or is killed leaves nothing behind and is simply run again. Rows about records that
are already known are updates and take the online way after the new ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ihe.errors import Conflict, IheError
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain import blocking as blocking_rules
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.linkage import components, find_edges
from mpi.domain.partition import Membership, Partition, RecordView, pair_of, partition
from mpi.domain.scoring import PairScore, score
from mpi.services.feed_record import FeedOutcome, feed_record
from mpi.services.relink import announce, relink
from mpi.store import bulk, events, evidence_json, pairs, tasks
from mpi.store.traits_json import json_text

Phase = Callable[[str, int, int], None]
"""Told of progress: phase, done, total (0: not known)."""

_REPORT_EVERY = 5000


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One row to load."""

    key: RecordKey
    traits: Traits
    source_updated_at: datetime | None


@dataclass(slots=True)
class BulkResult:
    """What a load did, by outcome of its rows; refused ones with the reason."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[tuple[RecordKey, IheError]] = field(default_factory=list)


@dataclass(slots=True)
class _Population:
    """Everybody, known and new, by position; new ones come last.

    Attributes:
        first_new: position of the first new record.
    """

    ids: list[int] = field(default_factory=list)
    keys: list[RecordKey] = field(default_factory=list)
    forms: list[Cleaned] = field(default_factory=list)
    first_new: int = 0


def bulk_load(
    uow: UnitOfWork, app: MpiApplication, rows: Iterable[BulkRow], phase: Phase = lambda name, done, total: None
) -> BulkResult:
    """Load the rows and link them with each other and with everybody known."""
    connection = uow.connection
    bulk.lock_writers(connection)
    known = bulk.known_keys(connection)
    population = _Population()
    for record_id, key, form in bulk.active_forms(connection):
        population.ids.append(record_id)
        population.keys.append(key)
        population.forms.append(form)
    population.first_new = len(population.ids)
    event_id = events.append(connection, uow.now, uow.caller, "bulk.loaded", {})
    bulk.create_stage(connection)
    updates: list[BulkRow] = []
    blocked: list[tuple[int, ...]] = [blocking_rules.keys(form) for form in population.forms]
    bulk.copy_rows(connection, _staged(rows, known, population, blocked, updates, phase))
    result = BulkResult(created=len(population.ids) - population.first_new)
    if result.created:
        _renumber(uow, population)
        _link(uow, app, population, blocked, event_id, phase)
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
            phase("updating", done, len(updates))
    return result


def _staged(
    rows: Iterable[BulkRow],
    known: dict[RecordKey, int],
    population: _Population,
    blocked: list[tuple[int, ...]],
    updates: list[BulkRow],
    phase: Phase,
) -> Iterator[tuple[object, ...]]:
    """Rows for the staging table; those about known records are set aside."""
    new: set[RecordKey] = set()
    for row in rows:
        if row.key in known or row.key in new:
            updates.append(row)
            continue
        new.add(row.key)
        form = clean(row.traits)
        keys = blocking_rules.keys(form)
        seq = len(population.ids)
        population.ids.append(seq)
        population.keys.append(row.key)
        population.forms.append(form)
        blocked.append(keys)
        if len(new) % _REPORT_EVERY == 0:
            phase("reading", len(new), 0)
        yield bulk.stage_row(seq, row.key, row.traits, form, keys, row.source_updated_at)


def _renumber(uow: UnitOfWork, population: _Population) -> None:
    """Give the new records, staged by position, their ids."""
    count = len(population.ids) - population.first_new
    first_id = bulk.reserve_ids(uow.connection, count)
    population.ids[population.first_new :] = range(first_id, first_id + count)
    bulk.shift_stage(uow.connection, first_id - population.first_new)


def _link(
    uow: UnitOfWork,
    app: MpiApplication,
    population: _Population,
    blocked: list[tuple[int, ...]],
    event_id: int,
    phase: Phase,
) -> None:
    phase("comparing", 0, 0)
    edges = find_edges(population.forms, app.model, blocked)
    root = components(len(population.ids), edges.left, edges.right).tolist()
    touched = set(root[population.first_new :])
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, of in enumerate(root):
        if of in touched:
            members[of].append(index)
    edges_of: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for one, other in zip(edges.left.tolist(), edges.right.tolist(), strict=True):
        if other >= population.first_new:
            edges_of[root[one]].append((one, other))
    writer = _Writer(uow, app, population, event_id)
    for done, (of, indices) in enumerate(members.items(), 1):
        scored = {
            (one, other): score(population.forms[one], population.forms[other], app.model)
            for one, other in edges_of.get(of, ())
        }
        writer.take_pairs(scored)
        if indices[0] < population.first_new:
            writer.take_joining([i for i in indices if i >= population.first_new])
        else:
            views = [RecordView(population.keys[i], population.forms[i]) for i in indices]
            by_key = {pair_of(population.keys[a], population.keys[b]): weighed for (a, b), weighed in scored.items()}
            writer.take_persons(indices, partition(views, by_key, (), (), app.model, app.policy))
        if done % _REPORT_EVERY == 0:
            phase("linking", done, len(members))
    phase("writing", 0, 0)
    writer.write()


class _Writer:
    """Collects what a load decided and writes it."""

    def __init__(self, uow: UnitOfWork, app: MpiApplication, population: _Population, event_id: int) -> None:
        self._uow = uow
        self._app = app
        self._population = population
        self._event_id = event_id
        self._links: list[tuple[int, int, str | None, str, str]] = []
        self._pairs: list[tuple[int, int, float, str]] = []
        self._tasks: list[tasks.NewTask] = []
        self._together: list[int] = []
        self._joining: list[int] = []

    def take_pairs(self, scored: dict[tuple[int, int], PairScore]) -> None:
        """Note the pairs of a component."""
        for (one, other), weighed in scored.items():
            a, b = pairs.ordered(self._population.ids[one], self._population.ids[other])
            self._pairs.append((a, b, weighed.weight_bits, json_text(evidence_json.to_json(weighed))))

    def take_joining(self, indices: list[int]) -> None:
        """Note new records that are connected to known ones: they are written alone, and linked the online way."""
        for index in indices:
            record_id = self._population.ids[index]
            self._links.append((record_id, record_id, None, "alone", "{}"))
            self._joining.append(record_id)

    def take_persons(self, indices: list[int], decided: Partition) -> None:
        """Note the persons of a component of new records only."""
        ids = {self._population.keys[i]: self._population.ids[i] for i in indices}
        for person in decided.persons:
            founder = min(ids[key] for key in person)
            if len(person) > 1:
                self._together.append(founder)
            for key in person:
                self._links.append(_link_row(ids, key, founder, decided.members[key]))
        for request in decided.tasks:
            pair = pairs.ordered(*(ids[key] for key in request.pair))
            self._tasks.append(tasks.NewTask(str(request.kind), pair, request.weight_bits, {}))

    def write(self) -> None:
        """Write everything."""
        uow, connection = self._uow, self._uow.connection
        bulk.copy_links(connection, self._links)
        bulk.write_records(connection, event_id=self._event_id, now=uow.now)
        bulk.write_links(connection, event_id=self._event_id, now=uow.now, by=uow.caller.label)
        bulk.copy_pairs(connection, self._pairs)
        bulk.write_pairs(connection, model=self._app.model.version, now=uow.now)
        tasks.open_tasks(connection, self._tasks, event_id=self._event_id, now=uow.now)
        bulk.analyze(connection)
        announce(uow, self._app, self._together, "person.changed", self._event_id)
        for record_id in self._joining:
            relink(uow, self._app, [record_id], self._event_id, rescore=False)


def _link_row(
    ids: dict[RecordKey, int], key: RecordKey, founder: int, membership: Membership
) -> tuple[int, int, str | None, str, str]:
    if membership.evidence is None:
        return ids[key], founder, None, "alone", "{}"
    partner = next(other for other in membership.evidence if other != key)
    evidence = {"pair": [ids[key], ids[partner]], "weight_bits": membership.weight_bits}
    how = "steward" if membership.by_steward else "score"
    return ids[key], founder, str(membership.grade), how, json_text(evidence)

"""Feeding a made-up population record by record, also from a process of its own, and what the index then believes."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from bench.population import generate
from ihe.caller import Caller
from ihe.unit_of_work import Database
from mpi.application import MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from mpi.services.bulk_load import BulkRow
from mpi.services.feed_record import feed_record
from mpi.store import invariants
from mpi.translate.bulk_row import COLUMNS, read_row
from region.region_table import load_region

TABLE = Path(__file__).resolve().parents[1] / "fixtures" / "region.toml"
_DEADLOCK = "40P01"
_ATTEMPTS = 10


class Population(NamedTuple):
    """What to make: records, seed and profile of errors."""

    count: int
    seed: int
    profile: str

    def rows(self) -> list[BulkRow]:
        """The records, the same each time."""
        found = []
        for made in generate(self.count, seed=self.seed, profile=self.profile):
            key, traits, updated_at = read_row({name: made.get(name) for name in COLUMNS})
            found.append(BulkRow(key, traits, updated_at))
        return found


class State(NamedTuple):
    """Persons by the names of their records, open questions, grades of links."""

    persons: frozenset[frozenset[tuple[str, str]]]
    tasks: frozenset[tuple[str, frozenset[tuple[str, str]]]]
    grades: frozenset[tuple[str, str, str | None]]


def feed(url: str, rows: list[BulkRow]) -> None:
    """Each record in a transaction of its own, run again after a deadlock, as the service does."""
    index = MpiApplication(load_region(TABLE), default_french(), LinkPolicy.calibrated())
    engine = create_engine(url)
    for row in rows:
        for attempt in range(_ATTEMPTS):
            try:
                with Database(engine).unit(Caller("test")) as uow:
                    feed_record(
                        uow,
                        index,
                        row.key,
                        row.traits,
                        source_updated_at=row.source_updated_at,
                        only_if_newer=row.source_updated_at is not None,
                    )
                break
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", "") != _DEADLOCK or attempt == _ATTEMPTS - 1:
                    raise
    engine.dispose()


def feed_shuffled(url: str, population: Population, order: int) -> None:
    """Feed a population in an order of its own."""
    rows = population.rows()
    random.Random(order).shuffle(rows)
    feed(url, rows)


def feed_from_processes(url: str, population: Population, orders: tuple[int, ...]) -> None:
    """Feed the same population at once from several processes, each in another order."""
    started = multiprocessing.get_context("spawn")
    processes = [started.Process(target=feed_shuffled, args=(url, population, order)) for order in orders]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(orders)


def state(url: str) -> State:
    """What the index believes; its invariants hold."""
    engine = create_engine(url)
    persons: dict[int, set[tuple[str, str]]] = {}
    with engine.connect() as connection:
        assert invariants.violations(connection) == []
        for row in connection.execute(text("SELECT domain, local_id, person_id FROM record WHERE state = 'active'")):
            persons.setdefault(row.person_id, set()).add((row.domain, row.local_id))
        tasks = connection.execute(
            text(
                "SELECT t.kind, a.domain, a.local_id, b.domain, b.local_id FROM task t JOIN record a ON"
                " a.id = t.record_a JOIN record b ON b.id = t.record_b WHERE t.state = 'open'"
            )
        ).all()
        grades = connection.execute(text("SELECT domain, local_id, grade FROM record")).all()
    engine.dispose()
    return State(
        frozenset(map(frozenset, persons.values())),
        frozenset((kind, frozenset([(a, b), (c, d)])) for kind, a, b, c, d in tasks if kind != "suspected-overlay"),
        frozenset((domain, local_id, grade) for domain, local_id, grade in grades),
    )

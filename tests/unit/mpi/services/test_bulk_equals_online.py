"""A bulk load ends in the same persons and tasks as feeding the same records one by one."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from bench.population import generate
from ihe.caller import Caller
from ihe.unit_of_work import Database
from mpi.services.bulk_load import BulkRow, bulk_load
from mpi.services.feed_record import feed_record
from mpi.store import invariants
from mpi.translate.bulk_row import COLUMNS, read_row

RECORDS = 700


@pytest.fixture(scope="module")
def rows():
    found = []
    for made in generate(RECORDS, seed=11, profile="hard"):
        row = made[0] if isinstance(made, tuple) else made
        key, traits, updated_at = read_row({name: row.get(name) for name in COLUMNS})
        found.append(BulkRow(key, traits, updated_at))
    return found


def _partition(engine):
    groups: dict[int, set[tuple[str, str]]] = {}
    with engine.connect() as connection:
        assert invariants.violations(connection) == []
        for row in connection.execute(text("SELECT domain, local_id, person_id FROM record WHERE state = 'active'")):
            groups.setdefault(row.person_id, set()).add((row.domain, row.local_id))
        tasks = connection.execute(
            text(
                "SELECT t.kind, a.domain, a.local_id, b.domain, b.local_id FROM task t JOIN record a ON"
                " a.id = t.record_a JOIN record b ON b.id = t.record_b WHERE t.state = 'open'"
            )
        ).all()
        grades = connection.execute(text("SELECT domain, local_id, grade FROM record")).all()
    pairs = {(kind, frozenset([(a, b), (c, d)])) for kind, a, b, c, d in tasks if kind != "suspected-overlay"}
    return {frozenset(group) for group in groups.values()}, pairs, {tuple(row) for row in grades}


@pytest.fixture(scope="module")
def online(rows, index, embedded_server, template_database, clone):
    with clone(embedded_server, template_database) as url:
        engine = create_engine(url)
        for start in range(0, len(rows), 50):
            with Database(engine).unit(Caller("test")) as uow:
                for row in rows[start : start + 50]:
                    feed_record(
                        uow,
                        index,
                        row.key,
                        row.traits,
                        source_updated_at=row.source_updated_at,
                        only_if_newer=row.source_updated_at is not None,
                    )
        found = _partition(engine)
        engine.dispose()
    return found


@pytest.mark.parametrize("parts", [1, 3])
def test_bulk_load_in_one_or_several_files(database_url, rows, index, online, parts):
    engine = create_engine(database_url)
    size = len(rows) // parts + 1
    for start in range(0, len(rows), size):
        with Database(engine).unit(Caller("test")) as uow:
            bulk_load(uow, index, rows[start : start + size])
    assert _partition(engine) == online
    engine.dispose()


def test_loading_again_changes_nothing(database_url, rows, index):
    engine = create_engine(database_url)
    for _ in range(2):
        with Database(engine).unit(Caller("test")) as uow:
            result = bulk_load(uow, index, rows[:300])
    assert (result.created, result.updated) == (0, 0)
    engine.dispose()

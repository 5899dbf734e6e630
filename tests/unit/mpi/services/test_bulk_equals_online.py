"""A bulk load ends in the same persons and tasks as feeding the same records one by one."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from ihe.caller import Caller
from ihe.unit_of_work import Database
from mpi.services.bulk_load import bulk_load
from tests.population_feed import Population, feed, feed_from_processes, state

POPULATION = Population(700, seed=11, profile="hard")


@pytest.fixture(scope="module")
def rows():
    return POPULATION.rows()


@pytest.fixture(scope="module")
def online(rows, embedded_server, template_database, clone):
    with clone(embedded_server, template_database) as url:
        feed(url, rows)
        return state(url)


@pytest.mark.parametrize("parts", [1, 3])
def test_bulk_load_in_one_or_several_files(database_url, rows, index, online, parts):
    engine = create_engine(database_url)
    size = len(rows) // parts + 1
    for start in range(0, len(rows), size):
        with Database(engine).unit(Caller("test")) as uow:
            bulk_load(uow, index, rows[start : start + size])
    engine.dispose()
    assert state(database_url) == online


def test_loading_again_changes_nothing(database_url, rows, index):
    engine = create_engine(database_url)
    for _ in range(2):
        with Database(engine).unit(Caller("test")) as uow:
            result = bulk_load(uow, index, rows[:300])
    assert (result.created, result.updated) == (0, 0)
    engine.dispose()


def test_two_processes_that_feed_at_once_end_where_one_would(database_url, embedded_server, template_database, clone):
    patients = Population(150, seed=12, profile="hard")
    feed(database_url, patients.rows())
    with clone(embedded_server, template_database) as url:
        feed_from_processes(url, patients, (1, 2))
        assert state(url) == state(database_url)

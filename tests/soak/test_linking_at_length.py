"""What CI asks of hundreds of records, asked of thousands: bulk ends where online does, two servers where one does."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from ihe.caller import Caller
from ihe.unit_of_work import Database
from mpi.application import MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from mpi.services.bulk_load import bulk_load
from region.region_table import load_region
from tests.population_feed import TABLE, Population, feed, feed_from_processes, feed_shuffled, state

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("profile", ["realistic", "hard"])
def test_twenty_thousand_records_in_bulk_or_one_by_one(
    database_url, embedded_server, template_database, clone, profile
):
    rows = Population(20_000, seed=21, profile=profile).rows()
    index = MpiApplication(load_region(TABLE), default_french(), LinkPolicy.calibrated())
    engine = create_engine(database_url)
    with Database(engine).unit(Caller("test")) as uow:
        bulk_load(uow, index, rows)
    engine.dispose()
    with clone(embedded_server, template_database) as url:
        feed(url, rows)
        assert state(url) == state(database_url)


def test_two_servers_that_feed_five_thousand_patients_at_once(database_url, embedded_server, template_database, clone):
    patients = Population(5_000, seed=22, profile="hard")
    feed_shuffled(database_url, patients, order=0)
    with clone(embedded_server, template_database) as url:
        feed_from_processes(url, patients, (1, 2))
        assert state(url) == state(database_url)

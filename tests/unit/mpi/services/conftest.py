"""The index over a real database, with the region's table of domains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from ihe.caller import Caller
from ihe.unit_of_work import Database, UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from region.region_table import load_region

REGION = Path(__file__).resolve().parents[4] / "fixtures" / "region.toml"


@pytest.fixture(scope="session")
def index() -> MpiApplication:
    """The index as the region wires it."""
    return MpiApplication(load_region(REGION), default_french(), LinkPolicy.calibrated())


@pytest.fixture
def unit(database_url: str) -> Iterator[Callable[[], AbstractContextManager[UnitOfWork]]]:
    """Opens a unit of work for the region itself."""
    engine = create_engine(database_url)
    database = Database(engine)
    yield lambda: database.unit(Caller("test", roles=frozenset({"identity.hidden"})))
    engine.dispose()

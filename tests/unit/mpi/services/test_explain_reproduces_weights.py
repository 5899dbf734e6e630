"""Explaining gives back the stored weight of every automatic decision, to the bit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from bench.population import generate
from ihe.caller import Caller
from ihe.unit_of_work import Database, UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.cleaning import clean
from mpi.domain.identity import RecordKey
from mpi.domain.model import UNITS_PER_BIT
from mpi.domain.scoring import score
from mpi.services.bulk_load import BulkRow, bulk_load
from mpi.services.explain_link import explain_pair, explain_record
from mpi.store import records
from mpi.translate.bulk_row import COLUMNS, read_row


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    yield made
    made.dispose()


@pytest.mark.parametrize(
    ("size", "sample"), [(900, 400), pytest.param(24_000, 10_000, marks=pytest.mark.soak)], ids=["small", "10,000"]
)
def test_every_automatic_decision_is_explained_to_the_bit(
    engine: Engine, index: MpiApplication, size: int, sample: int
) -> None:
    rows = [
        BulkRow(*read_row({name: row.get(name) for name in COLUMNS}))
        for row in generate(size, seed=41, profile="realistic")
    ]
    with Database(engine).unit(Caller("test")) as uow:
        bulk_load(uow, index, rows)
    with Database(engine).unit(Caller("test")) as uow:
        decided = _automatic(uow, sample)
        assert len(decided) == sample
        for key in decided:
            _check(uow, index, key)


def _automatic(uow: UnitOfWork, sample: int) -> list[RecordKey]:
    found = uow.connection.execute(
        text(
            "SELECT r.domain, r.local_id FROM link l JOIN record r ON r.id = l.record_id"
            " WHERE l.how = 'score' AND l.valid_to IS NULL ORDER BY md5(r.local_id), r.id LIMIT :sample"
        ),
        {"sample": sample},
    )
    return [RecordKey(*row) for row in found]


def _check(uow: UnitOfWork, app: MpiApplication, key: RecordKey) -> None:
    explained = explain_record(uow, app, key)["because"]
    record = records.by_key(uow.connection, key)
    assert explained is not None
    assert record is not None
    stored = uow.connection.execute(
        text("SELECT evidence FROM link WHERE record_id = :id AND valid_to IS NULL"), {"id": record.id}
    ).scalar_one()
    by_field = sum(round((row["bits"] + row["rarity_bits"]) * UNITS_PER_BIT) for row in explained["fields"])
    a, b = (records.by_key(uow.connection, RecordKey(**explained[side])) for side in "ab")
    assert a is not None
    assert b is not None
    anew = score(clean(a.traits), clean(b.traits), app.model)
    assert explained["weight_bits"] == stored["weight_bits"] == anew.weight_bits == by_field / UNITS_PER_BIT
    assert (explained["grade"], explained["model"]["version"]) != (None, "")
    assert explained == explain_pair(uow, app, RecordKey(**explained["a"]), RecordKey(**explained["b"]))

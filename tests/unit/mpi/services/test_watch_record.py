"""Tasks about one record: opened, answered, closed by the facts, and taken back with what opened them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import create_engine

from ihe.caller import Caller
from ihe.unit_of_work import Database
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey, Sex, Traits
from mpi.services.answer_task import answer_task
from mpi.services.bulk_load import BulkRow, bulk_load
from mpi.services.feed_record import feed_record
from mpi.services.merge_records import merge_records
from mpi.services.read_task import read_task
from mpi.services.read_worklist import read_worklist
from mpi.services.undo_event import undo_event
from mpi.store import events, invariants
from mpi.store.worklist import TaskFilter
from tests.unit.mpi.services.test_answer_task import CHUSE, MARIE, NEARLY, REGION

KEY, OTHER = RecordKey("CHUSE", "C1"), RecordKey("CHUSE", "C2")
DOUBTED = replace(MARIE, identity_attributes=frozenset({"DOUT"}))
PAUL = replace(
    MARIE, birth_family_name="MODELE", first_birth_given_name="PAUL", birth_given_names=("PAUL",), sex=Sex.MALE
)


class Watched:
    def __init__(self, database: Database, index: MpiApplication) -> None:
        self.database, self.index = database, index

    def feed(self, key: RecordKey, traits: Traits) -> None:
        with self.database.unit(Caller("test")) as uow:
            feed_record(uow, self.index, key, traits)

    def asked(self) -> list[str]:
        with self.database.unit(REGION) as uow:
            assert invariants.violations(uow.connection) == []
            return [pair.task.kind for pair in read_worklist(uow, TaskFilter()).tasks]

    def undo_last(self, kind: str) -> None:
        with self.database.unit(REGION) as uow:
            event = events.last_in_force(uow.connection, kind)
            assert event is not None
            undo_event(uow, self.index, event.id, reason="test")


@pytest.fixture
def watched(database_url: str, index: MpiApplication):
    engine = create_engine(database_url)
    yield Watched(Database(engine), index)
    engine.dispose()


def test_a_doubtful_identity_is_asked_about_until_its_site_lifts_the_mark(watched: Watched) -> None:
    watched.feed(KEY, DOUBTED)
    assert watched.asked() == ["doubtful-identity"]
    watched.feed(KEY, replace(DOUBTED, phone="0477000009"))
    assert watched.asked() == ["doubtful-identity"]
    watched.feed(KEY, MARIE)
    assert watched.asked() == []
    watched.undo_last("record.updated")
    assert watched.asked() == ["doubtful-identity"]


def test_an_update_that_brings_doubt_is_taken_back_with_its_task(watched: Watched) -> None:
    watched.feed(KEY, MARIE)
    watched.feed(KEY, DOUBTED)
    assert watched.asked() == ["doubtful-identity"]
    watched.undo_last("record.updated")
    assert watched.asked() == []


def test_a_doubtful_identity_that_is_merged_away_is_asked_about_no_more(watched: Watched) -> None:
    watched.feed(KEY, MARIE)
    watched.feed(OTHER, replace(DOUBTED, birth_family_name="AUTRE", first_birth_given_name="ZOE"))
    with watched.database.unit(Caller("test")) as uow:
        merge_records(uow, watched.index, KEY, OTHER, None)
    assert "doubtful-identity" not in watched.asked()
    watched.undo_last("record.merged")
    assert "doubtful-identity" in watched.asked()


def test_the_answer_waits_for_the_correction_of_the_site(watched: Watched) -> None:
    watched.feed(KEY, DOUBTED)
    with watched.database.unit(CHUSE) as uow:
        (pair,) = read_worklist(uow, TaskFilter()).tasks
        found = read_task(uow, watched.index, pair.task.id)
        assert (len(found.sides), found.evidence) == (1, None)
        answered = answer_task(uow, watched.index, pair.task.id, "same", reason="papers seen")
    assert str(answered.outcome.stage) == "correction"
    assert watched.asked() == ["doubtful-identity"]
    watched.feed(KEY, MARIE)
    assert watched.asked() == []


def test_a_bulk_load_asks_the_same(watched: Watched) -> None:
    with watched.database.unit(Caller("test")) as uow:
        bulk_load(uow, watched.index, [BulkRow(KEY, DOUBTED, None), BulkRow(OTHER, PAUL, None)])
    assert watched.asked() == ["doubtful-identity"]


def test_an_overlay_closes_when_the_site_brings_the_former_identity_back(watched: Watched) -> None:
    watched.feed(KEY, MARIE)
    watched.feed(KEY, PAUL)
    assert watched.asked() == ["suspected-overlay"]
    watched.feed(KEY, replace(PAUL, phone="0477000008"))
    assert watched.asked() == ["suspected-overlay"]
    watched.feed(KEY, MARIE)
    assert watched.asked() == []
    watched.undo_last("record.updated")
    assert watched.asked() == ["suspected-overlay"]


def test_the_decision_page_tells_history_and_relatives(watched: Watched) -> None:
    twin = replace(MARIE, first_birth_given_name="JEANNE", birth_given_names=("JEANNE",))
    watched.feed(KEY, replace(MARIE, phone="0477000003"))
    watched.feed(KEY, MARIE)
    watched.feed(RecordKey("ROANNE", "R1"), NEARLY)
    watched.feed(RecordKey("FEURS", "F1"), twin)
    watched.feed(RecordKey("FEURS", "F2"), replace(twin, identity_attributes=frozenset({"CACH"})))
    with watched.database.unit(CHUSE) as uow:
        pair = next(p for p in read_worklist(uow, TaskFilter()).tasks if p.task.kind == "possible-duplicate")
        found = read_task(uow, watched.index, pair.task.id)
    assert [version.version for version in found.first.history] == [2, 1]
    relations = {third.record.key.local_id: third.relation for third in found.thirds}
    assert relations == {"F1": "TWINS"}, "a hidden identity of another site is not shown"

"""Stewards answer tasks: votes, claims, decisions, and every one of them taken back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from ihe.caller import Caller
from ihe.errors import AccessDenied, Conflict, NotFound
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import PartialDate
from mpi.application import MpiApplication
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.services.answer_task import answer_task
from mpi.services.feed_record import feed_record
from mpi.services.merge_records import merge_records
from mpi.services.read_task import read_task
from mpi.services.read_worklist import read_worklist
from mpi.services.take_back import dependants, step, take_back
from mpi.services.take_task import assign_tasks, claim_task
from mpi.store import invariants
from mpi.store.worklist import TaskFilter

MARIE = Traits(
    birth_family_name="EXEMPLE",
    birth_given_names=("MARIE",),
    first_birth_given_name="MARIE",
    sex=Sex.FEMALE,
    birth_date=PartialDate(1948, 3, 17),
    birth_place_code="42218",
    phone="0477000001",
    identity_status=IdentityStatus.VALI,
)
NEARLY = replace(
    MARIE, birth_date=PartialDate(1948, 3, 19), birth_place_code=None, phone=None, identity_status=IdentityStatus.PROV
)
STEWARD = frozenset({"site-steward"})
CHUSE = Caller("c", "CHUSE", "claire", STEWARD)
COLLEAGUE = Caller("c", "CHUSE", "carole", STEWARD)
ROANNE = Caller("r", "ROANNE", "rene", STEWARD)
FEURS = Caller("f", "FEURS", "flo", STEWARD)
REGION = Caller("g", None, "regine", frozenset({"regional-steward"}))


class Desk:
    """Opens units for each steward over one database with one task: two records of two sites that nearly agree."""

    def __init__(self, database: Database, index: MpiApplication) -> None:
        self.database, self.index = database, index
        with self.at(Caller("test")) as uow:
            feed_record(uow, index, RecordKey("CHUSE", "C1"), MARIE)
            feed_record(uow, index, RecordKey("ROANNE", "R1"), NEARLY)
        with self.at(REGION) as uow:
            (pair,) = read_worklist(uow, TaskFilter()).tasks
        self.task = pair.task.id

    def at(self, caller: Caller) -> AbstractContextManager[UnitOfWork]:
        return self.database.unit(caller)

    def answer(self, caller: Caller, answer: str) -> tuple[int, str]:
        with self.at(caller) as uow:
            found = answer_task(uow, self.index, self.task, answer, reason="checked")
        return found.event_id, str(found.outcome.stage)

    def back(self, caller: Caller, event_id: int, *, with_dependants: bool = False) -> list[int]:
        with self.at(caller) as uow:
            return take_back(uow, self.index, event_id, reason="slip", with_dependants=with_dependants)

    def state(self) -> dict[str, object]:
        """What must come back exactly."""
        with self.at(REGION) as uow:
            assert invariants.violations(uow.connection) == []
            read = uow.connection.execute
            return {
                "links": read(text("SELECT id, person_id, grade, state FROM record ORDER BY id")).all(),
                "tasks": read(
                    text("SELECT id, kind, record_a, record_b, stage FROM task WHERE state = 'open' ORDER BY id")
                ).all(),
                "decisions": read(
                    text("SELECT record_a, record_b, verdict FROM decision WHERE revoked_at IS NULL ORDER BY 1, 2")
                ).all(),
                "votes": read(
                    text("SELECT task_id, site, by, answer FROM task_vote WHERE withdrawn_event_id IS NULL ORDER BY id")
                ).all(),
            }


@pytest.fixture
def desk(database_url: str, index: MpiApplication):
    engine = create_engine(database_url)
    yield Desk(Database(engine), index)
    engine.dispose()


def test_two_sites_vote_and_the_link_follows(desk: Desk) -> None:
    assert desk.answer(CHUSE, "same")[1] == "voting"
    assert desk.answer(ROANNE, "same")[1] == "decided"
    with desk.at(REGION) as uow:
        assert read_worklist(uow, TaskFilter()).total == 0
        found = read_task(uow, desk.index, desk.task)
    assert found.task.state == "closed"
    assert found.task.closed_how == "decided"
    assert found.first.record.person_id == found.second.record.person_id


def test_a_vote_against_is_arbitrated(desk: Desk) -> None:
    assert desk.answer(CHUSE, "different")[1] == "arbitration"
    with desk.at(REGION) as uow:
        assert read_worklist(uow, TaskFilter(stages=("arbitration",))).tasks
    assert desk.answer(REGION, "different")[1] == "decided"


def test_another_site_learns_nothing_of_a_task(desk: Desk) -> None:
    with desk.at(FEURS) as uow:
        assert read_worklist(uow, TaskFilter()).total == 0
        with pytest.raises(NotFound):
            read_task(uow, desk.index, desk.task)
        with pytest.raises(NotFound):
            answer_task(uow, desk.index, desk.task, "same", reason="curious")
    with desk.at(Caller("x", "CHUSE", "anybody")) as uow, pytest.raises(AccessDenied):
        read_worklist(uow, TaskFilter())


def test_a_claim_keeps_colleagues_off_but_not_the_other_site(desk: Desk) -> None:
    with desk.at(CHUSE) as uow:
        assert claim_task(uow, desk.task) == "claire"
    with desk.at(COLLEAGUE) as uow:
        assert claim_task(uow, desk.task) == "claire"
        with pytest.raises(Conflict):
            answer_task(uow, desk.index, desk.task, "same", reason="mine")
    assert desk.answer(ROANNE, "same")[1] == "voting"
    assert desk.answer(CHUSE, "same")[1] == "decided"


def test_assignment_is_each_desks_own(desk: Desk) -> None:
    with desk.at(CHUSE) as uow:
        assert assign_tasks(uow, [desk.task], "carole") == 1
        assert len(read_worklist(uow, TaskFilter(assigned_to="carole")).tasks) == 1
    with desk.at(ROANNE) as uow:
        assert read_worklist(uow, TaskFilter(assigned_to="carole")).tasks == ()


def test_taking_back_a_decision_restores_links_task_and_votes_exactly(desk: Desk) -> None:
    new = desk.state()
    first, _ = desk.answer(CHUSE, "same")
    voted = desk.state()
    decided, _ = desk.answer(ROANNE, "same")
    linked = desk.state()
    (undoing,) = desk.back(ROANNE, decided)
    assert desk.state() == voted
    desk.back(CHUSE, first)
    assert desk.state() == new
    with pytest.raises(Conflict):
        desk.back(CHUSE, first)
    assert linked != voted
    assert undoing > decided


def test_a_step_in_the_middle_is_taken_back_with_what_rests_on_it(desk: Desk) -> None:
    new = desk.state()
    desk.answer(CHUSE, "different")
    arbitrated = desk.state()
    decided, _ = desk.answer(REGION, "same")
    with desk.at(REGION) as uow:
        vote = step(uow, decided).payload["answer_event"]
        assert [event.id for event in dependants(uow, step(uow, vote))] == [decided]
    with pytest.raises(Conflict):
        desk.back(REGION, vote)
    assert desk.back(REGION, decided, with_dependants=True)
    assert desk.state() == arbitrated
    assert new != arbitrated


def test_a_site_takes_back_what_its_own_people_did(desk: Desk) -> None:
    event, _ = desk.answer(CHUSE, "same")
    with pytest.raises(AccessDenied):
        desk.back(ROANNE, event)
    with pytest.raises(NotFound):
        desk.back(FEURS, event)
    desk.back(COLLEAGUE, event)


def test_a_task_closes_by_itself_when_its_reason_is_gone(desk: Desk) -> None:
    with desk.at(Caller("test")) as uow:
        feed_record(uow, desk.index, RecordKey("ROANNE", "R0"), replace(NEARLY, birth_family_name="AUTRE"))
        merge_records(uow, desk.index, RecordKey("ROANNE", "R0"), RecordKey("ROANNE", "R1"), None)
    with desk.at(REGION) as uow:
        assert desk.task not in [pair.task.id for pair in read_worklist(uow, TaskFilter()).tasks]
    with pytest.raises(Conflict):
        desk.answer(CHUSE, "same")


def test_an_overlay_is_confirmed_or_dismissed(desk: Desk) -> None:
    other = replace(
        MARIE, birth_family_name="MODELE", first_birth_given_name="PAUL", birth_given_names=("PAUL",), sex=Sex.MALE
    )
    with desk.at(Caller("test")) as uow:
        feed_record(uow, desk.index, RecordKey("CHUSE", "C9"), MARIE)
        feed_record(uow, desk.index, RecordKey("CHUSE", "C9"), other)
    with desk.at(CHUSE) as uow:
        (pair,) = read_worklist(uow, TaskFilter(kinds=("suspected-overlay",))).tasks
        found = read_task(uow, desk.index, pair.task.id)
    assert (found.first.traits.birth_family_name, found.second.traits.birth_family_name) == ("EXEMPLE", "MODELE")
    desk.task = pair.task.id
    before = desk.state()
    event, stage = desk.answer(CHUSE, "different")
    assert stage == "correction"
    desk.back(CHUSE, event)
    assert desk.state() == before
    event, stage = desk.answer(CHUSE, "same")
    assert stage == "decided"
    desk.back(CHUSE, event)
    assert desk.state() == before

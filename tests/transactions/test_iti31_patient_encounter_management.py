"""ITI-31 from bytes to bytes: movements tell the identity in passing and never bring back an old one."""

from __future__ import annotations

import pytest

from mpi.transactions.iti31_patient_encounter_management import TRANSACTION
from tests.hl7v2_desk import MARIE, desk, outcome

__all__ = ["desk"]

EVENTS = [binding.trigger_event for binding in TRANSACTION.bindings if binding.trigger_event != "A44"]


def test_every_event_is_taken_in(desk):
    for number, event in enumerate(EVENTS):
        answer = desk.ask(desk.adt(event, "CHUSE", f"C{number}", visit=["I", "CARDIO"]))
        assert outcome(answer) == ("AA", "", "", ""), event
        assert answer.msh.field(9).raw.startswith(f"ACK^{event}")
    assert desk.count("SELECT count(*) FROM record") == len(EVENTS)


@pytest.mark.parametrize(("at", "versions"), [("20260116", 2), ("20260114", 1)])
def test_identity_is_taken_when_it_is_newer_only(desk, at, versions):
    desk.feed(desk.adt("A28", "CHUSE", "C1"))
    desk.feed(desk.adt("A02", "CHUSE", "C1", MARIE.replace("12 RUE", "1 RUE"), at=at, visit=["I"]))
    assert desk.count("SELECT version FROM record") == versions


def test_what_a_movement_leaves_out_stays(desk):
    desk.feed(desk.adt("A28", "CHUSE", "C1"))
    desk.feed(desk.adt("A03", "CHUSE", "C1", "EXEMPLE^MARIE^MARIE LOUISE^^^^L", at="20260118", visit=["I"]))
    assert desk.count("SELECT count(*) FROM record WHERE birth_date = '1948-03-17' AND traits ? 'address'") == 1


def test_a_subsumed_identifier_is_refused(desk):
    desk.feed(desk.adt("A28", "CHUSE", "C1"), desk.adt("A28", "CHUSE", "C2"))
    desk.feed(desk.adt("A40", "CHUSE", "C2", extra=[f"MRG|{desk.cx('CHUSE', 'C1')}"]))
    answer = desk.ask(desk.adt("A01", "CHUSE", "C1", at="20260120", visit=["I"]))
    assert outcome(answer) == ("AE", "", "205", "PID^1^3")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda m: m.replace("&ISO", "9&ISO"), ("204", "PID^1^3")),
        (lambda m: m.replace("C1^^^", "^^^"), ("101", "PID^1^3")),
        (lambda m: m.replace("|19480317|", "|19481317|"), ("102", "PID^1^7")),
    ],
    ids=["unknown domain", "no identifier", "no date"],
)
def test_each_refusal_names_its_place_and_changes_nothing(desk, change, error):
    answer = desk.ask(change(desk.adt("A01", "CHUSE", "C1", visit=["I", "CARDIO"])))
    assert outcome(answer) == ("AE", "", *error)
    assert desk.count("SELECT (SELECT count(*) FROM record) + (SELECT count(*) FROM visit)") == 0


def test_an_event_that_is_not_offered_is_rejected(desk):
    assert outcome(desk.ask(desk.adt("A99", "CHUSE", "C1", visit=["I"])))[:3] == ("AR", "", "201")


def move(desk, owner, wrong, mrg3="A77", **more):
    return desk.ask(desk.adt("A44", "CHUSE", owner, extra=[f"MRG|{desk.cx('CHUSE', wrong)}||{mrg3}"], **more))


def test_an_account_is_moved_to_the_right_patient_with_its_visits(desk):
    other = MARIE.replace("MARIE", "JEANNE").replace("19480317", "19510617")
    desk.feed(desk.adt("A28", "CHUSE", "C1"), desk.adt("A28", "CHUSE", "C2", other))
    for account, number in (("A77", "V1"), ("A77", "V2"), ("A78", "V3")):
        visit = ["I", "CARDIO", *[""] * 15, number]
        desk.feed(desk.adt("A01", "CHUSE", "C1", visit=visit, account=account, at="20260116"))
    assert outcome(move(desk, "C2", "C1", person=other)) == ("AA", "", "", "")
    held = "SELECT count(*) FROM visit v JOIN record r ON r.id = v.record_id WHERE r.local_id = "
    assert (desk.count(f"{held} 'C1'"), desk.count(f"{held} 'C2'")) == (1, 2)
    assert outcome(move(desk, "C2", "C1", person=other))[0] == "AA"
    assert desk.count("SELECT count(*) FROM visit") == 3


def test_a_moved_account_that_cannot_be_is_refused_with_its_place(desk):
    desk.feed(desk.adt("A28", "CHUSE", "C1"))
    assert outcome(move(desk, "C1", "C9")) == ("AE", "", "204", "MRG^1^1")
    assert outcome(move(desk, "C1", "C1")) == ("AE", "", "102", "MRG^1^1")
    assert outcome(move(desk, "C2", "C1", mrg3="")) == ("AE", "", "101", "MRG^1^3")
    assert outcome(desk.ask(desk.adt("A44", "CHUSE", "C2"))) == ("AE", "", "100", "MRG^1")
    assert desk.count("SELECT count(*) FROM record") == 1

"""ITI-31 from bytes to bytes: movements tell the identity in passing and never bring back an old one."""

from __future__ import annotations

import pytest

from mpi.transactions.iti31_patient_encounter_management import TRANSACTION
from tests.hl7v2_desk import MARIE, desk, outcome

__all__ = ["desk"]

EVENTS = [binding.trigger_event for binding in TRANSACTION.bindings]


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

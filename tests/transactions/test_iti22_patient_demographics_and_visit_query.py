"""ITI-22 from bytes to bytes: visits as the sites told them, every parameter, pages, errors."""

from __future__ import annotations

import pytest

from ihe.hl7v2.er7 import Message
from tests.hl7v2_desk import Desk, desk, ids, outcome, said, shared_desk

__all__ = ["desk", "shared_desk"]

PAUL = "MARTIN^PAUL^PAUL^^^^L||19700502|M"
WARD = ["I", "CARDIO^12^A^ROANNE", "", "", "", "D1^DURAND^ÉLISE", "D2^PETIT", "", "CAR"]
CLINIC = ["O", "ORTHO", "", "", "", "D3^MOREAU"]


def pv1(fields: list[str], number: str, admitted: str = "", discharged: str = "") -> list[str]:
    """PV1-2 to PV1-45."""
    line = [*fields, *[""] * (44 - len(fields))]
    line[17], line[42], line[43] = number, admitted, discharged
    return line


def feed(desk: Desk) -> Desk:
    """Two patients with three visits at ROANNE, one of them known at CHUSE too."""
    visit_number = desk.cx("ROANNE", "V1", "VN")
    account = desk.cx("ROANNE", "ACC1", "AN")
    desk.feed(
        desk.adt("A28", "CHUSE", "C1"),
        desk.adt("A01", "ROANNE", "R1", visit=pv1(WARD, visit_number, "20260110080000"), account=account),
        desk.adt("A04", "ROANNE", "R2", PAUL, visit=pv1(CLINIC, "V2")),
        desk.adt("A04", "ROANNE", "R2", PAUL, visit=pv1(["E", "URGENCES"], "V3")),
    )
    return desk


@pytest.fixture(scope="module")
def fed(shared_desk):
    return feed(shared_desk)


@pytest.fixture
def alone(desk):
    """The same for one test that changes it."""
    return feed(desk)


def visits(answer: Message) -> list[str]:
    return [pv1.text(19) for pv1 in answer.segments("PV1")]


def test_the_answer_has_the_structure_of_the_profile(fed):
    answer = fed.ask(fed.query("ZV1", "@PV1.19.1^V1", domains=f"^^^{fed.hd('ROANNE')}"))
    assert answer.segment_names == ("MSH", "MSA", "QAK", "QPD", "PID", "PV1")
    assert answer.msh.field(9).raw == "RSP^ZV2^RSP_ZV2"
    assert outcome(answer) == ("AA", "OK", "", "")
    pid, visit = answer.segment("PID"), answer.segment("PV1")
    assert ids(pid) == ["R1"]
    assert pid.field(18).raw == fed.cx("ROANNE", "ACC1", "AN")
    assert visit.raw.startswith("PV1|1|I|CARDIO^12^A^ROANNE||||D1^DURAND^ÉLISE|D2^PETIT||CAR|")
    assert visit.field(19).raw == fed.cx("ROANNE", "V1", "VN")
    assert (visit.text(44), visit.text(45)) == ("20260110080000", "")


@pytest.mark.parametrize(
    ("criteria", "wanted"),
    [
        ("@PV1.19.1^V2", ["V2"]),
        ("@PID.18.1^ACC1", ["V1"]),
        ("@PV1.3.1^cardio", ["V1"]),
        ("@PV1.3.1^CARDIO~@PV1.3.2^12~@PV1.3.3^A~@PV1.3.4^ROANNE", ["V1"]),
        ("@PV1.3.1^CARDIO~@PV1.3.2^13", []),
        ("@PV1.2^E", ["V3"]),
        ("@PV1.7.1^D1", ["V1"]),
        ("@PV1.7.2^DURAND~@PV1.7.3^Elise", ["V1"]),
        ("@PV1.8.2.1^PETIT", ["V1"]),
        ("@PV1.10^CAR", ["V1"]),
        ("@PV1.2^I~@PV1.10^CA*", ["V1"]),
        ("@PID.5.1^MARTIN", ["V2", "V3"]),
        ("@PID.5.1^MARTIN~@PV1.3.1^OR*", ["V2"]),
        ("@PID.5.1^MARTIN~@PV1.2^I", []),
        ("@PID.3.1^C1", []),
        ("@PID.5.1^EXEMPLE~@PV1.2^I", ["V1"]),
        ("@PV1.9.1^D1", []),
        ("@PV1.17.1^D1", []),
        ("@PID.3.1^NOBODY~@PV1.2^I", []),
    ],
)
def test_every_parameter_selects(fed, criteria, wanted):
    answer = fed.ask(fed.query("ZV1", criteria))
    assert outcome(answer) == ("AA", "OK" if wanted else "NF", "", "")
    assert visits(answer) == wanted
    assert len(answer.segments("PID")) == len(wanted)


def test_restriction_to_domains(fed):
    assert visits(fed.ask(fed.query("ZV1", "@PV1.2^I", domains=f"^^^{fed.hd('CHUSE')}"))) == []
    unknown = fed.ask(fed.query("ZV1", "@PV1.2^I", domains="^^^NOWHERE"))
    assert outcome(unknown) == ("AE", "AE", "204", "QPD^1^8^1")


@pytest.mark.parametrize(
    ("criteria", "wanted"),
    [
        ("", ("AE", "AE", "101", "QPD^1^3")),
        ("@PV1.2^*", ("AE", "AE", "101", "")),
        ("@PV1.10^CA*", ("AE", "AE", "101", "")),
        ("@PV1.44^2026", ("AE", "AE", "102", "QPD^1^3^1^1")),
        ("@PV1.19.1^V*", ("AE", "AE", "102", "QPD^1^3^1^2")),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_place(fed, criteria, wanted):
    answer = fed.ask(fed.query("ZV1", criteria))
    assert outcome(answer) == wanted
    assert answer.msh.field(9).raw == "RSP^ZV2^RSP_ZV2"


def test_movements_discharges_and_cancellations_are_followed(alone):
    number = alone.cx("ROANNE", "V1", "VN")

    def told(event: str, at: str, fields: list[str]) -> None:
        alone.feed(alone.adt(event, "ROANNE", "R1", at=at, visit=pv1(fields, number, "20260110080000")))

    def shown() -> Message:
        return alone.ask(alone.query("ZV1", "@PV1.19.1^V1"))

    told("A02", "20260120100000", ["I", "NEURO^3^B"])
    assert said(shown(), "PV1", 3) == "NEURO"
    assert visits(alone.ask(alone.query("ZV1", "@PV1.3.1^CARDIO"))) == []
    told("A02", "20260118100000", ["I", "GERIATRIE"])
    assert said(shown(), "PV1", 3) == "NEURO", "an older movement that comes late changes nothing"
    told("A03", "20260121110000", ["I", "NEURO^3^B"])
    assert said(shown(), "PV1", 45) == "20260121110000"
    told("A13", "20260121120000", ["I", "NEURO^3^B"])
    assert said(shown(), "PV1", 45) == ""
    told("A11", "20260122080000", ["I", "NEURO^3^B"])
    assert outcome(shown()) == ("AA", "NF", "", "")


def test_a_merged_patients_visits_are_the_survivors(alone):
    mrg = f"MRG|{alone.cx('ROANNE', 'R1')}"
    alone.feed(alone.adt("A28", "ROANNE", "R9", at="20260201"), alone.adt("A40", "ROANNE", "R9", extra=[mrg]))
    by_visit = alone.ask(alone.query("ZV1", "@PV1.19.1^V1", domains=f"^^^{alone.hd('ROANNE')}"))
    assert ids(by_visit.segment("PID")) == ["R9"]
    by_patient = alone.ask(alone.query("ZV1", "@PID.3.1^R9"))
    assert visits(by_patient) == ["V1"]
    account = alone.ask(alone.query("Q22", "@PID.18.1^ACC1"))
    assert ids(account.segment("PID"))[0] == "R9"


def test_pages(alone):
    alone.feed(*(alone.adt("A04", "ROANNE", "R2", PAUL, visit=pv1(CLINIC, f"W{n}")) for n in range(5)))
    first = alone.ask(alone.query("ZV1", "@PV1.3.1^ORTHO", rcp="I|4^RD"))
    assert [said(first, "QAK", n) for n in (4, 5, 6)] == ["6", "4", "2"]
    second = alone.ask(alone.query("ZV1", "@PV1.3.1^ORTHO", rcp="I|4^RD", pointer=said(first, "DSC", 1)))
    assert second.segment("DSC") is None
    assert visits(first) + visits(second) == ["V2", "W0", "W1", "W2", "W3", "W4"]


def test_an_encounter_without_any_number_is_taken_in_without_a_visit(desk):
    desk.feed(desk.adt("A01", "ROANNE", "R1", visit=["I", "CARDIO"]))
    assert desk.count("SELECT count(*) FROM visit") == 0

"""ITI-30 from bytes to bytes: every event, French and plain, each error of the profile."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from ihe.hl7v2.er7 import Message
from tests.hl7v2_desk import FRENCH, MARIE, Desk, desk, er7, outcome, said

__all__ = ["desk"]


def records(desk: Desk) -> dict[str, str]:
    """State of each local id."""
    with desk.service.engine.connect() as connection:
        return {r.local_id: r.state for r in connection.execute(text("SELECT local_id, state FROM record"))}


def person(desk: Desk, local_id: str) -> int:
    return desk.count(f"SELECT person_id FROM record WHERE local_id = '{local_id}'")


@pytest.mark.parametrize("version", [FRENCH, "2.5", "2.5.1", "2.6"])
def test_create_and_update(desk, version):
    created = desk.ask(desk.adt("A28^ADT_A05", "CHUSE", "C1", version=version))
    assert outcome(created) == ("AA", "", "", "")
    assert created.msh.field(9).raw == "ACK^A28^ACK"
    assert created.msh.text(12) == version.partition("^")[0]
    assert created.segment_names == ("MSH", "MSA")
    moved = MARIE.replace("12 RUE DU TEST", "3 PLACE NEUVE")
    desk.feed(desk.adt("A31", "CHUSE", "C1", moved, at="20260116101500", version=version))
    assert desk.count("SELECT version FROM record") == 2
    assert desk.count("SELECT count(*) FROM record WHERE traits->>'address' = '3 PLACE NEUVE'") == 1


def test_an_update_that_comes_late_changes_nothing(desk):
    desk.feed(desk.adt("A28", "CHUSE", "C1", at="20260116101500"))
    desk.feed(desk.adt("A31", "CHUSE", "C1", MARIE.replace("12 RUE", "1 RUE"), at="20260115101500"))
    assert desk.count("SELECT version FROM record") == 1


def test_merge_change_of_identifier_and_withdrawal(desk):
    desk.feed(desk.adt("A28", "CHUSE", "C1"), desk.adt("A28", "CHUSE", "C2"))
    desk.feed(desk.adt("A40^ADT_A39", "CHUSE", "C2", extra=[f"MRG|{desk.cx('CHUSE', 'C1')}"]))
    assert records(desk) == {"C1": "subsumed", "C2": "active"}
    desk.feed(desk.adt("A47^ADT_A30", "CHUSE", "C3", extra=[f"MRG|{desk.cx('CHUSE', 'C2')}"]))
    assert records(desk) == {"C1": "subsumed", "C2": "subsumed", "C3": "active"}
    desk.feed(desk.adt("A29", "CHUSE", "C3"))
    assert records(desk)["C3"] == "withdrawn"


def test_link_and_unlink(desk):
    other = "AUTRE^ODETTE^ODETTE^^^^L||19610415|F"
    desk.feed(desk.adt("A28", "CHUSE", "C1"), desk.adt("A28", "ROANNE", "R1", other))
    assert person(desk, "C1") != person(desk, "R1")
    second = [f"PID|2||{desk.cx('ROANNE', 'R1')}"]
    desk.feed(desk.adt("A24", "CHUSE", "C1", extra=second))
    assert person(desk, "C1") == person(desk, "R1")
    desk.feed(desk.adt("A37", "CHUSE", "C1", extra=second))
    assert person(desk, "C1") != person(desk, "R1")


def test_the_same_message_twice_gets_the_same_answer_and_changes_nothing(desk):
    message = desk.adt("A28", "CHUSE", "C1")
    first, second = desk.ask(message), desk.ask(message)
    assert str(first) == str(second)
    assert desk.count("SELECT count(*) FROM identity_event") == 1
    reused = message.replace("12 RUE DU TEST", "9 RUE NEUVE").replace("20260115", "20260117")
    assert outcome(desk.ask(reused))[0] == "AA", "a control id used again for other content is a new message"
    assert desk.count("SELECT version FROM record") == 2


REFUSED = [
    ("A40", "C2", [], ("AE", "100", "MRG^1"), "no MRG"),
    ("A40", "C2", ["MRG|"], ("AE", "101", "MRG^1^1"), "an empty MRG"),
    ("A40", "C2", ["MRG|C1^^^NOWHERE"], ("AE", "204", "MRG^1^1"), "a subsumed id of no domain"),
    ("A40", "C1", ["MRG|C1^^^CHUSE"], ("AE", "102", "MRG^1^1"), "an id merged into itself"),
    ("A40", "C1", ["MRG|C0^^^CHUSE"], ("AE", "205", "PID^1^3"), "a survivor that was itself merged"),
    ("A28", "C0", [], ("AE", "205", "PID^1^3"), "an update of a subsumed id"),
    ("A47", "C1", ["MRG|C2^^^CHUSE"], ("AE", "205", "PID^1^3"), "a new id that is in use"),
    ("A24", "C1", [], ("AE", "100", "PID^1"), "a link without its second patient"),
    ("A24", "C1", ["PID|2||X9^^^ROANNE"], ("AE", "204", ""), "a link to somebody unknown"),
    ("A29", "C9", [], ("AE", "204", "PID^1^3"), "a withdrawal of somebody unknown"),
    ("A99", "C1", [], ("AR", "201", "MSH^1^9^1^2"), "an unknown event"),
]


@pytest.mark.parametrize(
    ("event", "local_id", "extra", "wanted"), [r[:4] for r in REFUSED], ids=[r[4] for r in REFUSED]
)
def test_refusals_name_their_place_and_change_nothing(desk, event, local_id, extra, wanted):
    desk.feed(*(desk.adt("A28", "CHUSE", f"C{n}") for n in range(3)))
    desk.feed(desk.adt("A40", "CHUSE", "C3", extra=[f"MRG|{desk.cx('CHUSE', 'C0')}"]))
    if event == "A40" and local_id == "C1" and "C0" in extra[0]:
        extra, local_id = [f"MRG|{desk.cx('CHUSE', 'C1')}"], "C0"
    before = records(desk)
    answer = desk.ask(desk.adt(event, "CHUSE", local_id, extra=extra))
    code, _, condition, place = outcome(answer)
    assert (code, condition, place) == wanted
    assert said(answer, "ERR", 8)
    assert records(desk) == before


BROKEN = [
    (lambda m: m.replace("PID|", "PIX|"), ("AE", "100", "PID^1")),
    (lambda m: m.replace("C1^^^", "^^^"), ("AE", "101", "PID^1^3")),
    (lambda m: re.sub(r"CHUSE&[0-9.]+&ISO", "NOWHERE&1.2.3&ISO", m), ("AE", "204", "PID^1^3")),
    (lambda m: m.replace("|19480317|", "|19481317|"), ("AE", "102", "PID^1^7")),
    (lambda m: m.replace("|F|", "|X|"), ("AE", "102", "PID^1^8")),
    (lambda m: m.replace("|ADT^", "|XYZ^"), ("AR", "200", "MSH^1^9^1^1")),
    (lambda m: m.replace("|P|2.5", "|P|3.0"), ("AR", "203", "MSH^1^12^1^1")),
]


@pytest.mark.parametrize(("break_it", "wanted"), BROKEN)
def test_broken_messages_are_refused_with_their_place(desk, break_it, wanted):
    answer = desk.ask(break_it(desk.adt("A28", "CHUSE", "C1")))
    code, _, condition, place = outcome(answer)
    assert (code, condition, place) == wanted
    assert records(desk) == {}


def test_a_site_feeds_only_its_own_domain(desk):
    answer = desk.ask(desk.adt("A28", "ROANNE", "R1", sender="GAM|CHUSE"))
    assert outcome(answer)[0] == "AR"
    assert desk.count("SELECT outcome FROM audit_event ORDER BY id DESC LIMIT 1") == 8
    desk.feed(desk.adt("A28", "CHUSE", "C1", sender="GAM|CHUSE"))


def test_a_refusal_says_nothing_of_the_patient(desk):
    answer = desk.ask(desk.adt("A28", "CHUSE", "SECRET1", MARIE.replace("19480317", "19481317")))
    for secret in ("SECRET1", "EXEMPLE", "MARIE", "1948"):
        assert secret not in str(answer)


def test_french_samples_are_taken_in_once_their_domain_is_ours(desk, shared_folder):
    files = sorted((shared_folder / "data" / "hl7v2-pam-fr").glob("*.er7"))
    assert len(files) >= 10
    for number, file in enumerate(files):
        data = file.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        sample = Message.parse(data)
        local = next(r for r in sample.segment("PID").field(3).repetitions if r.text(5) == "PI")
        theirs = re.escape(str(local.component(4)))
        ours = re.sub(rf"([^|~^\r]+\^\^\^){theirs}", rf"{number}-\1{desk.hd('CHUSE')}", str(sample))
        answer = desk.ask(ours.encode(sample.charset.codec))
        assert outcome(answer) == ("AA", "", "", ""), file.name
    assert desk.count("SELECT count(*) FROM record") > 5


def test_a_message_without_control_id_is_answered(desk):
    message = desk.adt("A28", "CHUSE", "C1").split("\r")
    fields = message[0].split("|")
    fields[9] = ""
    answer = desk.ask(er7("|".join(fields), *message[1:-1]))
    assert outcome(answer)[0] == "AA"

"""ITI-8 from bytes to bytes: HL7 2.3.1 messages and their acknowledgements."""

from __future__ import annotations

import pytest

from tests.hl7v2_desk import MARIE, desk, said

__all__ = ["desk"]

PLAIN = "EXEMPLE^MARIE^LOUISE||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100"


@pytest.mark.parametrize("event", ["A01", "A04", "A05"])
def test_an_admission_makes_the_patient_known(desk, event):
    answer = desk.ask(desk.adt(event, "CHUSE", "C1", PLAIN, version="2.3.1"))
    assert said(answer, "MSA", 1) == "AA"
    assert answer.msh.field(9).raw.startswith(f"ACK^{event}")
    assert answer.version == "2.3.1"
    assert desk.count("SELECT count(*) FROM record WHERE traits->>'birth_family_name' = 'EXEMPLE'") == 1


def test_update_and_merge(desk):
    desk.feed(desk.adt("A04", "CHUSE", "C1", PLAIN, version="2.3.1"))
    moved = PLAIN.replace("12 RUE DU TEST", "1 RUE NEUVE")
    desk.feed(desk.adt("A08", "CHUSE", "C1", moved, version="2.3.1", at="20260120"))
    assert desk.count("SELECT version FROM record") == 2
    desk.feed(desk.adt("A04", "CHUSE", "C2", PLAIN, version="2.3.1"))
    desk.feed(desk.adt("A40", "CHUSE", "C2", PLAIN, version="2.3.1", extra=["MRG|C1^^^CHUSE"]))
    assert desk.count("SELECT count(*) FROM record WHERE state = 'subsumed' AND local_id = 'C1'") == 1


def test_a_refusal_is_in_the_form_of_the_version(desk):
    unknown = desk.adt("A04", "CHUSE", "C1", PLAIN, version="2.3.1").replace(desk.hd("CHUSE"), "NOWHERE")
    answer = desk.ask(unknown)
    assert said(answer, "MSA", 1) == "AE"
    assert said(answer, "MSA", 3), "before 2.5 the words stand in MSA-3"
    err = answer.segment("ERR")
    assert err.field(1).raw == "PID^1^3^204&Unknown key identifier&HL70357"
    assert err.text(8) == ""


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda m: "\r".join(line for line in m.split("\r") if not line.startswith("PID")), "PID^1^^100"),
        (lambda m: m.replace("C1^^^", "^^^"), "PID^1^3^101"),
        (lambda m: m.replace("|19480317|", "|19481317|"), "PID^1^7^102"),
        (lambda m: m.replace("||19480317|F|", "||19480317|Z|"), "PID^1^8^102"),
        (lambda m: m.replace("^A04|", "^A40|"), "MRG^1^^100"),
    ],
    ids=["no PID", "no identifier", "no date", "no sex of the table", "a merge without MRG"],
)
def test_each_refusal_names_its_place_and_changes_nothing(desk, change, error):
    answer = desk.ask(change(desk.adt("A04", "CHUSE", "C1", PLAIN, version="2.3.1")))
    assert said(answer, "MSA", 1) == "AE"
    assert answer.segment("ERR").field(1).raw.partition("&")[0] == error
    assert desk.count("SELECT count(*) FROM record") == 0


def test_a_patient_merged_into_itself_is_refused(desk):
    desk.feed(desk.adt("A04", "CHUSE", "C1", PLAIN, version="2.3.1"))
    answer = desk.ask(desk.adt("A40", "CHUSE", "C1", PLAIN, version="2.3.1", extra=["MRG|C1^^^CHUSE"]))
    assert said(answer, "MSA", 1) == "AE"
    assert desk.count("SELECT count(*) FROM record WHERE state = 'active'") == 1


def test_events_of_other_profiles_are_refused(desk):
    answer = desk.ask(desk.adt("A28", "CHUSE", "C1", PLAIN, version="2.3.1"))
    assert said(answer, "MSA", 1) == "AR"
    assert answer.segment("ERR").field(1).raw == "MSH^1^12^203&Unsupported version id&HL70357"


def test_samples_of_another_implementation_are_read(desk, shared_folder):
    folder = shared_folder / "testdata/ipf/commons/ihe/hl7v3/src/test/resources/translation/pixsource/v2"
    files = sorted(folder.glob("*.hl7"))
    assert files
    for file in files:
        answer = desk.ask(file.read_bytes().replace(b"\n", b"\r"))
        assert said(answer, "MSA", 1) in {"AE", "AR"}, "their domains are not ours"


def test_an_umlaut_in_latin_1_is_kept(desk):
    message = desk.adt("A04", "CHUSE", "C1", MARIE, version="2.3.1").replace("UNICODE UTF-8", "8859/1")
    (answer,) = desk.service.hl7v2.handle(message.encode("latin-1"), desk.peer)
    assert b"|AA|" in answer
    assert desk.count("SELECT count(*) FROM record WHERE traits->>'city' = 'SAINT-ÉTIENNE'") == 1

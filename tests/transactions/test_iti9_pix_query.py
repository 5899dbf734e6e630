"""ITI-9 from bytes to bytes: the cases of the profile, versions, charsets, samples of another implementation."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from ihe import fibers
from ihe.caller import Caller
from ihe.confidentiality import SEES_HIDDEN
from ihe.errors import UnknownPatient
from ihe.hl7v2.er7 import Message
from ihe.values import PatientId
from mpi.services.cross_reference import cross_reference
from tests.hl7v2_desk import FRENCH, Desk, desk, er7, ids, outcome, said, shared_desk

__all__ = ["desk", "shared_desk"]


@pytest.fixture(scope="module")
def fed(shared_desk):
    desk = shared_desk
    desk.feed(*(desk.adt("A28", code, f"{code}1") for code in ("CHUSE", "ROANNE", "ICL")))
    return desk


def pix(source: str, targets: str = "", *, version: str = "2.5", header: str = "VIEWER|TEST") -> str:
    return er7(
        f"MSH|^~\\&|{header}|TRAITDUNION|REGION|20260115101500||QBP^Q23^QBP_Q21|Q1|P|{version}",
        f"QPD|IHE PIX Query|TAG1|{source}|{targets}",
        "RCP|I",
    )


def test_case_1_corresponding_identifiers_of_all_domains(fed):
    answer = fed.ask(pix(fed.cx("ROANNE", "ROANNE1")))
    assert outcome(answer) == ("AA", "OK", "", "")
    assert answer.segment_names == ("MSH", "MSA", "QAK", "QPD", "PID")
    assert answer.msh.field(9).raw == "RSP^K23^RSP_K23"
    assert said(answer, "MSA", 2) == "Q1"
    pid = answer.segment("PID")
    assert ids(pid)[:2] == ["CHUSE1", "ICL1"]
    assert "ROANNE1" not in ids(pid)
    assert [r.text(5) for r in pid.field(3).repetitions] == ["PI", "PI", "RRI"]
    assert pid.field(5).raw == " ~^^^^^^S"


def test_case_1_only_the_domains_asked_for(fed):
    one = fed.ask(pix(fed.cx("ROANNE", "ROANNE1"), f"^^^{fed.hd('CHUSE')}"))
    assert one.segment("PID").field(3).raw == fed.cx("CHUSE", "CHUSE1")
    two = fed.ask(pix(fed.cx("ROANNE", "ROANNE1"), f"^^^{fed.hd('ICL')}~^^^{fed.hd('CHUSE')}"))
    assert ids(two.segment("PID")) == ["CHUSE1", "ICL1"]
    by_namespace = fed.ask(pix("ROANNE1^^^ROANNE", "^^^ICL"))
    assert ids(by_namespace.segment("PID")) == ["ICL1"]


def test_the_regional_identifier_asks_and_answers(fed):
    regional = fed.ask(pix(fed.cx("ROANNE", "ROANNE1"), f"^^^{fed.hd('REGION')}"))
    (rid,) = ids(regional.segment("PID"))
    assert ids(fed.ask(pix(fed.cx("REGION", rid))).segment("PID")) == ["CHUSE1", "ICL1", "ROANNE1"]


def test_case_2_no_identifier_in_the_domains_asked_for(fed):
    answer = fed.ask(pix(fed.cx("ROANNE", "ROANNE1"), f"^^^{fed.hd('ANNONAY')}"))
    assert outcome(answer) == ("AA", "NF", "", "")
    assert answer.segment("PID") is None


@pytest.mark.parametrize(
    ("source", "targets", "wanted"),
    [
        pytest.param("NOBODY^^^ROANNE", "", ("AE", "AE", "204", "QPD^1^3^1^1"), id="case 3: unknown identifier"),
        pytest.param("1^^^NOWHERE", "", ("AE", "AE", "204", "QPD^1^3^1^4"), id="case 4: unknown source domain"),
        pytest.param("1^^^&1.2.3&ISO", "", ("AE", "AE", "204", "QPD^1^3^1^4"), id="case 4: unknown source OID"),
        pytest.param("ROANNE1^^^ROANNE", "^^^NOWHERE", ("AE", "AE", "204", "QPD^1^4^1"), id="case 5: unknown target"),
        pytest.param(
            "ROANNE1^^^ROANNE",
            "^^^CHUSE~^^^NOWHERE~^^^&1.2.3&ISO",
            ("AE", "AE", "204", "QPD^1^4^2~QPD^1^4^3"),
            id="case 5: unknown targets among known ones",
        ),
        pytest.param("", "", ("AE", "AE", "101", "QPD^1^3"), id="no identifier"),
        pytest.param("ROANNE1", "", ("AE", "AE", "101", "QPD^1^3"), id="no authority"),
        pytest.param("1^^^X&NOOID&ISO", "", ("AE", "AE", "102", "QPD^1^3^1^4"), id="an authority that is no OID"),
        pytest.param("ROANNE1^^^ROANNE", "CHUSE", ("AE", "AE", "101", "QPD^1^4^1"), id="a target without authority"),
    ],
)
def test_refusals_name_their_place(fed, source, targets, wanted):
    answer = fed.ask(pix(source, targets))
    assert outcome(answer) == wanted
    assert answer.msh.field(9).raw == "RSP^K23^RSP_K23"
    assert (said(answer, "QAK", 1), answer.segment("PID")) == ("TAG1", None)
    assert said(answer, "ERR", 4) == "E"


def test_a_subsumed_identifier_is_unknown_and_the_survivor_answers(desk: Desk):
    desk.feed(desk.adt("A28", "ROANNE", "R1"), desk.adt("A28", "CHUSE", "C1"), desk.adt("A28", "CHUSE", "C2"))
    desk.feed(desk.adt("A40", "CHUSE", "C2", extra=[f"MRG|{desk.cx('CHUSE', 'C1')}"]))
    assert outcome(desk.ask(pix(desk.cx("CHUSE", "C1")))) == ("AE", "AE", "204", "QPD^1^3^1^1")
    assert ids(desk.ask(pix(desk.cx("ROANNE", "R1"))).segment("PID"))[0] == "C2"
    desk.feed(desk.adt("A29", "CHUSE", "C2"))
    assert outcome(desk.ask(pix(desk.cx("CHUSE", "C2"))))[:2] == ("AE", "AE")


def test_a_hidden_identity_is_told_to_nobody_without_the_role(desk: Desk):
    secret = "EXEMPLE^MARIE^MARIE^^^^L||19480317|F" + "|" * 24 + "PROV~CACH"
    desk.feed(desk.adt("A28", "ROANNE", "R1"), desk.adt("A28", "ICL", "I9", secret))
    desk.feed(desk.adt("A24", "ICL", "I9", secret, extra=[f"PID|2||{desk.cx('ROANNE', 'R1')}"]))
    assert desk.count("SELECT count(DISTINCT person_id) FROM record") == 1

    def known(code: str, local_id: str) -> set[str]:
        return {
            value for value in ids(desk.ask(pix(desk.cx(code, local_id))).segment("PID")) if not value.startswith("TDU")
        }

    assert known("ROANNE", "R1") == set()
    assert known("ICL", "I9") == set()
    listed = desk.ask(desk.query("Q22", "@PID.3.1^R1~@PID.3.4.1^ROANNE")).segment("PID")
    assert "I9" not in ids(listed)
    with desk.service.database.unit(Caller("steward", roles=frozenset({SEES_HIDDEN}))) as uow:
        source = PatientId("R1", desk.service.table.by_code("ROANNE").authority)
        found = cross_reference(uow, desk.service.mpi, source).identifiers
    assert "I9" in {identifier.value for identifier in found}


def test_many_who_ask_at_once_are_each_told_of_their_own_patient(desk):
    for number in range(30):
        person = f"EXEMPLE^P{number}^P{number}^^^^L||{1920 + number}0101|F"
        other = person + "|" * 24 + "PROV~CACH" if number % 10 == 3 else person
        desk.feed(
            desk.adt("A28", "CHUSE", f"C{number}", person),
            desk.adt("A28", "ROANNE", f"R{number}", other),
            desk.adt("A24", "ROANNE", f"R{number}", other, extra=[f"PID|2||{desk.cx('CHUSE', f'C{number}')}"]),
        )
    table, service = desk.table, desk.service
    callers = [
        Caller("viewer"),
        Caller("steward", roles=frozenset({SEES_HIDDEN})),
        Caller("roanne", site="ROANNE"),
    ]

    def found(each):
        caller, number = callers[each % 3], str(each % 33)  # the last three are nobody's
        source = PatientId(f"C{number}", table.by_code("CHUSE").authority)
        with service.database.question(caller) as question:
            try:
                answer = cross_reference(question, service.mpi, source, ["ROANNE"])
            except UnknownPatient:
                return None
            return [identifier.value for identifier in answer.identifiers]

    alone = [found(each) for each in range(99)]
    assert [alone[each] for each in (0, 1, 2, 30)] == [["R0"], ["R1"], ["R2"], None]
    hidden = [each for each in range(99) if each % 33 in (3, 13, 23)]
    assert [alone[each] == [] for each in hidden] == [each % 3 == 0 for each in hidden]
    asked = list(range(99)) * 6
    random.Random(1).shuffle(asked)
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(found, asked)) == [alone[each] for each in asked]

    async def in_a_loop():
        return await asyncio.gather(*(fibers.serve(None, fibers.brief_or_in_thread, found, each) for each in asked))

    assert asyncio.run(in_a_loop()) == [alone[each] for each in asked]


def test_versions_that_are_not_offered(fed):
    refused = fed.ask(pix("1^^^ROANNE", version="2.3.1"))
    assert said(refused, "MSA", 1) == "AR"
    assert refused.segment("ERR").field(1).raw == "MSH^1^12^203&Unsupported version id&HL70357"
    for version in ("2.5.1", "2.6", "2.8", FRENCH):
        assert outcome(fed.ask(pix(fed.cx("ROANNE", "ROANNE1"), version=version)))[:2] == ("AA", "OK")


def test_answers_go_back_in_the_charset_and_delimiters_of_the_question(fed):
    question = er7(
        "MSH$%~\\&$SOURCE$É$TRAITDUNION$REGION$20260115$$QBP%Q23%QBP_Q21$Q1$P$2.5$$$$$$8859/1",
        "QPD$IHE PIX Query$TAG1$ROANNE1%%%ROANNE",
        "RCP$I",
    ).encode("latin-1")
    (answer,) = fed.service.hl7v2.handle(question, fed.peer)
    assert answer.startswith(b"MSH$%~\\&$TRAITDUNION$REGION$SOURCE$\xc9$")
    assert outcome(Message.parse(answer)) == ("AA", "OK", "", "")


def test_questions_of_another_implementation_get_answers_of_the_same_shape(fed, shared_folder):
    folder = shared_folder / "testdata/ipf/commons/ihe/hl7v3/src/test/resources/translation/pixquery/v2"
    asked = 0
    for file in sorted(folder.glob("*.hl7")):
        theirs = Message.parse(file.read_bytes())
        qpd = theirs.segment("QPD")
        if qpd is None:
            continue
        header = "MSH|^~\\&|A|B|C|D|20260115||QBP^Q23^QBP_Q21|1|P|2.5"
        ours = fed.ask(er7(header, qpd.raw.rstrip("\n"), "RCP|I"))
        assert outcome(ours)[2] == "204", "their domains are not ours"
        assert said(ours, "QAK", 1) == qpd.text(2)
        asked += 1
    assert asked >= 6

"""ITI-21 from bytes to bytes: every parameter, restriction, pages, cancellation, each error of the profile."""

from __future__ import annotations

import pytest

from ihe.hl7v2.er7 import Message
from tests.hl7v2_desk import FRENCH, desk, er7, ids, outcome, said, shared_desk

__all__ = ["desk", "shared_desk"]

PAUL = (
    "MARTIN^PAUL^PAUL HENRI^^^^L~DUPOND^PAUL^^^^^D|DURAND^^^^^^M|19700502|M|||"
    "3 PLACE DE L'ÉGLISE^^ROANNE^^42300^FRA^H||04 77 12 34 56"
)
ANNE = "MARTINEZ^ANNE^ANNE^^^^L||19820101|F|||1 RUE NEUVE^^FEURS^^42110^FRA^H"


@pytest.fixture(scope="module")
def fed(shared_desk):
    desk = shared_desk
    desk.feed(
        desk.adt("A28", "CHUSE", "C1"),
        desk.adt("A28", "ROANNE", "R1"),
        desk.adt("A28", "ROANNE", "R2", PAUL),
        desk.adt("A28", "ICL", "I3", ANNE),
        desk.adt("A01", "FEURS", "F4", ANNE, visit=["I", "CARDIO^12^A"], account=desk.cx("FEURS", "ACC4", "AN")),
    )
    return desk


def found(answer: Message) -> list[str]:
    """The first identifier of each patient."""
    return [ids(pid)[0] for pid in answer.segments("PID")]


def test_the_answer_has_the_structure_of_the_profile(fed):
    answer = fed.ask(fed.query("Q22", "@PID.5.1.1^EXEMPLE", domains=f"^^^{fed.hd('ROANNE')}"))
    assert answer.segment_names == ("MSH", "MSA", "QAK", "QPD", "PID", "QRI")
    assert answer.msh.field(9).raw == "RSP^K22^RSP_K21"
    assert answer.msh.field(3).raw == "TRAITDUNION"
    assert outcome(answer) == ("AA", "OK", "", "")
    assert answer.segment("QAK").raw == "QAK|TAG1|OK|IHE PDQ Query|1|1|0"
    pid = answer.segment("PID")
    assert pid.field(3).raw == fed.cx("ROANNE", "R1")
    assert [str(r) for r in pid.field(5).repetitions] == ["EXEMPLE^MARIE^LOUISE^^^^L"]
    assert (pid.text(7), pid.text(8)) == ("19480317", "F")
    assert pid.field(11).raw == "12 RUE DU TEST^^SAINT-ÉTIENNE^^42100^^H"
    assert pid.text(32) == ""


def test_without_restriction_all_identifiers_of_each_patient_are_shown(fed):
    answer = fed.ask(fed.query("Q22", "@PID.5.1.1^EXEMPLE"))
    assert [set(ids(pid)[:2]) for pid in answer.segments("PID")] == [{"C1", "R1"}, {"C1", "R1"}]
    assert [ids(pid)[2][:3] for pid in answer.segments("PID")] == ["TDU", "TDU"]


def test_the_answer_is_in_the_dialect_of_the_question(fed):
    question = fed.query("Q22", "@PID.5.1.1^MARTIN~@PID.7^19700502")
    plain = fed.ask(question).segment("PID")
    assert [str(r) for r in plain.field(5).repetitions] == ["DUPOND^PAUL^^^^^L", "MARTIN^PAUL^HENRI^^^^B"]
    french = fed.ask(question.replace("|P|2.5", f"|P|{FRENCH}|||||FRA")).segment("PID")
    assert [str(r) for r in french.field(5).repetitions] == ["MARTIN^PAUL^PAUL HENRI^^^^L", "DUPOND^PAUL^^^^^D"]
    assert french.text(32) == ""
    delimiters = fed.ask(question.replace("|", "#").replace("^~\\&", "$*\\&").replace("^", "$").replace("~", "*"))
    assert delimiters.raw.startswith("MSH#$*\\&#TRAITDUNION#")


@pytest.mark.parametrize(
    ("criteria", "wanted"),
    [
        ("@PID.3.1^R2", ["R2"]),
        ("@PID.5.1^MARTIN", ["R2"]),
        ("@PID.5.1.1^MARTIN*", ["R2", "F4", "I3"]),
        ("@PID.5.1.1^dupond", ["R2"]),
        ("@PID.5.1.1^MARTIN*~@PID.5.2^PAUL", ["R2"]),
        ("@PID.5.1.1^MARTIN*~@PID.5.2^P*", ["R2"]),
        ("@PID.5.1.1^MARTIN*~@PID.5.2^*", ["R2", "F4", "I3"]),
        ("@PID.5.1.1^MARTIN*~@PID.5.3^HENRI", ["R2"]),
        ("@PID.7^19700502", ["R2"]),
        ("@PID.7.1^1970", ["R2"]),
        ("@PID.7^19820101~@PID.8^F", ["F4", "I3"]),
        ("@PID.7^19820101~@PID.8^M", []),
        ("@PID.7^1970~@PID.6.1^DURAND", ["R2"]),
        ("@PID.7^1970~@PID.6.1^DUBOIS", []),
        ("@PID.7^19480317~@PID.11.3^saint etienne", ["C1", "R1"]),
        ("@PID.7^1970~@PID.11.1^3 place*", ["R2"]),
        ("@PID.7^1970~@PID.11.1.1^3 PLACE DE L'EGLISE", ["R2"]),
        ("@PID.7^19820101~@PID.11.5^42110", ["F4", "I3"]),
        ("@PID.7^19820101~@PID.11.5^42000", []),
        ("@PID.13.1^0477123456", ["R2"]),
        ("@PID.13.1^+33 4 77 12 34 56", ["R2"]),
        ("@PID.18.1^ACC4", ["F4"]),
        ("@PID.5.1^NOBODY", []),
        ("@PID.3.1^R2~@PID.5.1^MARTINEZ", []),
    ],
)
def test_every_parameter_selects(fed, criteria, wanted):
    answer = fed.ask(fed.query("Q22", criteria))
    assert outcome(answer) == ("AA", "OK" if wanted else "NF", "", "")
    assert found(answer) == wanted


def test_names_like_those_asked_for(fed):
    def asked(criteria, **wanted):
        answer = fed.ask(fed.query("Q22", criteria, **wanted))
        return found(answer), [int(qri.text(1)) for qri in answer.segments("QRI")]

    like_paul = "@PID.5.1^MARTAIN~@PID.5.2^POL"
    assert asked(like_paul)[0] == asked(like_paul, algorithm="SOUNDEX")[0] == []
    (who,), (quality,) = asked(like_paul, algorithm="PHONETIC")
    assert who == "R2"
    assert 75 <= quality < 100
    assert asked(like_paul, algorithm="phonetic", confidence=str(quality))[0] == ["R2"]
    assert asked(like_paul, algorithm="phonetic", confidence=str(quality + 1))[0] == []
    both, qualities = asked("@PID.5.1^MARTINE", algorithm="FUZZY")
    assert both == ["F4", "I3", "R2"]
    assert qualities == [87, 87, 85]
    assert asked("@PID.5.1^NARTIN~@PID.7^19700502", algorithm="FUZZY")[0] == ["R2"]
    first = fed.ask(fed.query("Q22", "@PID.5.1^MARTINE", algorithm="FUZZY", rcp="I|2", tag="LIKE"))
    pointer = first.segment("DSC").text(1)
    rest = fed.ask(fed.query("Q22", "@PID.5.1^MARTINE", algorithm="FUZZY", rcp="I|2", tag="LIKE", pointer=pointer))
    assert found(first) + found(rest) == both
    assert [int(q.text(1)) for m in (first, rest) for q in m.segments("QRI")] == qualities


@pytest.mark.parametrize("confidence", ["101", "high", "-1", "9" * 5000])
def test_a_confidence_that_is_none_is_refused(fed, confidence):
    answer = fed.ask(fed.query("Q22", "@PID.5.1^MARTIN", confidence=confidence))
    assert outcome(answer)[:3] == ("AE", "AE", "102")


def test_identifiers_with_and_without_authority_and_several_of_them(fed):
    def one(code: str, value: str) -> str:
        authority = fed.table.by_code(code).authority
        return f"@PID.3.1^{value}~@PID.3.4.1^{authority.namespace}~@PID.3.4.2^{authority.oid}~@PID.3.4.3^ISO"

    assert found(fed.ask(fed.query("Q22", one("ROANNE", "R2")))) == ["R2"]
    assert found(fed.ask(fed.query("Q22", f"{one('ROANNE', 'R2')}~{one('CHUSE', 'C1')}"))) == ["C1", "R2"]
    assert found(fed.ask(fed.query("Q22", one("CHUSE", "R2")))) == []
    elsewhere = fed.ask(fed.query("Q22", "@PID.3.1^R2~@PID.3.4.2^1.2.3.4"))
    assert outcome(elsewhere) == ("AA", "NF", "", "")
    regional = ids(fed.ask(fed.query("Q22", "@PID.3.1^R1")).segment("PID"))[2]
    assert found(fed.ask(fed.query("Q22", one("REGION", regional)))) == ["C1", "R1"]
    account = fed.table.by_code("FEURS").authority
    assert found(fed.ask(fed.query("Q22", f"@PID.18.1^ACC4~@PID.18.4.2^{account.oid}"))) == ["F4"]
    assert found(fed.ask(fed.query("Q22", "@PID.18.1^ACC4~@PID.18.4.2^1.2.3"))) == []


def test_restriction_to_domains(fed):
    both = f"^^^{fed.hd('ROANNE')}~^^^{fed.hd('ICL')}"
    assert found(fed.ask(fed.query("Q22", "@PID.5.1^MARTIN*", domains=both))) == ["R2", "I3"]
    regional = fed.ask(fed.query("Q22", "@PID.5.1^EXEMPLE", domains=f"^^^{fed.hd('REGION')}"))
    assert [ids(pid)[0][:3] for pid in regional.segments("PID")] == ["TDU", "TDU"]
    nowhere = fed.ask(fed.query("Q22", "@PID.5.1^EXEMPLE", domains=f"^^^{fed.hd('MFL')}"))
    assert outcome(nowhere) == ("AA", "NF", "", "")


@pytest.mark.parametrize(
    ("criteria", "domains", "rcp", "wanted"),
    [
        ("@PID.5.1^X", "^^^NOWHERE", "I", ("AE", "AE", "204", "QPD^1^8^1")),
        ("@PID.5.1^X", "^^^ROANNE~^^^&1.2.3&ISO~^^^ELSE", "I", ("AE", "AE", "204", "QPD^1^8^2~QPD^1^8^3")),
        ("@PID.5.1^X", "NOAUTHORITY", "I", ("AE", "AE", "101", "QPD^1^8^1")),
        ("", "", "I", ("AE", "AE", "101", "QPD^1^3")),
        ("@PID.8^F", "", "I", ("AE", "AE", "101", "")),
        ("@PID.5.1^*", "", "I", ("AE", "AE", "101", "")),
        ("@PID.8^female~@PID.7^1948", "", "I", ("AE", "AE", "102", "QPD^1^3^1^2")),
        ("@PID.7^yesterday", "", "I", ("AE", "AE", "102", "QPD^1^3^1^2")),
        ("@PID.5.1^X~@PID.30^Y", "", "I", ("AE", "AE", "102", "QPD^1^3^2^1")),
        ("PID.5.1^X", "", "I", ("AE", "AE", "102", "QPD^1^3^1^1")),
        ("@PID.5.1^*X", "", "I", ("AE", "AE", "102", "QPD^1^3^1^2")),
        ("@PID.3.1^R*", "", "I", ("AE", "AE", "102", "QPD^1^3^1^2")),
        ("@PID.3.1^R1~@PID.3.4.2^NOOID", "", "I", ("AE", "AE", "102", "QPD^1^3^2")),
        ("@PID.3.4.1^CHUSE", "", "I", ("AE", "AE", "102", "QPD^1^3")),
        ("@PID.13.1^none", "", "I", ("AE", "AE", "102", "QPD^1^3^1^2")),
        ("@PID.5.1^X", "", "I|many^RD", ("AE", "AE", "102", "RCP^1^2^1^1")),
        ("@PID.5.1^X", "", "I|0^RD", ("AE", "AE", "102", "RCP^1^2^1^1")),
        ("@PID.5.1^X", "", "I|5^LI", ("AE", "AE", "102", "RCP^1^2^1^2")),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_place(fed, criteria, domains, rcp, wanted):
    answer = fed.ask(fed.query("Q22", criteria, domains=domains, rcp=rcp))
    assert outcome(answer) == wanted
    assert answer.msh.field(9).raw == "RSP^K22^RSP_K21"
    assert said(answer, "QAK", 1) == "TAG1"
    assert answer.segment("PID") is None


def test_a_query_without_qpd_is_refused(fed):
    answer = fed.ask(er7("MSH|^~\\&|VIEWER|TEST|R|R|20260115||QBP^Q22^QBP_Q21|Q1|P|2.5", "RCP|I"))
    assert outcome(answer)[:3] == ("AE", "AE", "100")


@pytest.fixture
def crowd(desk):
    """Twelve strangers who share a family name."""
    names = ("ADELE BERTHE CELINE DIANE ELODIE FANNY", "GISELE HELENE IRENE JULIE KARINE LUCIE")
    for number, name in enumerate(" ".join(names).split(), 1):
        person = f"FOULE^{name}^{name}^^^^L||{1930 + number}0{number % 9 + 1}11|F"
        desk.feed(desk.adt("A28", "MFL", f"M{number:02}", person))
    return desk


def test_pages_give_everything_once_whatever_is_fed_in_between(crowd):
    question = {"criteria": "@PID.5.1^FOULE", "rcp": "I|5^RD"}
    first = crowd.ask(crowd.query("Q22", **question))
    assert first.segment_names[-1] == "DSC"
    assert [said(first, "QAK", n) for n in (4, 5, 6)] == ["12", "5", "7"]
    crowd.feed(crowd.adt("A28", "MFL", "M00", "FOULE^AAA^AAA^^^^L||19200101|F"))
    second = crowd.ask(crowd.query("Q22", **question, pointer=said(first, "DSC", 1)))
    again = crowd.ask(crowd.query("Q22", **question, pointer=said(first, "DSC", 1)))
    assert found(again) == found(second), "the same pointer gives the same page"
    third = crowd.ask(crowd.query("Q22", **question, pointer=said(second, "DSC", 1)))
    assert third.segment("DSC") is None
    pages = found(first) + found(second) + found(third)
    assert pages == [f"M{n:02}" for n in range(1, 13)]
    assert [said(third, "QAK", n) for n in (4, 5, 6)] == ["12", "2", "0"]


def test_a_patient_withdrawn_in_between_is_left_out(crowd):
    first = crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE", rcp="I|6^RD"))
    crowd.feed(crowd.adt("A29", "MFL", "M08"))
    second = crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE", rcp="I|6^RD", pointer=said(first, "DSC", 1)))
    assert "M08" not in found(second)
    assert len(found(second)) == 5


def test_a_cancelled_foreign_or_invented_query_cannot_be_continued(crowd):
    first = crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE", rcp="I|5^RD"))
    pointer = said(first, "DSC", 1)
    nothing = ("AE", "AE", "102", "DSC^1^1")
    stranger = crowd.query("Q22", "@PID.5.1^FOULE", rcp="I|5^RD", pointer=pointer, sender="OTHER|TEST")
    assert outcome(crowd.ask(stranger)) == nothing
    for invented in ("nonsense", "abc.5", pointer + "x"):
        assert outcome(crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE", pointer=invented))) == nothing
    assert outcome(crowd.ask(crowd.query("ZV1", "@PID.5.1^FOULE", pointer=pointer))) == nothing
    cancel = er7(
        "MSH|^~\\&|VIEWER|TEST|TRAITDUNION|REGION|20260115101500||QCN^J01^QCN_J01|K1|P|2.5", "QID|TAG1|IHE PDQ Query"
    )
    acknowledged = crowd.ask(cancel)
    assert (acknowledged.msh.field(9).raw, said(acknowledged, "MSA", 1)) == ("ACK^J01^ACK", "AA")
    assert crowd.count("SELECT count(*) FROM query_snapshot") == 0
    assert outcome(crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE", rcp="I|5^RD", pointer=pointer))) == nothing
    assert said(crowd.ask(cancel), "MSA", 1) == "AA", "there is nothing left to cancel, and that is no error"


def test_a_cancellation_without_tag_is_refused(crowd):
    header = "MSH|^~\\&|VIEWER|TEST|TRAITDUNION|REGION|20260115101500||QCN^J01^QCN_J01|K1|P|2.5"
    assert outcome(crowd.ask(er7(header)))[:3] == ("AE", "", "100")
    assert outcome(crowd.ask(er7(header, "QID||IHE PDQ Query")))[:3] == ("AE", "", "101")


def test_too_many_are_refused_in_words_not_cut(crowd):
    object.__setattr__(crowd.service.mpi, "answer_limit", 10)
    refused = crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE"))
    assert outcome(refused) == ("AE", "AE", "207", "RCP^1^2")
    assert "increments" in said(refused, "ERR", 8)
    assert len(found(crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE", rcp="I|11^RD")))) == 11
    object.__setattr__(crowd.service.mpi, "search_limit", 11)
    assert outcome(crowd.ask(crowd.query("Q22", "@PID.5.1^FOULE", rcp="I|5^RD"))) == ("AE", "AE", "207", "QPD^1^3")


def test_hidden_identities_are_not_listed(desk):
    fields = desk.adt("A28", "ICL", "I9").split("\r")
    fields[2] = "PID|1||" + desk.cx("ICL", "I9") + "||SECRET^ANNE^ANNE^^^^L||19820101|F" + "|" * 24 + "PROV~CACH"
    desk.feed("\r".join(fields))
    assert desk.count("SELECT count(*) FROM record") == 1
    assert outcome(desk.ask(desk.query("Q22", "@PID.5.1^SECRET"))) == ("AA", "NF", "", "")


def test_a_query_is_audited_with_the_patients_it_showed(fed):
    audited = "SELECT count(*) FROM audit_event WHERE transaction = 'ITI-21' AND outcome = 0"
    before = fed.count(audited)
    fed.ask(fed.query("Q22", "@PID.5.1^EXEMPLE"))
    assert fed.count(audited) == before + 1
    assert fed.count("SELECT jsonb_array_length(objects) FROM audit_event ORDER BY id DESC LIMIT 1") == 3


def test_queries_of_another_implementation_are_understood(desk, shared_folder):
    samples = shared_folder / "testdata/ipf/commons/ihe/hl7v3/src/test/resources/translation/pdq/v2"
    for name in ("PDQ_ID_Query.hl7", "PDQ_Maximal_Query.hl7"):
        data = (samples / name).read_bytes().replace(b"\n", b"\r")
        answer = desk.ask(data)
        expected = ("AA", "NF", "", "") if name == "PDQ_ID_Query.hl7" else ("AE", "AE", "204", "QPD^1^8^1")
        assert outcome(answer) == expected


def test_a_question_takes_one_statement_and_no_transaction(fed, monkeypatch):
    def refuse(*_):
        raise AssertionError("a transaction was begun")

    monkeypatch.setattr(type(fed.service.database), "transaction", refuse)
    events = fed.count("SELECT count(*) FROM audit_event")
    answer = fed.ask(fed.query("Q22", "@PID.5.1^EXEMPLE~@PID.7^19480317"))
    assert outcome(answer)[:2] == ("AA", "OK")
    assert fed.count("SELECT count(*) FROM audit_event") == events + 1

"""Acknowledgements: every refusal has its code, every question its answer in its own dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ihe.serving
from ihe import errors
from ihe.errors import Finding, IheError
from ihe.hl7v2.acknowledgement import (
    Diagnostic,
    acknowledge,
    answers,
    err_segments,
    header_segment,
    msa_segment,
    refuse,
    salvage,
)
from ihe.hl7v2.building import build_message
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.error_codes import ERROR_CODES, TABLE_VALUE_NOT_FOUND, error_code
from ihe.hl7v2.mllp import frame

FRENCH = "MSH|^~\\&|GAM|SITE-A|INDEX|REGION|20260302101500||ADT^A28^ADT_A05|00042|D|2.5^FRA^2.11|||||FRA|8859/15|FR\r"
OLD = "MSH|^~\\&|GAM|SITE-A|INDEX|REGION|20260302101500||ADT^A01|00042|P|2.3.1\r"


def lines(message: Message) -> list[str]:
    return [segment.raw for segment in message]


def subclasses(kind: type[IheError]) -> set[type[IheError]]:
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_every_error_has_its_row() -> None:
    general = {kind for kind in subclasses(IheError) if kind.__module__ == errors.__name__}
    assert general == set(ERROR_CODES)
    assert error_code(ihe.serving.UnforeseenFailure("internal error")).condition.code == "207"
    for code, condition in ERROR_CODES.values():
        assert code in ("AE", "AR")
        assert 100 <= int(condition.code) <= 207


@pytest.mark.parametrize(
    ("error", "code", "condition"),
    [
        (errors.UnsupportedRequest("no", "MSH-9"), "AR", "200"),
        (errors.UnsupportedRequest("no", "MSH-9.2"), "AR", "201"),
        (errors.UnsupportedRequest("no", "MSH-11"), "AR", "202"),
        (errors.UnsupportedRequest("no", "MSH-12"), "AR", "203"),
        (errors.MissingElement("no", "PID"), "AE", "100"),
        (errors.MissingElement("no", "PID-3"), "AE", "101"),
        (errors.UnknownPatient("no", "QPD-3.1"), "AE", "204"),
        (errors.Unavailable("no"), "AR", "206"),
    ],
)
def test_a_refusal_names_the_row_of_table_0357(error: IheError, code: str, condition: str) -> None:
    answer = refuse(Message.parse(FRENCH), error)
    assert answer.segment("MSA").text(1) == code  # type: ignore[union-attr]
    assert answer.segment("ERR").text(3) == condition  # type: ignore[union-attr]


def test_an_answer_speaks_the_dialect_of_the_question() -> None:
    answer = acknowledge(Message.parse(FRENCH))
    header = answer.msh
    assert (answer.sender, answer.receiver) == (("INDEX", "REGION"), ("GAM", "SITE-A"))
    assert (answer.type_code, answer.trigger_event, answer.structure) == ("ACK", "A28", "ACK")
    assert [header.field(n).raw for n in (11, 12, 17, 18, 19)] == ["D", "2.5^FRA^2.11", "FRA", "8859/15", "FR"]
    assert 0 < len(answer.control_id) <= 20
    assert answer.control_id != acknowledge(Message.parse(FRENCH)).control_id
    assert lines(answer)[1:] == ["MSA|AA|00042"]


_said = st.sampled_from(["", "A", "B^C", "a\\T\\b", "2.5", "P", "2.2", "8859/1", "x" * 1500])


@given(st.lists(st.tuples(st.integers(9, 20), st.lists(_said, min_size=20, max_size=20)), min_size=2, max_size=6))
def test_of_many_questions_each_answer_has_the_header_of_its_own(said: list[tuple[int, list[str]]]) -> None:
    for count, fields in said:
        header = ["MSH", "^~\\&", *fields[2:8], "QBP^Q23", *fields[9:]][:count]
        question = Message.parse("|".join(header) + "\r")
        answer = acknowledge(question)
        asked, told = question.msh, answer.msh
        assert [told.written(n) for n in (3, 4, 5, 6)] == [asked.written(n) for n in (5, 6, 3, 4)]
        assert [told.written(n) for n in (17, 18, 19)] == [asked.written(n) for n in (17, 18, 19)]
        assert (answer.processing_id, answer.version) == (question.processing_id or "P", question.version or "2.5")
        assert answer.structure == ("" if question.version == "2.2" else "ACK")
        assert answer.segment("MSA").text(2) == question.control_id  # type: ignore[union-attr]
        assert len(answer.control_id) == 20
        assert len(told.written(7)) == len("20260302101500+0000")


def test_an_answer_uses_the_delimiters_and_the_charset_of_the_question() -> None:
    question = Message.parse("MSH$%*!@$A$B$C$D$$$ADT%A28$1$P$2.5$$$$$$8859/1\rPID$1\r")
    answer = refuse(question, errors.InvalidElement("la clé n'est pas valable", "PID-3"))
    assert bytes(answer).startswith(b"MSH$%*!@$C$D$A$B$")
    assert b"la cl\xe9" in bytes(answer)
    assert b"ERR$$PID%1%3$102%Data type error%HL70357$E" in bytes(answer)


def test_an_old_version_is_answered_in_its_own_form() -> None:
    answer = refuse(Message.parse(OLD), errors.MissingElement("the patient identifier is missing", "PID-3[2].4"))
    assert answer.msh.field(9).raw == "ACK^A01^ACK"
    assert lines(answer)[1:] == [
        "MSA|AE|00042|the patient identifier is missing",
        "ERR|PID^1^3^101&Required field missing&HL70357",
    ]


def test_an_error_says_where_what_and_by_which_reference() -> None:
    error = errors.UnknownTargetAuthority("two domains are unknown", ["QPD-4[2]", "QPD-4[3]"])
    (line,) = lines(refuse(Message.parse(FRENCH), error, "f00d"))[2:]
    assert line == ("ERR||QPD^1^4^2~QPD^1^4^3|204^Unknown key identifier^HL70357|E|||f00d|two domains are unknown")


def test_each_finding_of_a_refused_submission_is_an_error_of_its_own() -> None:
    error = errors.Refused([Finding("XDSA", "first", "PID-3"), Finding("XDSB", "second", None, "Warning")])
    assert [line.split("|")[4::4] for line in lines(refuse(Message.parse(FRENCH), error))[2:]] == [
        ["E", "first"],
        ["W", "second"],
    ]


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("PID", "PID^1"),
        ("OBX[2]-5", "OBX^2^5"),
        ("PID-3.4", "PID^1^3^1^4"),
        ("PID-3[2].4.1", "PID^1^3^2^4^1"),
        ("QPD-4[3]", "QPD^1^4^3"),
        ("somewhere", ""),
    ],
)
def test_locations_become_erl(location: str, place: str) -> None:
    question = Message.parse(FRENCH)
    (segment,) = err_segments(question, [Diagnostic(TABLE_VALUE_NOT_FOUND, "text", (location,))])
    assert segment.render(question.delimiters).split("|")[2] == place


def test_the_parts_serve_other_answers_as_well() -> None:
    question = Message.parse(FRENCH)
    answer = build_message([header_segment(question, "RSP", "K23", "RSP_K23"), msa_segment(question, "AA")])
    assert answer.msh.field(9).raw == "RSP^K23^RSP_K23"


@pytest.mark.parametrize(
    ("data", "control_id", "sender"),
    [
        (b"", "", ("", "")),
        (b"noise", "", ("", "")),
        (b"MS", "", ("", "")),
        (b"MSH", "", ("", "")),
        (b"MSH|", "", ("", "")),
        (b"junk\x0bMSH|^~\\&|A|B|C|D|||ADT^A01|77|P|2.5\rPID|", "77", ("C", "D")),
        (b"MSH|^~^&|A|B|C|D|||ADT^A01|77|P|2.5\rPID|", "77", ("", "")),
        (b"MSH|^~^&|A|B|C|D|||ADT^A01|77\xff<|P|2.5\r", "", ("", "")),
        (b"MSH|^~\\&|A|B|C|D|||ADT^A01|77|P|2.5\rno segment", "77", ("C", "D")),
    ],
)
def test_even_an_unreadable_message_is_answered(data: bytes, control_id: str, sender: tuple[str, str]) -> None:
    with pytest.raises(errors.MalformedRequest) as refusal:
        Message.parse(data)
    answer = refuse(data, refusal.value)
    msa = answer.segment("MSA")
    assert msa is not None
    assert (msa.text(1), msa.text(2), answer.sender) == ("AR", control_id, sender)
    assert answer.segment("ERR").text(3) == "100"  # type: ignore[union-attr]
    assert answer.version == "2.5"
    assert salvage(data).control_id == control_id


_text = st.text(st.sampled_from("AZ9|^~\\&#\r\n\x0b\x1c\x00\x85é€"), max_size=60).map(str.encode)


@given(st.sampled_from([b"", b"MSH|^~\\&|", b"MSH|^~\\&|A\x1cB|\n|\x0b|"]), st.one_of(st.binary(max_size=60), _text))
def test_whatever_came_the_answer_can_be_framed_and_read(start: bytes, rest: bytes) -> None:
    answer = bytes(refuse(start + rest, errors.MalformedRequest("not readable", "MSH")))
    read = Message.parse(answer)
    assert read.segment_names == ("MSH", "MSA", "ERR")
    assert frame(answer)
    assert not set(answer.decode("utf-8", "replace")) & {*"\n\x00\x0b\x1c"}
    question = salvage(start + rest)
    if question.raw.isascii():
        assert read.msh.text(5) == question.msh.text(3)


def enhanced(accept: str, application: str) -> Message:
    return Message.parse(f"MSH|^~\\&|A|B|C|D|||ADT^A28|9|P|2.5|||{accept}|{application}\r")


@pytest.mark.parametrize(
    ("accept", "application", "ok", "bad", "rejected"),
    [
        ("", "", "AA", "AE", "AR"),
        ("AL", "AL", "CA AA", "CA AE", "CR"),
        ("AL", "NE", "CA", "CA", "CR"),
        ("NE", "AL", "AA", "AE", "AR"),
        ("NE", "NE", "", "", ""),
        ("ER", "ER", "", "AE", "CR"),
        ("SU", "SU", "CA AA", "CA", ""),
        ("AL", "", "CA", "CA", "CR"),
        ("ER", "", "AA", "AE", "AR"),
        ("NE", "", "AA", "AE", "AR"),
        ("??", "AL", "CA AA", "CA AE", "CR"),
    ],
)
def test_the_question_chooses_its_acknowledgements(
    accept: str, application: str, ok: str, bad: str, rejected: str
) -> None:
    question = enhanced(accept, application)

    def codes(answer: Message) -> str:
        given = answers(question, answer)
        assert all(each.segment("MSA").text(2) == "9" for each in given)  # type: ignore[union-attr]
        return " ".join(each.segment("MSA").text(1) for each in given)  # type: ignore[union-attr]

    assert codes(acknowledge(question)) == ok
    assert codes(refuse(question, errors.InvalidElement("no", "PID-7"))) == bad
    assert codes(refuse(question, errors.UnsupportedRequest("no", "MSH-9"))) == rejected


def test_a_fault_of_the_system_is_an_accept_error_with_its_reason() -> None:
    question = enhanced("AL", "AL")
    (answer,) = answers(question, refuse(question, errors.Unavailable("the database does not answer")))
    assert lines(answer)[1:] == [
        "MSA|CE|9",
        "ERR|||206^Application record locked^HL70357|E||||the database does not answer",
    ]

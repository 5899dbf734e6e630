"""Messages of our own: what is put in comes out again, in any delimiters and charset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihe.errors import MalformedRequest
from ihe.hl7v2.building import SegmentBuilder, build_message
from ihe.hl7v2.charset import LATIN_1, UTF_8, Charset, can_write
from ihe.hl7v2.delimiters import STANDARD, Delimiters
from ihe.hl7v2.er7 import Message

HEADER = ("APP", "FAC", None, None, "20260101000000", None, ["ADT", "A28", "ADT_A05"], "1", "P", "2.5")


def header() -> SegmentBuilder:
    return SegmentBuilder("MSH", *HEADER)


def test_values_components_subcomponents_and_repetitions() -> None:
    pid = SegmentBuilder("PID", "1").add(3, ["4711", None, None, ["SITE", "1.2.3", "ISO"], "PI"]).add(3, "5")
    pid.set(5, ["O'NEIL & FILS", "ZOÉ", ""], None).set(30, "")
    assert (
        bytes(build_message([header(), pid]))
        == (
            "MSH|^~\\&|APP|FAC|||20260101000000||ADT^A28^ADT_A05|1|P|2.5||||||UNICODE UTF-8\r"
            "PID|1||4711^^^SITE&1.2.3&ISO^PI~5||O'NEIL \\T\\ FILS^ZOÉ~\r"
        ).encode()
    )


def test_the_charset_is_declared_only_when_it_matters_and_not_yet_said() -> None:
    assert build_message([header(), SegmentBuilder("PID", "A")]).msh.text(18) == ""
    assert build_message([header(), SegmentBuilder("PID", "É")], charset=LATIN_1).msh.text(18) == "8859/1"
    said = header().set(18, "8859/15")
    assert build_message([said, SegmentBuilder("PID", "É")]).msh.text(18) == "8859/15"


def test_parts_of_a_message_that_was_read_keep_their_spelling() -> None:
    question = Message.parse("MSH|^~\\&|A|B\rQPD|Q1^x|\\H\\tag|4711^^^S&1.2&ISO~5\r")
    qpd = question.segment("QPD")
    assert qpd is not None
    answer = build_message([header(), qpd, SegmentBuilder("QAK", qpd.field(2), qpd.field(3).repetition(1))])
    assert answer.segment("QPD").raw == qpd.raw  # type: ignore[union-attr]
    assert answer.segment("QAK").raw == "QAK|\\H\\tag|4711^^^S&1.2&ISO"  # type: ignore[union-attr]


def test_parts_change_their_delimiters_with_the_message() -> None:
    qpd = Message.parse("MSH$%*!@$A$B\rQPD$Q1%x^y$a!F!b$4711%%%S@1.2@ISO*5\r").segment("QPD")
    assert qpd is not None
    answer = build_message([header(), qpd, SegmentBuilder("QAK", qpd.field(3))])
    assert answer.segment("QPD").raw == "QPD|Q1^x\\S\\y|a$b|4711^^^S&1.2&ISO~5"  # type: ignore[union-attr]
    assert answer.segment("QAK").raw == "QAK|4711^^^S&1.2&ISO~5"  # type: ignore[union-attr]


def test_a_character_that_becomes_a_delimiter_is_escaped() -> None:
    zzz = Message.parse("MSH|^~|A|B\rZZZ|a&b\\c\r").segment("ZZZ")
    assert zzz is not None
    answer = build_message([header(), zzz, SegmentBuilder("ZZY", zzz.field(1))], delimiters=zzz.delimiters)
    for name in ("ZZZ", "ZZY"):
        assert answer.segment(name).raw == f"{name}|a\\T\\b\\E\\c"  # type: ignore[union-attr]


def test_an_answer_completes_the_delimiters_of_its_question() -> None:
    answer = build_message(
        [header(), SegmentBuilder("PID", ["a", ["b", "c"]])], delimiters=Delimiters("|", "&", "", "", "")
    )
    assert answer.delimiters.component == "&"
    assert len(set(answer.delimiters[:5])) == 5
    assert answer.segment("PID").field(1).repetition(1).component(2).subcomponents == ("b", "c")  # type: ignore[union-attr]


def test_what_the_charset_lacks_is_written_plainly() -> None:
    answer = build_message([header(), SegmentBuilder("PID", "ŒUVRÉ")], charset=LATIN_1)
    assert bytes(answer).endswith(b"PID|OEUVR\xc9\r")


def test_delimiters_that_the_charset_lacks_give_way_to_the_standard_ones() -> None:
    question = Message.parse("MSH|^˜\\&|A|B|C|D||||||||||||8859/1\rPID|1˜2~3\r".encode())
    pid = question.segment("PID")
    assert pid is not None
    answer = build_message([header(), pid], delimiters=question.delimiters, charset=question.answer_charset)
    assert answer.delimiters == STANDARD
    assert bytes(answer).endswith(b"PID|1~2\\R\\3\r")


@pytest.mark.parametrize("segments", [[], [SegmentBuilder("PID", "1")]])
def test_a_message_starts_with_its_header(segments: list[SegmentBuilder]) -> None:
    with pytest.raises(MalformedRequest):
        build_message(segments)


_value = st.text(max_size=8)
_component = st.lists(_value, min_size=1, max_size=3)
_repetition = st.lists(_component, min_size=1, max_size=3)
_field = st.lists(_repetition, min_size=1, max_size=3)
_delimiters = st.one_of(
    st.just(STANDARD),
    st.permutations("|^~\\&$*!@%§").map(lambda c: Delimiters(*c[:5])),
    st.just(Delimiters("|", "^", "", "", "")),
)


@given(st.lists(_field, max_size=4), _delimiters, st.sampled_from([UTF_8, LATIN_1]))
def test_what_is_built_reads_as_what_was_put_in(
    fields: list[list[list[list[str]]]], marks: Delimiters, charset: Charset
) -> None:
    segment = SegmentBuilder("ZZZ")
    for number, repetitions in enumerate(fields, 1):
        segment.set(number, *repetitions)
    message = Message.parse(build_message([header(), segment], delimiters=marks, charset=charset).raw)
    read = message.segment("ZZZ")
    assert read is not None
    for number, repetitions in enumerate(fields, 1):
        for index, components in enumerate(repetitions, 1):
            for place, values in enumerate(components, 1):
                for sub, value in enumerate(values, 1):
                    found = read.field(number).repetition(index).text(place, sub)
                    if can_write(value, charset):
                        assert found == value
                    else:
                        assert found

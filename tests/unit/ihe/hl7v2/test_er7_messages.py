"""ER7 messages: structure, escapes, what is refused, and that nothing of a message is ever lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ihe.errors import MalformedRequest, TooLarge
from ihe.hl7v2.delimiters import STANDARD, Delimiters
from ihe.hl7v2.er7 import MAX_PARTS, Message, Segment

ADMIT = (
    "MSH|^~\\&|GAM|SITE-A|INDEX|REGION|20260302101500||ADT^A28^ADT_A05|00042|P|2.5^FRA^2.11|||||FRA|"
    "UNICODE UTF-8|FR\r"
    "EVN||20260302101500\r"
    "PID|1||4711^^^SITE-A&1.2.250.1.999&ISO^PI~999^^^INS&1.2.250.1.213.1.4.8&ISO^INS||"
    "ÉTIENNE\\T\\FILS^ZOÉ^ZOÉ MARIE^^^^L~MARTIN^ZOÉ^^^^^D||"
    '19790328|F|||1 RUE X\\.br\\BAT B^^LYON^^69001^FRA^H|""\r'
    "PV1|1|N\r"
)


def test_header_fields_read_by_their_number() -> None:
    message = Message.parse(ADMIT)
    assert (message.type_code, message.trigger_event, message.structure) == ("ADT", "A28", "ADT_A05")
    assert (message.control_id, message.processing_id, message.version) == ("00042", "P", "2.5")
    assert message.sender == ("GAM", "SITE-A")
    assert message.receiver == ("INDEX", "REGION")
    assert (message.msh.text(1), message.msh.text(2)) == ("|", "^~\\&")
    assert message.msh.field(2).text() == "^~\\&"
    assert message.msh.text(12, 2) == "FRA"
    assert message.segment_names == ("MSH", "EVN", "PID", "PV1")
    assert [segment.name for segment in message] == ["MSH", "EVN", "PID", "PV1"]


def test_values_read_by_repetition_component_and_subcomponent() -> None:
    pid = Message.parse(ADMIT).segment("PID")
    assert pid is not None
    first, second = pid.field(3).repetitions
    assert (first.text(), first.component(4).sub(2), first.component(5).text) == (
        "4711",
        "1.2.250.1.999",
        "PI",
    )
    assert second.component(4).subcomponents == ("INS", "1.2.250.1.213.1.4.8", "ISO")
    assert [name.text(7) for name in pid.field(5).repetitions] == ["L", "D"]
    assert pid.text(5) == "ÉTIENNE&FILS"
    assert pid.text(5, 3) == "ZOÉ MARIE"
    assert pid.written(5) == "ÉTIENNE\\T\\FILS^ZOÉ^ZOÉ MARIE^^^^L~MARTIN^ZOÉ^^^^^D"
    assert pid.field(5).repetition(2).text(1) == "MARTIN"
    assert pid.text(11) == "1 RUE X\nBAT B"
    assert pid.field(12).is_null


@pytest.mark.parametrize("position", [-1, 0, 99])
def test_absent_parts_read_as_empty(position: int) -> None:
    message = Message.parse(ADMIT)
    pid = message.segment("PID")
    assert pid is not None
    assert pid.text(position) == ""
    assert pid.written(position) == ""
    assert pid.text(3, position) == ""
    assert pid.text(3, 4, position) == ""
    assert pid.text(7, position) == ""
    assert pid.field(position).repetitions == ()
    assert not pid.field(3).repetition(position)
    assert not pid.field(3).repetition(1).component(position)
    assert pid.field(3).repetition(1).component(4).sub(position) == ""
    assert message.segment("ZZZ") is None
    assert message.segments("ZZZ") == ()


def test_other_delimiters_are_those_of_the_header() -> None:
    message = Message.parse("MSH$%*!@$A$B$C$D$1$$ADT%A01$1$P$2.3.1\rPID$$$1%%%A@2@ISO*2%%%B$$X!S!Y!F!Z^W\r")
    pid = message.segment("PID")
    assert pid is not None
    assert [r.component(4).sub(1) for r in pid.field(3).repetitions] == ["A", "B"]
    assert pid.text(5) == "X%Y$Z^W"


def test_a_delimiter_left_out_of_the_header_means_itself() -> None:
    message = Message.parse("MSH|^~|A|B\rPID|1\\T\\&2^3\r")
    pid = message.segment("PID")
    assert pid is not None
    assert pid.text(1) == "1\\T\\&2"
    assert message.delimiters == Delimiters("|", "^", "~", "", "", "")
    assert message.delimiters.completed() == STANDARD


def test_the_truncation_character_of_newer_versions_is_understood() -> None:
    message = Message.parse("MSH|^~\\&#|A|B\rPID|1\\P\\2\r")
    assert message.delimiters.truncation == "#"
    assert message.segment("PID").text(1) == "1#2"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("\\X41\\\\XC3A9\\", "Aé"),
        ("one\\.br\\two", "one\ntwo"),
        (
            "\\Z01\\ \\H\\bold\\N\\ \\.sp3\\ \\XZZ\\ \\XFF\\ \\",
            "\\Z01\\ \\H\\bold\\N\\ \\.sp3\\ \\XZZ\\ \\XFF\\ \\",
        ),
        ("C:\\temp\\x", "C:\\temp\\x"),
        ("\\E\\F\\E\\", "\\F\\"),
    ],
)
def test_known_escapes_are_undone_and_unknown_ones_kept(written: str, value: str) -> None:
    assert STANDARD.unescaped(written) == value


@given(st.text(), st.permutations("|^~\\&$*!@%§").map(lambda chars: Delimiters(*chars[:6])))
@example("\\E\\\\.br\\\\X0D\\\r\n\x0b\x1c\r|^~&#", STANDARD)
def test_reading_an_escaped_value_gives_the_value(value: str, delimiters: Delimiters) -> None:
    written = delimiters.escaped(value)
    assert delimiters.unescaped(written) == value
    assert not set(written) & {*"\r\n\x0b\x1c", *delimiters} - {delimiters.escape}


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("", "MSH"),
        ("MSH", "MSH"),
        ("MSH|", "MSH"),
        ("PID|1\rMSH|^~\\&|\r", "MSH"),
        ("msh|^~\\&|A\r", "MSH"),
        ("MSHX^~\\&XAX\r", "MSH-1"),
        ("MSH ^~\\& A\r", "MSH-1"),
        ("MSH\x07^~\\&\x07A\r", "MSH-1"),
        ("MSH||||\r", "MSH-2"),
        ("MSH|^~\\&#$|A\r", "MSH-2"),
        ("MSH|^~^&|A\r", "MSH-2"),
        ("MSH|^~\x01&|A\r", "MSH-2"),
        ("MSH|^~A&|A\r", "MSH-2"),
        ("MSH|^~\\&|A\rMSH|^~\\&|B\r", "MSH[2]"),
        ("MSH|^~\\&|A\rlower|1\r", None),
        ("MSH|^~\\&|A\rPIDX|1\r", None),
        ("MSH|^~\\&|A\rPID^1\r", None),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(text: str, location: str | None) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        Message.parse(text)
    assert refusal.value.location == location


def test_a_refusal_repeats_nothing_of_the_message() -> None:
    with pytest.raises(MalformedRequest) as refusal:
        Message.parse("MSH|^~\\&|A\rDUPONT JEANNE\r")
    assert "DUPONT" not in refusal.value.message
    assert "line 2" in refusal.value.message


def test_a_message_with_absurdly_many_parts_is_refused() -> None:
    for part in ("|", "~", "^", "\r"):
        with pytest.raises(TooLarge):
            Message.parse("MSH|^~\\&|A\rPID|" + part * (MAX_PARTS + 1))


def test_a_long_value_is_no_reason_to_refuse() -> None:
    document = "QUJD" * MAX_PARTS
    assert Message.parse(f"MSH|^~\\&|A\rOBX|1|ED|||{document}\r").segment("OBX").text(5) == document  # type: ignore[union-attr]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n \t\n"])
def test_every_line_ending_separates_segments(end: str) -> None:
    text = f"\n\nMSH|^~\\&|A{end}EVN||1{end}PID|1{end}"
    message = Message.parse(text)
    assert message.segment_names == ("MSH", "EVN", "PID")
    assert message.msh.text(3) == "A"
    assert message.segment("EVN").text(2) == "1"  # type: ignore[union-attr]
    assert bytes(message) == text.encode()


def test_a_line_feed_that_no_segment_follows_belongs_to_the_value() -> None:
    message = Message.parse("MSH|^~\\&|A\rOBX|1|TX|||two\nlines||N\nOBX|2|TX|||next\n")
    first, second = message.segments("OBX")
    assert first.text(5) == "two\nlines"
    assert first.text(7) == "N"
    assert second.text(5) == "next"


_bytes = st.one_of(st.binary(max_size=300), st.text("MSHPID|^~\\&#\r\n X1é\x0b\x1c", max_size=300).map(str.encode))


@given(_bytes, st.booleans())
def test_any_bytes_are_read_without_loss_or_refused(data: bytes, headed: bool) -> None:
    if headed:
        data = b"MSH|^~\\&|" + data
    try:
        message = Message.parse(data)
    except (MalformedRequest, TooLarge):
        return
    assert bytes(message) == data
    for segment in message:
        assert rebuilt(segment) == segment.raw
        for number in range(segment.field_count + 2):
            segment.text(number, 2, 2)
            for repetition in segment.field(number).repetitions:
                repetition.text(3, 1)


def rebuilt(segment: Segment) -> str:
    """The segment put together again from its smallest parts."""
    marks = segment.delimiters
    fields = []
    for number in range(1, segment.field_count + 1):
        field = segment.field(number)
        repetitions = [marks.component.join(c.raw for c in r.components) for r in field.repetitions]
        fields.append(marks.repetition.join(repetitions))
    if segment.name == "MSH":
        return marks.field.join(["MSH", *[segment.text(2)], *fields[2:]])
    return marks.field.join([segment.name, *fields])

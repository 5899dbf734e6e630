"""Other libraries read our messages without a complaint: hl7apy validates them, python-hl7 sees the same values."""

from __future__ import annotations

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from ihe import errors
from ihe.errors import IheError
from ihe.hl7v2.acknowledgement import Diagnostic, acknowledge, refuse
from ihe.hl7v2.building import SegmentBuilder, build_message
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.error_codes import TABLE_VALUE_NOT_FOUND

QUESTIONS = {
    "2.5": "MSH|^~\\&|GAM|SITE-A|INDEX|REGION|20260302101500||ADT^A28^ADT_A05|42|P|2.5|||||FRA|UNICODE UTF-8\r",
    "2.3.1": "MSH|^~\\&|GAM|SITE-A|INDEX|REGION|20260302101500||ADT^A01|42|P|2.3.1\r",
}
REFUSALS: list[IheError] = [
    errors.MalformedRequest("line 3 does not start with a segment identifier"),
    errors.MissingElement("the patient identifier is missing", "PID-3[2].4.1"),
    errors.UnknownTargetAuthority("two domains are unknown", ["QPD-4[1]", "QPD-4[2]"]),
    errors.Unavailable("the database does not answer"),
]


@pytest.mark.parametrize("version", QUESTIONS)
@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_hl7apy_finds_our_refusals_valid(version: str, error: IheError) -> None:
    answer = refuse(Message.parse(QUESTIONS[version]), error, "0123456789abcdef0123456789abcdef")
    parsed = parse_message(answer.raw, validation_level=VALIDATION_LEVEL.STRICT)
    assert parsed.validate()
    assert parsed.msa.msa_2.to_er7() == "42"
    if version == "2.5":
        assert parsed.err.err_8.to_er7() == error.message


@pytest.mark.parametrize("version", QUESTIONS)
def test_hl7apy_finds_our_acceptances_valid(version: str) -> None:
    warning = Diagnostic(TABLE_VALUE_NOT_FOUND, "the sex code is not of table 0001", ("PID-8",), severity="W")
    for diagnostics in ((), (warning,)):
        answer = acknowledge(Message.parse(QUESTIONS[version]), "AA", diagnostics)
        assert parse_message(answer.raw, validation_level=VALIDATION_LEVEL.STRICT).validate()


_printable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]))


@given(st.lists(_printable.map("<{}>".format), min_size=1))
def test_python_hl7_reads_the_values_we_write(values: list[str]) -> None:
    header = SegmentBuilder("MSH", "A", "B", None, None, "20260101", None, ["ADT", "A28"], "1", "P", "2.5")
    message = build_message([header, SegmentBuilder("PID", "1").set(5, values)])
    parsed = hl7.parse(message.raw)
    for number, value in enumerate(values, 1):
        assert parsed.extract_field("PID", 1, 5, 1, number, 1) == value

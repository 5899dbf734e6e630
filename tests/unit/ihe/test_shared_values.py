"""OIDs, patient identifiers, partial dates and date-times."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihe.values import (
    AssigningAuthority,
    Code,
    Oid,
    PartialDate,
    PatientId,
    escape_hl7,
    format_dtm,
    parse_dtm,
    unescape_hl7,
)

texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).map(str.strip).filter(bool)


@pytest.mark.parametrize("text", ["1.2.3", "0.1", "2.25.329800735698586629295641978511506172918", "urn:oid:1.2.3"])
def test_oid_accepts(text):
    assert Oid(text).urn == f"urn:oid:{text.removeprefix('urn:oid:')}"


@pytest.mark.parametrize("text", ["", "1", "3.1", "1.02", "1..2", "1.2.", "abc", "1.2.3\n", "1." + "2" * 70])
def test_oid_refuses(text):
    with pytest.raises(ValueError, match="OID"):
        Oid(text)


@given(texts)
def test_cx_round_trip(value):
    patient_id = PatientId(value, AssigningAuthority(oid=Oid("1.2.3")))
    assert PatientId.from_xds_cx(patient_id.xds_cx) == patient_id


@given(st.text())
def test_escape_round_trip(value):
    assert unescape_hl7(escape_hl7(value)) == value


@pytest.mark.parametrize("text", ["", "1", "1^^^", "1^^^&&ISO", "1^^^&1.2.3&XYZ", "^^^&1.2.3&ISO", "1^^^A"])
def test_cx_refuses(text):
    with pytest.raises(ValueError):
        PatientId.from_xds_cx(text)


@given(st.text(max_size=60))
def test_cx_reader_only_raises_value_error(text):
    with contextlib.suppress(ValueError):
        PatientId.from_xds_cx(text)


@given(st.dates())
def test_full_date_round_trip(day):
    parsed = PartialDate.parse(day.strftime("%Y%m%d").rjust(8, "0"))
    assert (parsed.first_day(), parsed.is_full) == (day, True)
    assert PartialDate.parse(parsed.iso) == parsed


def test_partial_date_keeps_its_precision():
    assert PartialDate.parse("1950").iso == "1950"
    assert PartialDate.parse("195003").hl7 == "195003"
    assert PartialDate.parse("19500317120000").iso == "1950-03-17"
    assert PartialDate.parse("1950").covers(PartialDate.parse("1950-03-17"))
    assert not PartialDate.parse("1950-03-17").covers(PartialDate.parse("1950"))


@pytest.mark.parametrize("text", ["", "50", "19501301", "1950-02-30", "0000", "1950-3", "19500", "x"])
def test_partial_date_refuses(text):
    with pytest.raises(ValueError):
        PartialDate.parse(text)


def test_date_time_with_zone_is_converted():
    assert parse_dtm("20260115101500+0100") == datetime(2026, 1, 15, 9, 15, tzinfo=UTC)
    assert parse_dtm("2026") == datetime(2026, 1, 1, tzinfo=UTC)
    assert format_dtm(parse_dtm("20260115101500.123-0230")) == "20260115124500"


@given(st.text(max_size=30))
def test_date_time_reader_only_raises_value_error(text):
    with contextlib.suppress(ValueError):
        parse_dtm(text)


def test_display_takes_no_part_in_comparing_codes():
    assert Code("1", "s", "a") == Code("1", "s", "b")
    assert len({Code("1", "s", "a"), Code("1", "s")}) == 1

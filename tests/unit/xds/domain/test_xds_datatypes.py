"""Formats of attribute values, and the codes that the affinity domain allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihe.values import Code
from xds.application import ValueSetFault, load_value_sets
from xds.domain import datatypes


@pytest.mark.parametrize("text", ["2024", "202402", "20240229", "2024022923", "202402292359", "20240229235959"])
def test_date_times_of_every_precision_are_taken(text: str) -> None:
    assert datatypes.is_dtm(text)


@pytest.mark.parametrize(
    "text", ["", "24", "20230229", "202413", "2024022924", "202402292360", "20240229+0100", "20240229.1", "２０２４"]
)
def test_what_is_no_date_time_is_not_taken(text: str) -> None:
    assert not datatypes.is_dtm(text)


@given(st.datetimes())
def test_the_start_of_a_period_orders_as_time_does(moment) -> None:  # type: ignore[no-untyped-def]
    text = f"{moment:%m%d%H%M%S}"
    whole = f"{moment.year:04d}{text}"
    for digits in (4, 6, 8, 10, 12, 14):
        assert datatypes.dtm_start(whole[:digits]) <= datatypes.dtm_start(whole)


@pytest.mark.parametrize(
    ("accepts", "good", "bad"),
    [
        (datatypes.is_oid, "1.2.840", "1.02.3"),
        (datatypes.is_oid, "129.6.58.92.1.1", "urn:oid:1.2"),
        (datatypes.is_home, "urn:oid:1.2.3", "1.2.3"),
        (datatypes.is_sha1, "da39A3ee5e6b4b0d3255bfef95601890afd80709", "da39"),
        (datatypes.is_language, "fr-FR", "fr_FR"),
        (datatypes.is_mime_type, "application/dicom", "dicom"),
        (datatypes.is_mime_type, "text/xml; charset=utf-8", "text/"),
        (datatypes.is_unique_id, "1.2.3^abc", "a b"),
        (datatypes.is_uuid, "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", "urn:uuid:7EDCA82F"),
        (datatypes.is_reference_id, "1.2^^^^urn:ihe:iti:xds:2016:studyInstanceUID", "1.2^^^&1.2&ISO"),
        (datatypes.is_reference_id, "7^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession", "7^x^^&1.2&ISO^urn:y"),
    ],
)
def test_formats(accepts, good: str, bad: str) -> None:  # type: ignore[no-untyped-def]
    assert accepts(good)
    assert not accepts(bad)


def test_the_french_value_sets_decide_by_code_and_scheme() -> None:
    allowed = load_value_sets()
    report = Code("10", "1.2.250.1.213.1.1.4.1", "whatever")
    assert allowed.allows("classCode", report)
    assert not allowed.allows("classCode", Code("10", "1.2.3"))
    assert allowed.allows("eventCodeList", Code("anything", "1.2.840.10008.2.16.4")), "a whole scheme"
    assert allowed.allows("contentTypeCode", Code("x", "y")), "an attribute without rows is not constrained"
    assert allowed.display("classCode", report) == "Compte rendu"
    assert len(allowed.codes("classCode")) == 12


@pytest.mark.parametrize("text", ["code,scheme\n", "attribute,code,scheme,display\nclassCode,,x,y\n"])
def test_a_wrong_table_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    table = tmp_path / "codes.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(ValueSetFault, match=r"codes\.csv"):
        load_value_sets(table)


@pytest.mark.parametrize("attribute", ["classcode", "title"])
def test_an_attribute_without_codes_is_refused(tmp_path: Path, attribute: str) -> None:
    with pytest.raises(ValueSetFault, match=attribute):
        load_value_sets(lenient=[attribute])
    table = tmp_path / "codes.csv"
    table.write_text(f"attribute,code,scheme,display\n{attribute},a,1.2,A\n", encoding="utf-8")
    with pytest.raises(ValueSetFault, match="line 2"):
        load_value_sets(table)

"""Stored queries on the wire: coding of values, and every way to get a parameter wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe.errors import Refused
from xds.domain.stored_query import MULTI_PATIENT_QUERIES, STORED_QUERIES, StoredQuery
from xds.translate.ebxml_query import read_query, read_value
from xds.translate.ebxml_vocabulary import QUERY, RIM

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
PATIENT = "'A-1^^^&amp;2.25.2&amp;ISO'"
USUAL = [("$XDSDocumentEntryPatientId", PATIENT), ("$XDSDocumentEntryStatus", APPROVED)]


def query(query_id: str, parameters: list[tuple[str, str]], return_type: str = "LeafClass") -> StoredQuery:
    slots = "".join(
        f'<rim:Slot name="{name}"><rim:ValueList>'
        + "".join(f"<rim:Value>{value}</rim:Value>" for value in values.split("|"))
        + "</rim:ValueList></rim:Slot>"
        for name, values in parameters
    )
    request = etree.fromstring(
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
        f'<query:ResponseOption returnType="{return_type}" returnComposedObjects="true"/>'
        f'<rim:AdhocQuery id="{query_id}">{slots}</rim:AdhocQuery></query:AdhocQueryRequest>'
    )
    return read_query(request, STORED_QUERIES)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("20240101", ("20240101",)),
        ("'a'", ("a",)),
        ("('a')", ("a",)),
        ("('a','b')", ("a", "b")),
        (" ( 'a' , 'b' ) ", ("a", "b")),
        ("('Children''s Hospital')", ("Children's Hospital",)),
        ("('a,b','c(d)')", ("a,b", "c(d)")),
        ("", ()),
    ],
)
def test_values_are_read_as_they_are_coded(text: str, values: tuple[str, ...]) -> None:
    assert read_value(text) == values


@pytest.mark.parametrize("text", ["('a'", "'a", "('a' 'b')", "(,)", "a b", "'a','b", "('a',)"])
def test_badly_coded_values_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_value(text)


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=1, max_size=5))
def test_any_list_of_texts_is_read_back(texts: list[str]) -> None:
    coded = "(" + ",".join("'" + text.replace("'", "''") + "'" for text in texts) + ")"
    assert read_value(coded) == tuple(texts)


def test_alternatives_and_conjunctions_are_kept_apart() -> None:
    event = "$XDSDocumentEntryEventCodeList"
    found = query(FIND_DOCUMENTS, [*USUAL, (event, "('CT^^s','MR^^s')|('US^^s')"), (event, "('x^^t')")])
    assert found.groups(event) == (("CT^^s", "MR^^s", "US^^s"), ("x^^t",))
    assert found.one("$XDSDocumentEntryPatientId") == "A-1^^^&2.25.2&ISO"
    assert found.many("$XDSDocumentEntryStatus") == ("Approved",)


def test_names_of_parameters_are_trimmed() -> None:
    assert query(FIND_DOCUMENTS, [USUAL[0], ("$XDSDocumentEntryStatus ", APPROVED)])


@pytest.mark.parametrize(
    ("query_id", "parameters", "return_type", "code"),
    [
        ("urn:uuid:00000000-0000-0000-0000-000000000000", USUAL, "LeafClass", "XDSUnknownStoredQuery"),
        (FIND_DOCUMENTS, USUAL, "LeafClassWithRepositoryItem", "XDSRegistryError"),
        (FIND_DOCUMENTS, USUAL[:1], "LeafClass", "XDSStoredQueryMissingParam"),
        (
            FIND_DOCUMENTS,
            [USUAL[0], ("$XDSDocumentEntryStatus", "('urn:x:Unheard')")],
            "LeafClass",
            "XDSStoredQueryMissingParam",
        ),
        (FIND_DOCUMENTS, [*USUAL, USUAL[0]], "LeafClass", "XDSStoredQueryParamNumber"),
        (
            FIND_DOCUMENTS,
            [*USUAL, ("$XDSDocumentEntryCreationTimeFrom", "2024|2025")],
            "LeafClass",
            "XDSStoredQueryParamNumber",
        ),
        (FIND_DOCUMENTS, [*USUAL, ("$XDSDocumentEntryClassCode", "('10')")], "LeafClass", "XDSRegistryError"),
        (
            FIND_DOCUMENTS,
            [*USUAL, ("$XDSDocumentEntryColour", "('blue')")],
            "LeafClass",
            "XDSRegistryError",
        ),
        (
            FIND_DOCUMENTS,
            [*USUAL, ("$XDSDocumentEntryCreationTimeFrom", "20241301")],
            "LeafClass",
            "XDSRegistryError",
        ),
        (FIND_DOCUMENTS, [("$XDSDocumentEntryPatientId", "'x'"), USUAL[1]], "LeafClass", "XDSRegistryError"),
        (GET_DOCUMENTS, [], "LeafClass", "XDSStoredQueryMissingParam"),
        (
            GET_DOCUMENTS,
            [("$XDSDocumentEntryEntryUUID", "('urn:uuid:x')"), ("$XDSDocumentEntryUniqueId", "('1.2')")],
            "LeafClass",
            "XDSStoredQueryParamNumber",
        ),
    ],
)
def test_each_mistake_has_its_code(
    query_id: str, parameters: list[tuple[str, str]], return_type: str, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        query(query_id, parameters, return_type)
    assert [finding.code for finding in refused.value.findings] == [code]


def test_every_query_has_an_id_of_its_own() -> None:
    assert len(STORED_QUERIES) == 14
    assert len({*STORED_QUERIES, *MULTI_PATIENT_QUERIES}) == 17

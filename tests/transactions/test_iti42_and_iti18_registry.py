"""ITI-42 Register Document Set-b and ITI-18 Registry Stored Query: bodies in, bodies out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from ihe.values import Code
from tests.xds_samples import entry, folder, member, relation, submission
from tests.xds_wire_fixtures import (
    ANNE,
    ANNE_A,
    ANNE_B,
    APPROVED,
    ASK_SEVERAL,
    BERTHE_A,
    DEPRECATED,
    FIND_DOCUMENTS,
    GET_DOCUMENTS,
    REGISTER_ON_DEMAND,
    Wire,
    identifier_of,
    wire,
)
from xds.domain.model import AssociationType, DocumentKind, LocalizedText
from xds.translate.ebxml_vocabulary import LCM, RIM

__all__ = ["wire"]


def test_metadata_comes_back_as_it_went_in(wire: Wire) -> None:
    document = entry(
        "doc",
        ANNE_A,
        title=(LocalizedText('Scanner <&> "thorax"', "fr-FR"), LocalizedText("Chest CT", "en")),
        extra={"urn:example:kept": ("un", "deux")},
    )
    assert wire.submit(submission(ANNE_A, document)) == []
    (found,) = wire.documents_of(ANNE_B)
    assert identifier_of(found, "uniqueId") == document.unique_id
    assert identifier_of(found, "patientId") == ANNE_B.xds_cx
    titles = [
        (each.get("value"), each.get("{http://www.w3.org/XML/1998/namespace}lang"))
        for each in found.iterfind(f"{{{RIM}}}Name/{{{RIM}}}LocalizedString")
    ]
    assert titles == [('Scanner <&> "thorax"', "fr-FR"), ("Chest CT", "en")]
    kept = found.xpath("r:Slot[@name='urn:example:kept']//r:Value/text()", namespaces={"r": RIM})
    assert kept == ["un", "deux"]
    assert found.get("lid") == found.get("id")
    assert found.find(f"{{{RIM}}}VersionInfo").get("versionName") == "1"


def test_an_answer_is_valid_ebrim(wire: Wire, shared_folder: Path) -> None:
    schemas = shared_folder / "testdata/toolkit2/schema/v3"
    if not (schemas / "query.xsd").is_file():
        pytest.skip("the ebRS schemas are not there")
    holder = folder("folder", ANNE_A)
    links = [member("folder", "doc")]
    wire.submit(submission(ANNE_A, entry("doc", ANNE_A), folders=[holder], associations=links))
    answer = wire.ask(
        "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3",
        ("$patientId", f"'{ANNE_A.xds_cx}'"),
        ("$XDSDocumentEntryStatus", f"({APPROVED})"),
        ("$XDSSubmissionSetStatus", f"({APPROVED})"),
        ("$XDSFolderStatus", f"({APPROVED})"),
    )
    assert len(list(answer.iter(f"{{{RIM}}}Association"))) == 3
    etree.XMLSchema(etree.parse(schemas / "query.xsd")).assertValid(etree.fromstring(etree.tostring(answer)))


def test_a_refusal_names_every_fault(wire: Wire) -> None:
    wrong = entry("doc", ANNE_A, class_code=None, hash="x")
    assert wire.submit(submission(ANNE_A, wrong)) == [
        ("XDSRegistryMetadataError", "DocumentEntry(doc)/classCode"),
        ("XDSRegistryMetadataError", "DocumentEntry(doc)/hash"),
    ]
    assert wire.documents_of(ANNE) == []


def test_a_request_without_objects_is_answered_in_its_own_form(wire: Wire) -> None:
    answer = wire.client.send(
        "urn:ihe:iti:2007:RegisterDocumentSet-b", f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}"/>'
    )
    assert answer.get("status").endswith(":Failure")
    assert answer[0][0].get("errorCode") == "XDSRegistryMetadataError"


def test_an_unknown_patient_has_an_empty_answer(wire: Wire) -> None:
    assert wire.documents_of(replace(ANNE_A, value="nobody")) == []


def test_a_link_moves_documents_at_the_next_query_and_an_unlink_moves_them_back(wire: Wire) -> None:
    wire.submit(submission(ANNE, entry("doc", ANNE, source_patient_id=ANNE_B)))
    wire.directory.link(ANNE_B, "berthe")
    assert wire.documents_of(ANNE_A) == []
    assert len(wire.documents_of(BERTHE_A)) == 1
    wire.directory.link(ANNE_B, "anne")
    assert len(wire.documents_of(ANNE_A)) == 1
    assert wire.documents_of(BERTHE_A) == []


def test_references_hold_ids_only(wire: Wire) -> None:
    wire.submit(submission(ANNE_A, entry("doc", ANNE_A)))
    answer = wire.ask(
        FIND_DOCUMENTS,
        ("$XDSDocumentEntryPatientId", f"'{ANNE.xds_cx}'"),
        ("$XDSDocumentEntryStatus", f"({APPROVED},{DEPRECATED})"),
        return_type="ObjectRef",
    )
    (reference,) = answer.find(f"{{{RIM}}}RegistryObjectList")
    assert reference.tag == f"{{{RIM}}}ObjectRef"
    found = wire.ask(GET_DOCUMENTS, ("$XDSDocumentEntryEntryUUID", f"('{reference.get('id')}')"))
    (whole,) = found.find(f"{{{RIM}}}RegistryObjectList")
    assert identifier_of(whole, "patientId") == ANNE_A.xds_cx


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ([("$XDSDocumentEntryClassCode", "('10^^1.2.250.1.213.1.1.4.1')")], ["report"]),
        (
            [("$XDSDocumentEntryClassCode", "('31^^1.2.250.1.213.1.1.4.1','10^^1.2.250.1.213.1.1.4.1')")],
            ["report", "kos"],
        ),
        ([("$XDSDocumentEntryEventCodeList", "('MR^^1.2.840.10008.2.16.4')")], ["kos"]),
        (
            [
                ("$XDSDocumentEntryEventCodeList", "('MR^^1.2.840.10008.2.16.4','CT^^1.2.840.10008.2.16.4')"),
                ("$XDSDocumentEntryEventCodeList", "('774007^^2.16.840.1.113883.6.96')"),
            ],
            ["kos"],
        ),
        ([("$XDSDocumentEntryAuthorPerson", "('%DOCTEUR%')")], ["report", "kos"]),
        ([("$XDSDocumentEntryAuthorPerson", "('DOCTEUR')")], []),
        ([("$XDSDocumentEntryAuthorPerson", "('DOCTEUR','%^DOCT_UR^%')")], ["report", "kos"]),
        ([("$XDSDocumentEntryConfidentialityCode", "('R^^2.16.840.1.113883.5.25')")], []),
        (
            [
                ("$XDSDocumentEntryClassCode", "('31^^1.2.250.1.213.1.1.4.1')"),
                ("$XDSDocumentEntryServiceStopTimeFrom", "20240101"),
            ],
            [],
        ),
        ([("$XDSDocumentEntryCreationTimeFrom", "20250310101500")], ["report", "kos"]),
        ([("$XDSDocumentEntryCreationTimeTo", "20250310101500")], []),
        (
            [
                ("$XDSDocumentEntryServiceStartTimeFrom", "20240101"),
                ("$XDSDocumentEntryServiceStartTimeTo", "20250101"),
            ],
            ["kos"],
        ),
        ([("$XDSDocumentEntryFormatCode", "('1.2.840.10008.5.1.4.1.1.88.59^^1.2.840.10008.2.6.1')")], ["kos"]),
    ],
)
def test_filters_narrow(wire: Wire, parameters: list[tuple[str, str]], found: list[str]) -> None:
    report = entry("report", ANNE_A)
    assert report.class_code is not None
    assert report.format_code is not None
    event = report.event_code_list[0]
    kos = entry(
        "kos",
        ANNE_B,
        class_code=replace(report.class_code, code="31"),
        format_code=replace(report.format_code, code="1.2.840.10008.5.1.4.1.1.88.59", scheme="1.2.840.10008.2.6.1"),
        event_code_list=(replace(event, code="MR"), replace(event, code="774007", scheme="2.16.840.1.113883.6.96")),
        service_start_time="20240601",
    )
    wire.submit(submission(ANNE_A, report))
    wire.submit(submission(ANNE_B, kos))
    names = {report.unique_id: "report", kos.unique_id: "kos"}
    answer = wire.ask(
        FIND_DOCUMENTS,
        ("$XDSDocumentEntryPatientId", f"'{ANNE.xds_cx}'"),
        ("$XDSDocumentEntryStatus", f"({APPROVED})"),
        *parameters,
    )
    entries = list(answer.iter(f"{{{RIM}}}ExtrinsicObject"))
    assert [names[identifier_of(each, "uniqueId")] for each in entries] == found


def test_a_manifest_is_found_however_the_scheme_of_its_format_is_written(wire: Wire) -> None:
    sent = [
        entry(f"kos{scheme[0]}", ANNE_A, format_code=Code("1.2.840.10008.5.1.4.1.1.88.59", scheme))
        for scheme in ("DCMUID", "1.2.840.10008.2.6.1")
    ]
    assert wire.submit(submission(ANNE_A, *sent)) == []
    for scheme in ("DCMUID", "1.2.840.10008.2.6.1"):
        answer = wire.ask(
            FIND_DOCUMENTS,
            ("$XDSDocumentEntryPatientId", f"'{ANNE.xds_cx}'"),
            ("$XDSDocumentEntryStatus", f"({APPROVED})"),
            ("$XDSDocumentEntryFormatCode", f"('1.2.840.10008.5.1.4.1.1.88.59^^{scheme}')"),
        )
        found = {identifier_of(each, "uniqueId") for each in answer.iter(f"{{{RIM}}}ExtrinsicObject")}
        assert found == {each.unique_id for each in sent}


def test_accession_and_study_find_their_document(wire: Wire) -> None:
    document = entry("doc", ANNE_A)
    wire.submit(submission(ANNE_A, document, entry("other", ANNE_A, reference_id_list=())))
    for pattern in (document.reference_id_list[0], "2025001%", "%accession"):
        answer = wire.ask(
            "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
            ("$XDSDocumentEntryPatientId", f"'{ANNE.xds_cx}'"),
            ("$XDSDocumentEntryStatus", f"({APPROVED})"),
            ("$XDSDocumentEntryReferenceIdList", f"('{pattern}')"),
        )
        (found,) = answer.iter(f"{{{RIM}}}ExtrinsicObject")
        assert identifier_of(found, "uniqueId") == document.unique_id


def test_related_documents_come_with_their_relation_and_alone_not_at_all(wire: Wire) -> None:
    wire.submit(
        submission(
            ANNE_A,
            first := entry("first", ANNE_A),
            entry("second", ANNE_A),
            alone := entry("alone", ANNE_A),
            associations=[relation(AssociationType.APPENDS, "second", "first")],
        )
    )
    counts = []
    for each in (first, alone):
        answer = wire.ask(
            "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
            ("$XDSDocumentEntryUniqueId", f"'{each.unique_id}'"),
            ("$AssociationTypes", f"('{AssociationType.APPENDS}')"),
        )
        counts.append(
            (len(list(answer.iter(f"{{{RIM}}}ExtrinsicObject"))), len(list(answer.iter(f"{{{RIM}}}Association"))))
        )
    assert counts == [(2, 1), (0, 0)]


def test_on_demand_entries_have_a_transaction_and_a_query_type_of_their_own(wire: Wire) -> None:
    on_demand = entry("od", ANNE_A, object_type=DocumentKind.ON_DEMAND, creation_time=None, hash=None, size=None)
    assert {code for code, _ in wire.submit(submission(ANNE_A, on_demand))} == {"XDSRegistryMetadataError"}
    assert wire.submit(submission(ANNE_A, on_demand), REGISTER_ON_DEMAND) == []
    with_hash = replace(on_demand, hash="0" * 40)
    assert wire.submit(submission(ANNE_A, with_hash), REGISTER_ON_DEMAND) == [
        ("XDSRegistryMetadataError", "DocumentEntry(od)/hash")
    ]
    assert wire.documents_of(ANNE) == []
    answer = wire.ask(
        FIND_DOCUMENTS,
        ("$XDSDocumentEntryPatientId", f"'{ANNE.xds_cx}'"),
        ("$XDSDocumentEntryStatus", f"({APPROVED})"),
        ("$XDSDocumentEntryType", f"('{DocumentKind.ON_DEMAND}','{DocumentKind.STABLE}')"),
        ("$XDSDocumentEntryCreationTimeFrom", "20300101"),
    )
    (found,) = answer.iter(f"{{{RIM}}}ExtrinsicObject")
    assert found.get("objectType") == DocumentKind.ON_DEMAND


def test_several_patients_are_answered_each_under_the_identifier_asked_for(wire: Wire) -> None:
    wire.submit(submission(ANNE_A, entry("doc", ANNE_A)))
    wire.submit(submission(BERTHE_A, entry("doc", BERTHE_A)))
    query = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"
    status = ("$XDSDocumentEntryStatus", f"({APPROVED})")
    named = wire.ask(
        query,
        ("$XDSDocumentEntryPatientId", f"('{ANNE_B.xds_cx}','{BERTHE_A.xds_cx}')"),
        status,
        action=ASK_SEVERAL,
    )
    found = {identifier_of(each, "patientId") for each in named.iter(f"{{{RIM}}}ExtrinsicObject")}
    assert found == {ANNE_B.xds_cx, BERTHE_A.xds_cx}
    everybody = wire.ask(
        query, ("$XDSDocumentEntryClassCode", "('10^^1.2.250.1.213.1.1.4.1')"), status, action=ASK_SEVERAL
    )
    assert len(list(everybody.iter(f"{{{RIM}}}ExtrinsicObject"))) == 2
    nothing = wire.ask(query, status, action=ASK_SEVERAL)
    assert nothing.get("status").endswith(":Failure")

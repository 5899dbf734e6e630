"""Studies, manifests, reports and submissions of the invented region, read back by others."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from email import message_from_bytes
from email.policy import HTTP

import pydicom
import pytest
from lxml import etree

from region.synthetic.population import Scenario, build
from region.synthetic.provide_and_register import MtomRequest, to_provide_and_register
from region.synthetic.reports import one_page_pdf
from region.synthetic.submissions import StudySubmission

RIM = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
V3 = {"v3": "urn:hl7-org:v3"}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build()


@pytest.fixture(scope="module")
def some(scenario: Scenario) -> tuple[StudySubmission, ...]:
    return scenario.submissions[::12]


def test_there_are_enough_and_they_are_the_same_each_time(scenario: Scenario) -> None:
    assert len(scenario.studies) >= 300
    assert {study.site for study in scenario.studies} == {site.code for site in scenario.region.establishments}
    assert build().studies == scenario.studies
    assert len({study.uid for study in scenario.studies}) == len(scenario.studies)
    assert sum(study.has_report for study in scenario.studies) > 150


def test_a_study_belongs_to_an_active_record_and_to_its_person(scenario: Scenario) -> None:
    for study in scenario.studies:
        assert scenario.truth[study.key] == study.person
        assert study.started_at.date() > scenario.persons[study.person].birth_date
        assert study.started_at < study.ended_at


def test_the_cast_has_the_studies_that_the_story_needs(scenario: Scenario) -> None:
    per_person = {
        character.person.role: sorted(
            study.site for study in scenario.studies if study.person == character.person.number
        )
        for character in scenario.cast.everyone
    }
    assert per_person == {
        "patient": ["ANNONAY", "CHUSE", "CHUSE", "ICL", "ICL", "ROANNE"],
        "sister": ["CHUSE", "CHUSE", "ROANNE"],
        "stranger": ["FIRMINY"],
    }


def test_the_same_submission_gives_the_same_bytes(some: tuple[StudySubmission, ...]) -> None:
    for submission in some[:5]:
        again = StudySubmission(submission.study, submission.site, submission.rank)
        assert again.documents == submission.documents


def test_manifests_are_key_object_documents(some: tuple[StudySubmission, ...]) -> None:
    for submission in some:
        entry, data = submission.documents[0]
        study, site = submission.study, submission.site
        kos = pydicom.dcmread(io.BytesIO(data))
        assert kos.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.59"
        assert kos.SOPInstanceUID == entry.unique_id == study.manifest_uid
        assert kos.ConceptNameCodeSequence[0].CodeValue == "113030"
        [evidence] = kos.CurrentRequestedProcedureEvidenceSequence
        assert evidence.StudyInstanceUID == study.uid
        listed = [len(series.ReferencedSOPSequence) for series in evidence.ReferencedSeriesSequence]
        assert listed == [len(series.instances) for series in study.series]
        for series in evidence.ReferencedSeriesSequence:
            assert series.RetrieveURL.startswith(f"{site.pacs_url}/studies/{study.uid}/series/")
            assert series.RetrieveLocationUID == site.imaging_source_id
        request = kos.ReferencedRequestSequence[0]
        assert request.AccessionNumber == study.accession
        assert request.IssuerOfAccessionNumberSequence[0].UniversalEntityID == site.accession_authority
        ids = {kos.PatientID, *(item.PatientID for item in kos.get("OtherPatientIDsSequence", []))}
        assert study.key.local_id in ids
        assert (study.traits.ins in ids) is study.traits.has_qualified_ins


def test_metadata_are_those_used_in_france(scenario: Scenario) -> None:
    submission = next(s for s in scenario.submissions if s.study.has_report)
    (manifest, _), (report, data) = submission.documents
    assert manifest.class_code is not None
    assert (manifest.class_code.code, manifest.type_code and manifest.type_code.code) == ("31", "IMG-KOS")
    assert manifest.format_code is not None
    assert manifest.format_code.scheme == "1.2.840.10008.2.6.1"
    assert report.class_code is not None
    assert (report.class_code.code, report.type_code and report.type_code.code) == ("10", "18748-4")
    for entry in (manifest, report):
        assert [code.scheme for code in entry.event_code_list] == ["1.2.840.10008.2.16.4", "2.16.840.1.113883.6.96"]
        assert entry.confidentiality_codes[0].code == "N"
        assert entry.language_code == "fr-FR"
        assert entry.source_patient_id is not None
        assert entry.source_patient_id.xds_cx == f"{submission.study.key.local_id}^^^&{submission.site.oid}&ISO"
        assert f"{submission.study.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID" in entry.reference_id_list
        assert any(
            re.fullmatch(rf"{submission.study.accession}\^\^\^&[0-9.]+&ISO\^urn:ihe:iti:xds:2013:accession", reference)
            for reference in entry.reference_id_list
        )
        assert [line.split("|")[0] for line in entry.source_patient_info] == ["PID-3", "PID-5", "PID-7", "PID-8"]
    assert report.size == len(data)
    assert report.hash == hashlib.sha1(data).hexdigest()
    hidden = [s for s in scenario.submissions if len(s.documents[0][0].confidentiality_codes) > 1]
    assert 3 <= len(hidden) <= len(scenario.submissions) // 10


def test_reports_are_pages_bare_or_in_a_clinical_document(scenario: Scenario) -> None:
    seen = set()
    for submission in scenario.submissions:
        if not submission.study.has_report or submission.site.code in seen:
            continue
        seen.add(submission.site.code)
        entry, data = submission.documents[1]
        if entry.mime_type == "text/xml":
            document = etree.fromstring(data)
            assert document.tag == "{urn:hl7-org:v3}ClinicalDocument"
            assert document.find("v3:id", V3).get("root") == entry.unique_id
            ids = [
                (i.get("root"), i.get("extension"))
                for i in document.iterfind("v3:recordTarget/v3:patientRole/v3:id", V3)
            ]
            assert (submission.site.oid, submission.study.key.local_id) in ids
            order = [etree.QName(child).localname for child in document]
            assert order.index("recordTarget") < order.index("author") < order.index("custodian")
            assert order.index("legalAuthenticator") < order.index("documentationOf") < order.index("componentOf")
            data = base64.b64decode(document.findtext("v3:component/v3:nonXMLBody/v3:text", namespaces=V3))
        assert data.startswith(b"%PDF-1.4")
        assert b"fictif" in data
    assert len(seen) >= 8


def test_a_page_has_a_cross_reference_table_that_points_to_its_objects() -> None:
    page = one_page_pdf(["Été (1) \\ 2", "deux"])
    assert "Été \\(1\\) \\\\ 2".encode("cp1252") in page
    start = int(page.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    assert page[start:].startswith(b"xref\n0 7\n")
    rows = page[start:].split(b"\n")[3:9]
    for number, row in enumerate(rows, 1):
        assert page[int(row[:10]) :].startswith(b"%d 0 obj" % number)
    length = int(re.search(rb"/Length (\d+)", page)[1])  # type: ignore[index]
    assert page.split(b"stream\n", 1)[1][length:].startswith(b"\nendstream")


def parts_of(request: MtomRequest) -> dict[str, bytes]:
    content_type, body = request.body()
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    return {part["Content-ID"].strip("<>"): part.get_payload(decode=True) for part in message.iter_parts()}


def test_the_request_holds_every_document_and_its_metadata(some: tuple[StudySubmission, ...]) -> None:
    for submission in some:
        request = to_provide_and_register(submission, "TDU0000000001^^^&1.2.3&ISO")
        parts = parts_of(request)
        envelope = etree.fromstring(parts["root"])
        includes = [
            (include.getparent().get("id"), include.get("href"))
            for include in envelope.iter("{http://www.w3.org/2004/08/xop/include}Include")
        ]
        assert includes == [(entry.id, f"cid:{entry.id}@source") for entry, _ in submission.documents]
        for entry, data in submission.documents:
            assert parts[f"{entry.id}@source"] == data
        objects = list(envelope.iter(f"{RIM}ExtrinsicObject"))
        assert [item.get("id") for item in objects] == [entry.id for entry, _ in submission.documents]
        for item in envelope.iter(f"{RIM}Value"):
            assert item.text
            assert len(item.text) <= 256
        ids = [element.get("id") for element in envelope.iter() if element.get("id")]
        documents = {entry.id for entry, _ in submission.documents}
        assert len(ids) == len(set(ids)) + len(documents)
        patients = [
            i.get("value") for i in envelope.iter(f"{RIM}ExternalIdentifier") if "patientId" in i[0][0].get("value")
        ]
        assert set(patients) == {"TDU0000000001^^^&1.2.3&ISO"}
        assert len(patients) == len(documents) + 1

"""MHD consumers: find documents, submission sets and folders, retrieve bytes, by fhirpy and plain HTTP."""

from __future__ import annotations

import base64
import hashlib

import httpx
import pytest
from fhir.resources.R4B.binary import Binary
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.documentreference import DocumentReference
from fhir.resources.R4B.list import List
from fhirpy import SyncFHIRClient

from region.region_table import load_region
from tests.e2e.conftest import REGION, serving
from tests.e2e.test_documents_by_zeep import INS, INS_AUTHORITY, MARIE, PAUL, Site, rid, slot

REPORT = b"%PDF-1.4 synthetic report"
STUDY = "1.2.826.0.1.3680043.8.498.1"
ACCESSION = slot(
    "urn:ihe:iti:xds:2013:referenceIdList",
    "ACC7^^^&2.25.12&ISO^urn:ihe:iti:xds:2013:accession",
    f"{STUDY}^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
)


@pytest.fixture(scope="module")
def running(module_database_url, tmp_path_factory):
    """One service for the whole module: nothing here changes what it holds."""
    with serving(module_database_url, load_region(REGION), tmp_path_factory.mktemp("documents")) as found:
        yield found


@pytest.fixture(scope="module")
def site(running):
    found = Site(running)
    found.feed("CHUSE", "C1", MARIE, INS)
    found.feed("ROANNE", "R1", MARIE, INS)
    found.feed("ICL", "P1", PAUL)
    return found


@pytest.fixture(scope="module")
def documents(site):
    """uniqueIds of Marie's two documents and of Paul's one, in that order."""
    return [
        site.provide("CHUSE", "C1", REPORT, extra=[ACCESSION])[0],
        site.provide("ROANNE", "R1", b"%PDF-1.4 another")[0],
        site.provide("ICL", "P1", b"%PDF-1.4 of Paul")[0],
    ]


def search(site, kind="DocumentReference", method="GET", **parameters):
    named = [(name.replace("__", ".").replace("_of_", ":"), value) for name, value in parameters.items()]
    url = f"{site.running.base_url}/fhir/{kind}"
    if method == "POST":
        return httpx.post(f"{url}/_search", data=dict(named))
    return httpx.get(url, params=named)


def resources(answer, model=DocumentReference):
    assert answer.status_code == 200, answer.text
    Bundle.model_validate(answer.json())
    found = [entry["resource"] for entry in answer.json().get("entry", [])]
    for each in found:
        model.model_validate(each)
    return found


def unique_ids(answer):
    return [each["masterIdentifier"]["value"].removeprefix("urn:oid:") for each in resources(answer)]


def token(site, code, value):
    return f"{site.running.table.by_code(code).oid.urn}|{value}"


def test_one_history_by_every_name_of_the_patient(site, documents):
    regional = f"{site.running.table.region.oid.urn}|{rid(site, 'CHUSE', 'C1')}"
    for asked in (token(site, "CHUSE", "C1"), token(site, "ROANNE", "R1"), f"urn:oid:{INS_AUTHORITY}|{INS}", regional):
        assert unique_ids(search(site, patient__identifier=asked, status="current")) == documents[:2]
    patients = httpx.get(f"{site.running.base_url}/fhir/Patient", params={"identifier": token(site, "ROANNE", "R1")})
    patient = patients.json()["entry"][0]["resource"]["id"]
    for reference in (f"Patient/{patient}", patient, f"{site.running.base_url}/fhir/Patient/{patient}"):
        assert unique_ids(search(site, patient=reference, status="current")) == documents[:2]
    (person, _) = resources(search(site, patient__identifier=regional))
    assert person["subject"]["reference"].startswith("Patient/p")
    assert httpx.get(f"{site.running.base_url}/fhir/{person['subject']['reference']}").status_code == 200
    assert unique_ids(search(site, patient=person["subject"]["reference"])) == documents[:2]
    assert unique_ids(search(site, patient__identifier=token(site, "ICL", "P1"))) == documents[2:]
    for nobody in (token(site, "ICL", "none"), "http://example.org|1", "urn:oid:2.25.99|1"):
        assert unique_ids(search(site, patient__identifier=nobody)) == []
    assert unique_ids(search(site, patient="Patient/r999999")) == []


def test_the_resource_says_what_the_metadata_says(site, documents):
    (first, _) = resources(search(site, patient__identifier=token(site, "CHUSE", "C1"), status="current"))
    attachment = first["content"][0]["attachment"]
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(REPORT, usedforsecurity=False).digest()
    assert attachment["size"] == len(REPORT)
    assert (attachment["contentType"], attachment["language"], attachment["creation"]) == (
        "application/pdf",
        "fr-FR",
        "2026-01-15",
    )
    assert first["type"]["coding"][0]["system"] == "http://loinc.org"
    assert first["category"][0]["coding"][0]["code"] == "10"
    assert first["securityLabel"][0]["coding"][0] == {
        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
        "code": "N",
        "display": "N",
    }
    related = [each["identifier"] for each in first["context"]["related"]]
    assert [(each["system"], each["value"]) for each in related] == [
        ("urn:oid:2.25.12", "ACC7"),
        ("urn:ietf:rfc:3986", f"urn:oid:{STUDY}"),
    ]
    subject = httpx.get(f"{site.running.base_url}/fhir/{first['subject']['reference']}").json()
    assert subject["identifier"][0]["value"] == "C1"
    read = httpx.get(f"{site.running.base_url}/fhir/DocumentReference/{first['id']}")
    assert {**read.json(), "subject": None} == {**first, "subject": None}


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"status": "superseded"}, 0),
        ({"status": "current,superseded"}, 2),
        ({"status": "entered-in-error"}, 0),
        ({"type": "http://loinc.org|18748-4"}, 2),
        ({"type": "urn:oid:2.16.840.1.113883.6.1|18748-4"}, 2),
        ({"type": "18748-4"}, 2),
        ({"type": "http://loinc.org|"}, 2),
        ({"type": "|18748-4"}, 0),
        ({"type": "other,18748-4"}, 2),
        ({"category": "urn:oid:1.2.250.1.213.1.1.4.1|11"}, 0),
        ({"security-label": "N"}, 2),
        ({"security-label": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R"}, 0),
        ({"setting": "ETABLISSEMENT", "facility": "urn:oid:1.2.250.1.71.4.2.4|SA01"}, 2),
        ({"format": "urn:ihe:iti:xds-sd:pdf:2008"}, 2),
        ({"event": "CT"}, 0),
        ({"modality": "CT"}, 0),
        ({"creation": "2026-01-15"}, 2),
        ({"creation": "ge2026-02"}, 0),
        ({"creation": "le2026"}, 2),
        ({"creation": "lt2026-01-15"}, 0),
        ({"date": "gt2020-01-01T00:00:00+01:00"}, 2),
        ({"date": "lt2020"}, 0),
        ({"period": "2026"}, 0),
        ({"author.family": "x"}, 0),
        ({"related": "urn:oid:2.25.12|ACC7"}, 1),
        ({"related:identifier": f"urn:ietf:rfc:3986|urn:oid:{STUDY}"}, 1),
        ({"related": "urn:oid:2.25.13|ACC7"}, 0),
        ({"study-instance-uid": f"urn:oid:{STUDY}"}, 1),
        ({"accession-number": "urn:oid:2.25.12|ACC7"}, 1),
        ({"accession-number": f"urn:oid:{STUDY}"}, 0),
        ({"_count": "1"}, 1),
        ({"_count": "0"}, 0),
        ({"_offset": "1"}, 1),
        ({"_sort": "-date"}, 2),
        ({"_lastUpdated": "ge2020"}, 2),
    ],
)
def test_search_parameters(site, documents, parameters, count):
    for method in ("GET", "POST"):
        found = search(site, method=method, patient__identifier=token(site, "CHUSE", "C1"), **parameters)
        assert len(resources(found)) == count


def test_pages_are_linked(site, documents):
    answer = search(site, patient__identifier=token(site, "CHUSE", "C1"), _count="1")
    seen = unique_ids(answer)
    links = {link["relation"]: link["url"] for link in answer.json()["link"]}
    assert answer.json()["total"] == 2
    following = httpx.get(links["next"])
    assert [*seen, *unique_ids(following)] == documents[:2]
    back = {link["relation"]: link["url"] for link in following.json()["link"]}
    assert "next" not in back
    assert unique_ids(httpx.get(back["previous"])) == seen


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"status": "current"}, 400),
        ({}, 400),
        ({"patient": "Patient/r1", "colour": "red"}, 400),
        ({"patient": "Organization/r1"}, 400),
        ({"patient": "r1,r2"}, 400),
        ({"patient.identifier": "C1"}, 400),
        ({"patient": "r1", "date": "yesterday"}, 400),
        ({"patient": "r1", "date": "ne2020"}, 400),
        ({"patient": "r1", "date": "2020-02-31"}, 400),
        ({"patient": "r1", "_count": "many"}, 400),
        ({"patient": "r1", "_format": "html"}, 406),
        ({"identifier": "x", "type": "y"}, 400),
    ],
)
def test_what_cannot_be_asked_is_an_outcome(site, parameters, status):
    for kind in ("DocumentReference", "List"):
        if kind == "List" and "type" in parameters:
            continue
        answer = search(site, kind, **parameters)
        assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert httpx.get(f"{site.running.base_url}/fhir/DocumentReference/none").status_code == 404
    assert httpx.get(f"{site.running.base_url}/fhir/List/none").status_code == 404
    assert httpx.get(f"{site.running.base_url}/fhir/Binary/none").status_code == 404


def test_documents_are_found_by_identifier_and_id_alone(site, documents):
    (found,) = resources(search(site, identifier=f"urn:ietf:rfc:3986|urn:oid:{documents[0]}"))
    by_uuid = search(site, identifier=f"urn:ietf:rfc:3986|{found['identifier'][0]['value']}")
    assert unique_ids(by_uuid) == documents[:1]
    assert unique_ids(search(site, _id=found["id"])) == documents[:1]
    assert unique_ids(search(site, _id=f"{found['id']},x", status="superseded")) == []


def test_the_bytes_arrive_raw_or_as_binary(site, documents):
    (first, _) = resources(search(site, patient__identifier=token(site, "CHUSE", "C1")))
    url = first["content"][0]["attachment"]["url"]
    raw = httpx.get(url)
    assert (raw.status_code, raw.content, raw.headers["content-type"]) == (200, REPORT, "application/pdf")
    assert raw.headers["content-length"] == str(len(REPORT))
    assert httpx.get(url, headers={"Accept": "application/pdf"}).content == REPORT
    for accept, read in (("application/fhir+json", "json"), ("application/fhir+xml", "xml")):
        answer = httpx.get(url, headers={"Accept": accept})
        assert answer.headers["content-type"].startswith(accept)
        validate = Binary.model_validate_json if read == "json" else Binary.model_validate_xml
        assert validate(answer.content).data == REPORT
    assert httpx.get(url, headers={"Accept": "image/png"}).status_code == 406
    by_unique_id = httpx.get(f"{site.running.base_url}/fhir/Binary/{documents[0]}")
    assert by_unique_id.content == REPORT


def test_submission_sets_are_lists_with_their_documents(site, documents):
    asked = token(site, "CHUSE", "C1")
    found = resources(search(site, "List", patient__identifier=asked, code="submissionset", status="current"), List)
    assert len(found) == 2
    (first, _) = found
    (document, _) = resources(search(site, patient__identifier=asked))
    assert first["entry"] == [{"item": {"reference": f"DocumentReference/{document['id']}"}}]
    source = next(e for e in first["extension"] if e["url"].endswith("ihe-sourceId"))
    assert source["valueIdentifier"]["value"] == "urn:oid:2.25.7"
    assert first["date"] == "2026-01-15T10:15:00Z"
    read = httpx.get(f"{site.running.base_url}/fhir/List/{first['id']}")
    assert read.json()["identifier"] == first["identifier"]
    for parameters, count in (
        ({"code": "folder"}, 0),
        ({"sourceId": "urn:ietf:rfc:3986|urn:oid:2.25.7"}, 2),
        ({"sourceId": "2.25.8"}, 0),
        ({"designationType": "http://loinc.org|18748-4"}, 2),
        ({"source.family": "x"}, 0),
        ({"date": "2026-01-15"}, 2),
        ({"date": "lt2026"}, 0),
        ({"identifier": first["identifier"][0]["value"]}, 1),
        ({"status": "retired"}, 0),
        ({"_id": first["id"]}, 1),
        ({"_sort": "-date", "_count": "1"}, 1),
    ):
        answer = search(site, "List", patient__identifier=asked, **parameters)
        assert len(resources(answer, List)) == count, parameters


def test_xml_is_as_valid_as_json(site, documents):
    asked = token(site, "CHUSE", "C1")
    for kind in ("DocumentReference", "List"):
        as_json = search(site, kind, patient__identifier=asked)
        as_xml = search(site, kind, patient__identifier=asked, _format="xml")
        bundle = Bundle.model_validate_xml(as_xml.content)
        assert [e.resource.id for e in bundle.entry] == [e["resource"]["id"] for e in as_json.json()["entry"]]


def test_fhirpy_finds_and_capabilities_say_how(site, documents):
    client = SyncFHIRClient(f"{site.running.base_url}/fhir")
    query = client.resources("DocumentReference").search(
        patient__identifier=token(site, "CHUSE", "C1"), status="current"
    )
    assert len(query.fetch_all()) == 2
    statement = CapabilityStatement.model_validate(httpx.get(f"{site.running.base_url}/fhir/metadata").json())
    named = {r.type: r for r in statement.rest[0].resource}
    assert {p.name for p in named["List"].searchParam} >= {"code", "sourceId", "source.given"}
    assert {i.code for i in named["DocumentReference"].interaction} >= {"read", "search-type"}
    assert {i.code for i in named["Binary"].interaction} == {"read"}

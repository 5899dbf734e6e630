"""MHD sources: provide bundles, publish single documents, have metadata generated; over real sockets."""

from __future__ import annotations

import base64
import hashlib
from uuid import uuid4

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.documentreference import DocumentReference
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhirpy import SyncFHIRClient

from region.region_table import load_region
from tests.e2e.conftest import REGION, serving
from tests.e2e.test_documents_by_zeep import MARIE, PAUL, Site, uid

PROFILES = "https://profiles.ihe.net/ITI/MHD/StructureDefinition"
LIST_TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
NOS = "https://mos.esante.gouv.fr/NOS"
SNOMED = "http://snomed.info/sct"
REPORT = b"%PDF-1.4 synthetic report"


@pytest.fixture(scope="module")
def running(module_database_url, tmp_path_factory):
    """One service for the whole module; each test uses documents of its own."""
    with serving(module_database_url, load_region(REGION), tmp_path_factory.mktemp("documents")) as found:
        yield found


@pytest.fixture(scope="module")
def site(running):
    found = Site(running)
    found.feed("CHUSE", "C1", MARIE)
    found.feed("ICL", "P1", PAUL)
    return found


@pytest.fixture(scope="module")
def patient(site):
    """``Patient/<id>`` of Marie."""
    token = f"{site.running.table.by_code('CHUSE').oid.urn}|C1"
    found = httpx.get(f"{site.running.base_url}/fhir/Patient", params={"identifier": token}).json()
    return f"Patient/{found['entry'][0]['resource']['id']}"


def concept(system, code):
    return {"coding": [{"system": system, "code": code}]}


def reference(subject, binary, content=REPORT, unique_id=None, **changes):
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    return {
        "resourceType": "DocumentReference",
        "contained": [
            {
                "resourceType": "Practitioner",
                "id": "author",
                "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "801234567890"}],
                "name": [{"family": "DOCTEUR", "given": ["Fictif"]}],
            },
            {"resourceType": "Patient", "id": "source", "name": [{"family": "EXEMPLE"}], "gender": "female"},
        ],
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{unique_id or uid()}"},
        "status": "current",
        "type": concept("http://loinc.org", "18748-4"),
        "category": [concept(f"{NOS}/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument", "10")],
        "subject": {"reference": subject},
        "author": [{"reference": "#author"}],
        "description": "commentaire",
        "securityLabel": [
            concept(f"{NOS}/TRE_A07-StatusVisibiliteDocument/FHIR/TRE-A07-StatusVisibiliteDocument", "N")
        ],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "fr-FR",
                    "url": binary,
                    "size": len(content),
                    "hash": base64.b64encode(digest).decode(),
                    "title": "Compte rendu",
                    "creation": "2026-01-15T11:15:00+01:00",
                },
                "format": {
                    "system": f"{NOS}/TRE_A11-IheFormatCode/FHIR/TRE-A11-IheFormatCode",
                    "code": "urn:ihe:iti:xds-sd:pdf:2008",
                },
            }
        ],
        "context": {
            "period": {"start": "2026-01-15", "end": "2026-01-16"},
            "facilityType": concept(f"{NOS}/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite", "SA01"),
            "practiceSetting": concept(f"{NOS}/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice", "ETABLISSEMENT"),
            "sourcePatientInfo": {"reference": "#source"},
            "related": [
                {
                    "identifier": {
                        "type": {
                            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]
                        },
                        "system": "urn:oid:2.25.12",
                        "value": "ACC9",
                    }
                }
            ],
        },
        **changes,
    }


def submission_set(subject, *members, **changes):
    return {
        "resourceType": "List",
        "extension": [
            {"url": f"{PROFILES}/ihe-sourceId", "valueIdentifier": {"value": "urn:oid:2.25.7"}},
            {"url": f"{PROFILES}/ihe-designationType", "valueCodeableConcept": concept("http://loinc.org", "18748-4")},
        ],
        "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{uid()}"}],
        "status": "current",
        "mode": "working",
        "title": "Envoi",
        "code": concept(LIST_TYPES, "submissionset"),
        "subject": {"reference": subject},
        "date": "2026-01-15T10:15:00Z",
        "entry": [{"item": {"reference": member}} for member in members],
        **changes,
    }


def item(resource, full_url=None, method="POST", url=None):
    return {
        "fullUrl": full_url or uuid4().urn,
        "resource": resource,
        "request": {"method": method, "url": url or resource["resourceType"]},
    }


def binary(content=REPORT):
    data = base64.b64encode(content).decode()
    return {"resourceType": "Binary", "contentType": "application/pdf", "data": data}


def bundle(*entries, level="Comprehensive"):
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{PROFILES}/IHE.MHD.{level}.ProvideBundle"]},
        "type": "transaction",
        "entry": list(entries),
    }


def one_document(subject, level="Comprehensive", content=REPORT, **changes):
    """A bundle of one document: set, reference, Binary."""
    document, data = uuid4().urn, uuid4().urn
    return bundle(
        item(submission_set(subject, document)),
        item(reference(subject, data, content, **changes), document),
        item(binary(content), data),
        level=level,
    )


def post(site, resource, path="", **options):
    return httpx.post(f"{site.running.base_url}/fhir{path}", json=resource, timeout=60, **options)


def created(answer):
    """Addresses of what a bundle became."""
    assert answer.status_code == 200, answer.text
    Bundle.model_validate(answer.json())
    assert answer.json()["type"] == "transaction-response"
    return [entry["response"].get("location") for entry in answer.json()["entry"]]


def read(address):
    answer = httpx.get(address)
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(answer, status=422):
    assert answer.status_code == status, answer.text
    OperationOutcome.model_validate(answer.json())
    return {issue["details"]["coding"][0]["code"] for issue in answer.json()["issue"] if issue["severity"] == "error"}


def test_a_comprehensive_bundle_is_kept_and_comes_back(site, patient):
    sent = one_document(patient)
    the_set, document, data = created(post(site, sent))
    found = read(document)
    DocumentReference.model_validate(found)
    original = sent["entry"][1]["resource"]
    for element in ("masterIdentifier", "status", "type", "description"):
        assert found[element] == original[element]
    attachment, stated = found["content"][0]["attachment"], original["content"][0]["attachment"]
    for element in ("contentType", "language", "size", "hash", "title"):
        assert attachment[element] == stated[element]
    assert attachment["creation"] == "2026-01-15T10:15:00Z"
    assert attachment["url"] == data
    assert found["context"]["period"] == {"start": "2026-01-15", "end": "2026-01-16"}
    assert found["context"]["related"][0]["identifier"]["value"] == "ACC9"
    contained = {each["resourceType"]: each for each in found["contained"]}
    assert contained["Practitioner"]["name"] == [{"family": "DOCTEUR", "given": ["Fictif"]}]
    assert contained["Practitioner"]["identifier"][0]["system"] == "urn:oid:1.2.250.1.71.4.2.1"
    assert (contained["Patient"]["gender"], contained["Patient"]["name"]) == ("female", [{"family": "EXEMPLE"}])
    assert httpx.get(data).content == REPORT
    assert read(the_set)["entry"][0]["item"]["reference"] == f"DocumentReference/{found['id']}"
    assert found["masterIdentifier"]["value"].removeprefix("urn:oid:") in site.found_ids(site.cx("CHUSE", "C1"))


def test_an_uncontained_bundle_carries_its_people(site, patient):
    role, person, organization, subject = (uuid4().urn for _ in range(4))
    sent = one_document(
        subject,
        "UnContained.Comprehensive",
        author=[{"reference": role}],
        contained=[],
        authenticator={"reference": person},
    )
    del sent["entry"][1]["resource"]["context"]["sourcePatientInfo"], sent["entry"][1]["resource"]["contained"]
    sent["entry"] += [
        item({"resourceType": "Practitioner", "name": [{"family": "AUTEUR", "given": ["Un"]}]}, person),
        item({"resourceType": "Organization", "name": "Hôpital fictif"}, organization),
        item(
            {
                "resourceType": "PractitionerRole",
                "practitioner": {"reference": person},
                "organization": {"reference": organization},
                "specialty": [{"text": "Radiologie"}],
            },
            role,
        ),
        item(
            {
                "resourceType": "Patient",
                "identifier": [
                    {"system": "http://example.org", "value": "1"},
                    {"system": site.running.table.by_code("CHUSE").oid.urn, "value": "C1"},
                ],
            },
            subject,
        ),
    ]
    locations = created(post(site, sent))
    assert locations[3:] == [None] * 4
    found = read(locations[1])
    contained = {each["resourceType"]: each for each in found["contained"]}
    assert contained["Organization"]["name"] == "Hôpital fictif"
    assert contained["PractitionerRole"]["specialty"] == [{"text": "Radiologie"}]
    assert contained["Practitioner"]["name"] == [{"family": "AUTEUR", "given": ["Un"]}]
    assert found["subject"]["reference"] == patient


def test_minimal_metadata_is_kept_as_limited_and_refused_when_not_declared(site, patient):
    def sent(level):
        made = one_document(patient, level)
        for element in ("type", "category", "securityLabel", "context", "author", "contained"):
            del made["entry"][1]["resource"][element]
        made["entry"][0]["resource"]["extension"].pop()
        return made

    (_, document, _) = created(post(site, sent("Minimal")))
    assert read(document)["meta"]["profile"] == [f"{PROFILES}/IHE.MHD.Minimal.DocumentReference"]
    assert codes(post(site, sent("Comprehensive"))) == {"XDSRegistryMetadataError"}


def test_folders_are_made_and_added_to(site, patient):
    document, data, folder = (uuid4().urn for _ in range(3))
    made = {
        **submission_set(patient, document),
        "title": "Dossier",
        "code": concept(LIST_TYPES, "folder"),
        "extension": [{"url": f"{PROFILES}/ihe-designationType", "valueCodeableConcept": concept(SNOMED, "225728007")}],
    }
    first = bundle(
        item(submission_set(patient, document, folder)),
        item(reference(patient, data), document),
        item(made, folder),
        item(binary(), data),
    )
    _, old, folder_address, _ = created(post(site, first))
    assert [each["item"]["reference"] for each in read(folder_address)["entry"]] == [
        f"DocumentReference/{old.rpartition('/')[2]}"
    ]
    second = one_document(patient)
    new = second["entry"][1]["fullUrl"]
    updated = {**made, "entry": [{"item": {"reference": old}}, {"item": {"reference": new}}]}
    second["entry"].append(item(updated, uuid4().urn, "PUT", f"List/{folder_address.rpartition('/')[2]}"))
    _, added, _, changed = created(post(site, second))
    assert changed == folder_address
    assert {each["item"]["reference"] for each in read(folder_address)["entry"]} == {
        f"DocumentReference/{each.rpartition('/')[2]}" for each in (old, added)
    }


def test_a_replacement_supersedes_and_says_so(site, patient):
    _, old, _ = created(post(site, one_document(patient)))
    relates = [{"code": "replaces", "target": {"reference": f"DocumentReference/{old.rpartition('/')[2]}"}}]
    sent = one_document(patient, relatesTo=relates)
    patch = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "replace"},
                    {"name": "path", "valueString": "DocumentReference.status"},
                    {"name": "value", "valueCode": "superseded"},
                ],
            }
        ],
    }
    sent["entry"].append(item(patch, method="PATCH", url=f"DocumentReference/{old.rpartition('/')[2]}"))
    _, new, _, patched = created(post(site, sent))
    assert patched is None
    assert read(old)["status"] == "superseded"
    assert read(new)["relatesTo"] == relates
    again = one_document(patient)
    again["entry"].append(sent["entry"][3])
    assert codes(post(site, again)) == {"XDSRegistryMetadataError"}
    by_identifier = {"code": "appends", "target": {"identifier": read(new)["masterIdentifier"]}}
    _, third, _ = created(post(site, one_document(patient, relatesTo=[by_identifier])))
    assert read(third)["relatesTo"][0]["code"] == "appends"


def test_nothing_of_a_refused_bundle_is_kept(site, patient):
    before = site.found_ids(site.cx("CHUSE", "C1"))
    good, bad = one_document(patient), one_document(patient)
    bad_reference = bad["entry"][1]["resource"]
    bad_reference["content"][0]["attachment"]["hash"] = base64.b64encode(bytes(20)).decode()
    bad_reference["content"][0]["attachment"]["size"] = 5
    the_set = submission_set(patient, good["entry"][1]["fullUrl"], bad["entry"][1]["fullUrl"])
    answer = post(site, bundle(item(the_set), *good["entry"][1:], *bad["entry"][1:]))
    assert codes(answer) == {"XDSRepositoryMetadataError"}
    assert len(answer.json()["issue"]) == 2
    assert site.found_ids(site.cx("CHUSE", "C1")) == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda b: b["entry"].pop(), {"XDSMissingDocument"}),
        (lambda b: b["entry"].pop(0), {"XDSRegistryMetadataError"}),
        (lambda b: b["entry"].append(item({"resourceType": "Observation", "status": "final", "code": {}})), None),
        (lambda b: b["entry"][0]["resource"].update(entry=[]), {"XDSRegistryMetadataError"}),
        (
            lambda b: b["entry"][1]["resource"].update(subject={"reference": "Patient/r999"}),
            {"XDSUnknownPatientId"},
        ),
        (
            lambda b: b["entry"][1]["resource"].update(
                relatesTo=[{"code": "replaces", "target": {"reference": f"DocumentReference/{uuid4()}"}}]
            ),
            {"UnresolvedReferenceException"},
        ),
        (
            lambda b: b["entry"][1]["resource"]["type"]["coding"][0].update(code="unheard-of"),
            {"XDSRegistryMetadataError"},
        ),
        (
            lambda b: b["entry"][1]["resource"]["content"][0]["attachment"].update(hash="AAAA"),
            {"XDSRegistryMetadataError"},
        ),
        (lambda b: b["entry"][2]["resource"].update(data="bm90IHRoZSByZXBvcnQ="), {"XDSRepositoryMetadataError"}),
    ],
)
def test_each_fault_is_named_by_its_code(site, patient, change, expected):
    sent = one_document(patient)
    change(sent)
    answer = post(site, sent)
    if expected is None:
        expected = {"XDSRegistryMetadataError"}
    assert codes(answer) == expected


def test_a_unique_id_names_one_document(site, patient):
    unique_id = uid()
    created(post(site, one_document(patient, unique_id=unique_id)))
    other = one_document(patient, content=b"%PDF-1.4 other", unique_id=unique_id)
    assert codes(post(site, other)) == {"XDSNonIdenticalHash", "XDSNonIdenticalSize"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Bundle", "type": "batch"}, 400),
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Bundle", "type": "transaction"}, 422),
        ({"resourceType": "Bundle", "type": "transaction", "entry": [{}]}, 422),
    ],
)
def test_what_is_no_provided_bundle_is_refused(site, body, status):
    answer = post(site, body)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


def test_a_bundle_in_xml_is_as_good(site, patient):
    sent = Bundle.model_validate(one_document(patient)).model_dump_xml()
    headers = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    answer = httpx.post(f"{site.running.base_url}/fhir", content=sent, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    found = Bundle.model_validate_xml(answer.content)
    assert httpx.get(found.entry[2].response.location).content == REPORT


def test_fhirpy_provides_a_bundle(site, patient):
    client = SyncFHIRClient(f"{site.running.base_url}/fhir")
    answer = client.execute("", method="POST", data=one_document(patient))
    assert [each["response"]["status"] for each in answer["entry"]] == ["201 Created"] * 3


def test_simplified_publish_makes_the_submission_set(site, patient):
    full = reference(patient, None)
    attachment = full["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = base64.b64encode(REPORT).decode()
    answer = post(site, full, "/DocumentReference")
    assert answer.status_code == 201, answer.text
    found = read(answer.headers["location"])
    assert answer.json() == found
    assert "data" not in found["content"][0]["attachment"]
    assert httpx.get(found["content"][0]["attachment"]["url"]).content == REPORT
    small = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": patient},
        "content": [{"attachment": {"contentType": "text/plain", "data": "SGVsbG8gV29ybGQ="}}],
    }
    assert post(site, small, "/DocumentReference").status_code == 201
    attachment["size"] = 3
    full["masterIdentifier"] = {"value": uid()}
    assert codes(post(site, full, "/DocumentReference")) == {"XDSRepositoryMetadataError"}
    del attachment["data"]
    assert "XDSMissingDocument" in codes(post(site, full, "/DocumentReference"))


CDA = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <templateId root="1.3.6.1.4.1.19376.1.2.20"/>
  <id root="{root}" extension="{extension}"/>
  <code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="CR d'imagerie"/>
  <title>Scanner fictif</title>
  <effectiveTime value="20260115111500+0100"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="fr-FR"/>
  <recordTarget><patientRole>
    <id root="{authority}" extension="C1"/>
    <patient><name><given>MARIE</given><family>EXEMPLE</family></name>
      <administrativeGenderCode code="F"/><birthTime value="19480317"/></patient>
  </patientRole></recordTarget>
  <author><time value="20260115"/><assignedAuthor><id root="1.2.250.1.71.4.2.1" extension="801234567890"/>
    <assignedPerson><name><given>Fictif</given><family>DOCTEUR</family></name></assignedPerson>
  </assignedAuthor></author>
  <documentationOf><serviceEvent><code code="CT" codeSystem="1.2.840.10008.2.16.4"/>
    <effectiveTime><low value="20260114"/><high value="20260115"/></effectiveTime></serviceEvent></documentationOf>
  <component><nonXMLBody><text>texte</text></nonXMLBody></component>
</ClinicalDocument>"""


def generate(site, document):
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": document}]}
    return post(site, parameters, "/DocumentReference/$generate-metadata")


def generated(site, document):
    answer = generate(site, document)
    assert answer.status_code == 200, answer.text
    address = answer.json()["parameter"][0]["valueReference"]["reference"]
    assert answer.headers["location"] == address
    found = read(address)
    DocumentReference.model_validate(found)
    return found


def test_metadata_is_read_out_of_a_cda(site, patient):
    authority = site.running.table.by_code("CHUSE").oid
    text = CDA.format(root=uid(), extension="7", authority=authority).encode()
    found = generated(site, {**binary(text), "contentType": "text/xml"})
    assert found["masterIdentifier"]["value"] == "7"
    assert found["subject"]["reference"] == patient
    assert found["type"]["coding"][0]["system"] == "http://loinc.org"
    attachment = found["content"][0]["attachment"]
    assert (attachment["title"], attachment["creation"]) == ("Scanner fictif", "2026-01-15T10:15:00Z")
    assert found["content"][0]["format"]["code"] == "urn:ihe:iti:xds-sd:pdf:2008"
    assert found["context"]["period"] == {"start": "2026-01-14", "end": "2026-01-15"}
    assert found["context"]["event"][0]["coding"][0]["code"] == "CT"
    contained = {each["resourceType"]: each for each in found["contained"]}
    assert contained["Practitioner"]["name"][0]["family"] == "DOCTEUR"
    assert contained["Patient"]["birthDate"] == "1948-03-17"
    assert httpx.get(attachment["url"]).content == text


def test_metadata_is_read_out_of_a_fhir_document(site, patient):
    the_patient, author = uuid4().urn, uuid4().urn
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": concept("http://loinc.org", "18748-4"),
        "subject": {"reference": the_patient},
        "date": "2026-01-15T10:15:00Z",
        "author": [{"reference": author}],
        "title": "Compte rendu FHIR",
        "confidentiality": "N",
    }
    identifiers = [{"system": site.running.table.by_code("CHUSE").oid.urn, "value": "C1"}]
    document = {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{uid()}"},
        "type": "document",
        "timestamp": "2026-01-15T10:15:00Z",
        "entry": [
            {"fullUrl": uuid4().urn, "resource": composition},
            {"fullUrl": the_patient, "resource": {"resourceType": "Patient", "identifier": identifiers}},
            {"fullUrl": author, "resource": {"resourceType": "Practitioner", "name": [{"family": "DOCTEUR"}]}},
        ],
    }
    found = generated(site, document)
    assert found["masterIdentifier"] == document["identifier"]
    assert found["subject"]["reference"] == patient
    assert found["content"][0]["attachment"]["title"] == "Compte rendu FHIR"
    kept = httpx.get(found["content"][0]["attachment"]["url"], headers={"Accept": "application/fhir+json"})
    assert kept.json() == document


def test_a_fhir_document_may_stand_in_place_of_a_binary(site, patient):
    sent = one_document(patient)
    document = {
        "resourceType": "Bundle",
        "type": "document",
        "entry": [{"fullUrl": uuid4().urn, "resource": {"resourceType": "Patient", "active": True}}],
    }
    sent["entry"][2] = item(document, sent["entry"][2]["fullUrl"])
    _, found, data = created(post(site, sent))
    assert read(found)["content"][0]["attachment"]["contentType"] == "application/fhir+json"
    assert httpx.get(data).json() == document


def test_what_tells_nothing_is_not_published(site):
    assert generate(site, binary()).status_code == 400
    assert generate(site, {**binary(b"<x/>"), "contentType": "text/xml"}).status_code == 400
    assert generate(site, {**binary(b"no dicom"), "contentType": "application/dicom"}).status_code == 400
    nobody = CDA.format(root=uid(), extension="8", authority="2.25.99").encode()
    assert codes(generate(site, {**binary(nobody), "contentType": "text/xml"})) == {"XDSUnknownPatientId"}
    empty = {"resourceType": "Parameters"}
    assert post(site, empty, "/DocumentReference/$generate-metadata").status_code == 400

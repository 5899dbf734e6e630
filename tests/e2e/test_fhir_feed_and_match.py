"""Feed, match and capabilities over FHIR, by fhirpy and plain HTTP, over real sockets."""

from __future__ import annotations

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.patient import Patient
from fhirpy import SyncFHIRClient

FR = "https://hl7.fr/ig/fhir/core/StructureDefinition"


def patient(oid, value, family="EXEMPLE", given="MARIE", birth="1948-03-17", place="42218", **more):
    return {
        "resourceType": "Patient",
        "extension": [
            {
                "url": f"{FR}/fr-core-identity-reliability",
                "extension": [{"url": "identityStatus", "valueCoding": {"code": "VALI"}}],
            },
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {
                    "extension": [{"url": f"{FR}/fr-core-address-insee-code", "valueCoding": {"code": place}}]
                },
            },
        ],
        "identifier": [{"system": f"urn:oid:{oid}", "value": value}],
        "name": [{"use": "official", "family": family, "given": [given]}],
        "gender": "female",
        "birthDate": birth,
        **more,
    }


@pytest.fixture
def sites(running):
    return {code: running.table.by_code(code).oid for code in ("CHUSE", "ROANNE", "ICL")}


@pytest.fixture
def put(running, sites):
    def send(code, value, resource=None, **options):
        token = f"urn:oid:{sites[code]}|{value}"
        body = resource or patient(sites[code], value)
        url = f"{running.base_url}/fhir/Patient"
        return httpx.put(url, params={"identifier": token}, json=body, **options)

    return send


def pix(running, oid, value):
    answer = httpx.get(
        f"{running.base_url}/fhir/Patient/$ihe-pix", params={"sourceIdentifier": f"urn:oid:{oid}|{value}"}
    )
    if answer.status_code != 200:
        return answer.status_code
    return {
        p["valueIdentifier"]["value"]
        for p in answer.json().get("parameter", [])
        if p["name"] == "targetIdentifier" and not p["valueIdentifier"]["value"].startswith("TDU")
    }


def test_conditional_update_creates_then_updates_and_links(running, sites, put):
    first = put("CHUSE", "C1")
    assert first.status_code == 201
    Patient.model_validate(first.json())
    assert put("CHUSE", "C1").status_code == 200
    assert put("ROANNE", "R1").status_code == 201
    assert pix(running, sites["ROANNE"], "R1") == {"C1"}
    assert put("ROANNE", "R1", headers={"Prefer": "return=minimal"}).content == b""


def test_merge_by_replaced_by_and_delete(running, sites, put):
    put("CHUSE", "C1")
    put("CHUSE", "C2", patient(sites["CHUSE"], "C2", "MODELE", "PAULE", "1971-11-02", "42187"))
    put("ROANNE", "R1")
    survivor = {"identifier": {"system": f"urn:oid:{sites['CHUSE']}", "value": "C2"}}
    subsumed = patient(sites["CHUSE"], "C1", active=False, link=[{"type": "replaced-by", "other": survivor}])
    assert put("CHUSE", "C1", subsumed).status_code == 200
    assert pix(running, sites["CHUSE"], "C1") == 404
    assert put("CHUSE", "C1").status_code == 409
    token = f"urn:oid:{sites['ROANNE']}|R1"
    deleted = httpx.delete(f"{running.base_url}/fhir/Patient", params={"identifier": token})
    assert deleted.status_code == 204
    assert pix(running, sites["ROANNE"], "R1") == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"birthDate": "yesterday"}, 400),
        ({"identifier": []}, 400),
        ({"gender": "neither"}, 400),
        ({"resourceType": "Observation"}, 400),
    ],
)
def test_bad_resources_get_an_outcome(sites, put, change, status):
    refused = put("CHUSE", "C1", {**patient(sites["CHUSE"], "C1"), **change})
    assert (refused.status_code, refused.json()["resourceType"]) == (status, "OperationOutcome")
    assert "yesterday" not in refused.text


def test_bad_requests_get_an_outcome(running, put, sites):
    url = f"{running.base_url}/fhir/Patient"
    assert httpx.put(url, json=patient(sites["CHUSE"], "1")).status_code == 400
    assert httpx.put(url, params={"identifier": f"urn:oid:{sites['CHUSE']}|1"}, content=b"{").status_code == 400
    assert put("CHUSE", "C1", content=None, headers={"Accept": "text/html"}).status_code == 406
    unknown = httpx.put(url, params={"identifier": "urn:oid:1.2.3|1"}, json=patient("1.2.3", "1"))
    assert unknown.status_code == 400


def test_xml_in_and_out(running, sites):
    resource = Patient.model_validate(patient(sites["CHUSE"], "C1"))
    answer = httpx.put(
        f"{running.base_url}/fhir/Patient",
        params={"identifier": f"urn:oid:{sites['CHUSE']}|C1"},
        content=resource.model_dump_xml(),
        headers={"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"},
    )
    assert answer.status_code == 201
    back = Patient.model_validate_xml(answer.content)
    assert back.name[0].family == "EXEMPLE"


def test_match_grades_and_orders(running, sites, put):
    put("CHUSE", "C1")
    put("ICL", "P1", patient(sites["ICL"], "P1", "MODELE", "PAULE", "1971-11-02", "42187"))
    asked = patient("1.2.3", "x")
    del asked["identifier"]
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": asked}, {"name": "onlyCertainMatches", "valueBoolean": True}],
    }
    client = SyncFHIRClient(f"{running.base_url}/fhir")
    answer = client.execute("Patient/$match", method="POST", data=parameters)
    Bundle.model_validate(answer)
    (entry,) = answer["entry"]
    assert entry["resource"]["identifier"][0]["value"] == "C1"
    assert entry["search"]["extension"][0]["valueCode"] == "certain"
    assert 0.99 < entry["search"]["score"] <= 1


def test_capabilities_state_what_is_there(running):
    answer = httpx.get(f"{running.base_url}/fhir/metadata").json()
    statement = CapabilityStatement.model_validate(answer)
    (resource,) = [r for r in statement.rest[0].resource if r.type == "Patient"]
    assert {i.code for i in resource.interaction} >= {"read", "search-type", "update", "delete"}
    assert {o.name for o in resource.operation} == {"ihe-pix", "match"}
    xml = httpx.get(f"{running.base_url}/fhir/metadata", params={"_format": "xml"})
    assert CapabilityStatement.model_validate_xml(xml.content).fhirVersion == "4.0.1"

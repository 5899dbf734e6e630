"""ITI-104: conditional requests feed, on conditions of version too; what comes back is as FR Core wants it."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.patient import Patient
from sqlalchemy import text

from tests.fhir_wire import FR, patient, wire_over


@pytest.fixture
def fhir(database_url, tmp_path):
    wire = wire_over(database_url, tmp_path)
    yield wire
    wire.service.close()


def outcome(answer, status):
    assert answer.status_code == status, answer.text
    return OperationOutcome.model_validate(answer.json()).issue[0]


def test_if_match_guards_an_update(fhir):
    first = fhir.feed("CHUSE", "C1")
    assert first.status_code == 201
    assert fhir.feed("CHUSE", "C1", {"If-Match": first.headers["etag"]}, given="MARIA").status_code == 200
    assert outcome(fhir.feed("CHUSE", "C1", {"If-Match": first.headers["etag"]}), 412).code == "conflict"
    assert outcome(fhir.feed("CHUSE", "C2", {"If-Match": 'W/"1"'}), 412)
    deleted = fhir.client.delete(
        "/fhir/Patient", params={"identifier": fhir.token("CHUSE", "C1")}, headers={"If-Match": 'W/"1"'}
    )
    assert outcome(deleted, 412)


def merge(fhir, subsumed, survivor, headers=None):
    link = {"type": "replaced-by", "other": {"identifier": fhir.identifier("CHUSE", survivor)}}
    return fhir.feed("CHUSE", subsumed, headers, active=False, link=[link])


def test_if_match_guards_a_merge(fhir):
    first = fhir.feed("CHUSE", "C1").headers["etag"]
    fhir.feed("CHUSE", "C2")
    assert fhir.feed("CHUSE", "C1", given="MARIA").status_code == 200
    assert outcome(merge(fhir, "C1", "C2", {"If-Match": first}), 412).code == "conflict"
    now = fhir.feed("CHUSE", "C1", given="MARIA").headers["etag"]
    assert merge(fhir, "C1", "C2", {"If-Match": now}).status_code == 200
    assert outcome(fhir.feed("CHUSE", "C1"), 409).code == "conflict"


def test_create_update_merge_and_delete(fhir):
    assert [fhir.feed("CHUSE", "C1").status_code for _ in range(2)] == [201, 200]
    fhir.feed("CHUSE", "C2")
    assert merge(fhir, "C1", "C2").status_code == 200
    assert fhir.found(identifier=fhir.token("CHUSE", "C1")) == []
    deleted = fhir.client.delete("/fhir/Patient", params={"identifier": fhir.token("CHUSE", "C2")})
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert fhir.found(identifier=fhir.token("CHUSE", "C2")) == []


def test_a_patient_that_is_not_active_any_more_is_withdrawn_until_it_is_again(fhir):
    fhir.feed("CHUSE", "C1")
    fhir.feed("ROANNE", "R1")
    for _ in range(2):
        answer = fhir.feed("CHUSE", "C1", active=False)
        assert answer.status_code == 200
        assert Patient.model_validate(answer.json()).active is False
        assert "name" not in answer.json()
        assert fhir.found(family="exemple") == ["R1"]
    assert outcome(fhir.feed("CHUSE", "NOBODY", active=False), 404)
    assert fhir.feed("CHUSE", "C1").status_code == 200
    assert fhir.found(family="exemple") == ["C1", "R1"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"active": True, "link": [{"type": "replaced-by", "other": {"identifier": {"value": "C9"}}}]}, 400),
        ({"identifier": []}, 400),
        ({"identifier": [{"system": "urn:oid:1.2.3", "value": "C1"}]}, 400),
        ({"birthDate": "yesterday"}, 400),
        ({"gender": "neither"}, 400),
        ({"resourceType": "Observation"}, 400),
        ({"active": False, "link": [{"type": "replaced-by", "other": {"identifier": {"value": "C9"}}}]}, 400),
    ],
)
def test_each_refusal_of_what_a_resource_says(fhir, change, status):
    parameters = {"identifier": fhir.token("CHUSE", "C1")}
    answer = fhir.client.put("/fhir/Patient", params=parameters, json={**patient(fhir.oid("CHUSE"), "C1"), **change})
    assert outcome(answer, status).severity == "error"
    assert fhir.found(identifier=fhir.token("CHUSE", "C1")) == []


def test_each_refusal_of_whom_a_request_names(fhir):
    resource = patient(fhir.oid("CHUSE"), "C1")
    for parameters in (
        {},
        {"identifier": "urn:oid:1.2.3|C1"},
        {"identifier": fhir.token("REGION", "TDU0000000001")},
        {"identifier": f"urn:oid:{fhir.oid('CHUSE')}|"},
        {"family": "EXEMPLE"},
    ):
        answer = fhir.client.put("/fhir/Patient", params=parameters, json=resource)
        assert outcome(answer, 400).severity == "error", parameters
    nobody = fhir.client.delete("/fhir/Patient", params={"identifier": fhir.token("CHUSE", "NOBODY")})
    assert nobody.status_code in (204, 404)
    fhir.feed("CHUSE", "C1")
    assert outcome(merge(fhir, "C1", "C1"), 400).severity == "error"
    assert fhir.found(identifier=fhir.token("CHUSE", "C1")) == ["C1"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/pdf", "multipart/form-data; boundary=x", ""])
def test_another_media_type_is_refused(fhir, media_type):
    parameters = {"identifier": fhir.token("CHUSE", "C1")}
    answer = fhir.client.put("/fhir/Patient", params=parameters, content=b"{}", headers={"Content-Type": media_type})
    assert outcome(answer, 415).code == "not-supported"
    assert outcome(fhir.client.post("/fhir/Patient/$match", content=b"x", headers={"Content-Type": "text/csv"}), 415)
    assert outcome(fhir.client.post("/fhir/Patient/_search", content=b"x", headers={"Content-Type": "text/csv"}), 415)


@pytest.mark.parametrize(("prefer", "has_body"), [("return=minimal", False), ("return=representation", True)])
def test_prefer_decides_whether_the_patient_comes_back(fhir, prefer, has_body):
    answer = fhir.feed("CHUSE", "C1", {"Prefer": prefer})
    assert (answer.status_code, bool(answer.content)) == (201, has_body)
    assert answer.headers["location"]
    assert answer.headers["etag"]


def test_prefer_may_want_the_outcome(fhir):
    answer = fhir.feed("CHUSE", "C1", {"Prefer": "return=OperationOutcome"})
    assert outcome(answer, 201).severity == "information"
    assert answer.headers["location"]


def test_the_exchange_is_named_by_us_and_by_the_client(fhir):
    answer = fhir.feed("CHUSE", "C1", {"X-Request-Id": "theirs-7"})
    assert answer.headers["x-correlation-id"] == "theirs-7"
    ours = answer.headers["x-request-id"]
    with fhir.service.engine.connect() as connection:
        found = connection.execute(
            text("SELECT transaction FROM audit_event WHERE correlation_id = :id"), {"id": ours}
        ).scalars()
        assert list(found) == ["ITI-104"]
    assert "x-correlation-id" not in fhir.feed("CHUSE", "C1", {"X-Request-Id": "no such\tname <x>"}).headers


def test_if_none_match_creates_only(fhir):
    assert fhir.feed("CHUSE", "C1", {"If-None-Match": "*"}).status_code == 201
    assert outcome(fhir.feed("CHUSE", "C1", {"If-None-Match": "*"}), 412)


def test_location_and_etag_are_those_of_the_resource(fhir):
    answer = fhir.feed("CHUSE", "C1")
    read = fhir.client.get(answer.headers["location"])
    assert read.headers["etag"] == answer.headers["etag"]
    assert read.json() == answer.json()


def test_a_qualified_identity_comes_back_in_the_french_slices(fhir):
    ins = f"urn:oid:{fhir.oid('INS-NIR')}"
    resource = patient(fhir.oid("CHUSE"), "C1", status="QUAL")
    resource["identifier"].append({"system": ins, "value": "279035121518989"})
    resource["name"][0]["extension"] = [
        {"url": f"{FR}/fr-core-patient-birth-list-given-name", "valueString": "MARIE ANNE"}
    ]
    answer = fhir.client.put("/fhir/Patient", params={"identifier": fhir.token("CHUSE", "C1")}, json=resource)
    found = answer.json()
    Patient.model_validate(found)
    assert found["meta"]["profile"] == [f"{FR}/fr-core-patient", f"{FR}/fr-core-patient-ins"]
    slices = {i["type"]["coding"][0]["code"]: (i["use"], i["system"]) for i in found["identifier"]}
    assert slices["PI"] == ("usual", f"urn:oid:{fhir.oid('CHUSE')}")
    assert slices["INS-NIR"] == ("official", ins)
    assert slices["RRI"] == ("secondary", f"urn:oid:{fhir.oid('REGION')}")
    (official,) = found["name"]
    assert (official["use"], official["given"]) == ("official", ["MARIE"])
    assert official["extension"][0]["valueString"] == "MARIE ANNE"
    extensions = {e["url"]: e for e in found["extension"]}
    status = extensions[f"{FR}/fr-core-identity-reliability"]["extension"][0]["valueCoding"]
    assert status["code"] == "QUAL"
    place = extensions["http://hl7.org/fhir/StructureDefinition/patient-birthPlace"]["valueAddress"]
    assert place["extension"][0]["valueCoding"]["code"] == "42218"


def test_mothers_name_and_attributes_are_kept(fhir):
    resource = patient(fhir.oid("CHUSE"), "C1")
    mother = {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "TEMOIN"}
    resource["extension"].append(mother)
    doubtful = {"url": "comment", "valueCodeableConcept": {"coding": [{"code": "HOMO"}]}}
    resource["extension"][0]["extension"].append(doubtful)
    answer = fhir.client.put("/fhir/Patient", params={"identifier": fhir.token("CHUSE", "C1")}, json=resource).json()
    assert mother in answer["extension"]
    comments = [e["valueCodeableConcept"]["coding"][0]["code"] for e in answer["extension"][0]["extension"][1:]]
    assert comments == ["HOMO"]


def test_the_person_follows_its_links(fhir):
    fhir.feed("CHUSE", "C1")
    fhir.feed("ROANNE", "R1")
    second = fhir.get("Patient", identifier=fhir.token("ROANNE", "R1")).json()["entry"][0]["resource"]
    joined = fhir.get(second["id"].replace("r", "Patient/p")).json()
    assert joined["active"] is False
    assert joined["link"][0]["type"] == "replaced-by"
    person = fhir.get(joined["link"][0]["other"]["reference"])
    assert len(person.json()["link"]) == 2
    fhir.feed("ROANNE", "R1", family="MODELE", given="PAULE", birth="1971-11-02")
    after = fhir.get(joined["link"][0]["other"]["reference"])
    assert len(after.json()["link"]) == 1
    assert after.headers["etag"] != person.headers["etag"]
    assert fhir.get(f"Patient/{joined['id']}").json()["active"] is True


@pytest.mark.parametrize("part", ["identifier", "family", "status"])
def test_a_nul_in_a_resource_is_a_mistake_of_the_sender(fhir, part):
    value = "C\0" if part == "identifier" else "C1"
    more = {} if part == "identifier" else {part: "A\0"}
    assert fhir.feed("CHUSE", value, **more).status_code in (200, 201, 400)
    assert fhir.feed("CHUSE", "C1").status_code in (200, 201)

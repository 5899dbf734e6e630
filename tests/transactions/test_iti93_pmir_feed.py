"""ITI-93: message Bundles create, update, merge and delete, whole or not at all; refusals answer the message."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome

from tests.fhir_wire import patient, wire_over

SOURCE = "http://site.example/fhir"


@pytest.fixture
def fhir(database_url, tmp_path):
    wire = wire_over(database_url, tmp_path)
    yield wire
    wire.service.close()


def message(*entries, event="urn:ihe:iti:pmir:2019:patient-feed", header_id="m1"):
    header = {
        "resourceType": "MessageHeader",
        "id": header_id,
        "eventUri": event,
        "source": {"endpoint": SOURCE},
        "destination": [{"endpoint": "http://index.example/fhir/$process-message"}],
    }
    history = {"resourceType": "Bundle", "type": "history", "entry": list(entries)}
    return {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"fullUrl": f"{SOURCE}/MessageHeader/m1", "resource": header},
            {"fullUrl": f"{SOURCE}/Bundle/h1", "resource": history},
        ],
    }


def entry(method, logical_id, resource=None):
    url = "Patient" if method == "POST" else f"Patient/{logical_id}"
    found = {
        "fullUrl": f"{SOURCE}/Patient/{logical_id}",
        "request": {"method": method, "url": url},
        "response": {"status": "200"},
    }
    return {**found, "resource": {**resource, "id": logical_id}} if resource else found


@pytest.fixture
def send(fhir):
    def send(*entries, **options):
        answer = fhir.client.post("/fhir/$process-message", json=message(*entries, **options))
        assert answer.status_code == 200, answer.text
        content = answer.json()
        Bundle.model_validate(content)
        head, *others = [e["resource"] for e in content["entry"]]
        assert head["response"]["identifier"] == "m1"
        assert head["eventUri"] == "urn:ihe:iti:pmir:2019:patient-feed-response"
        history = next((r for r in others if r["resourceType"] == "Bundle"), {"entry": []})
        return head["response"]["code"], [e["response"] for e in history["entry"]]

    return send


@pytest.fixture
def alice(fhir):
    return patient(fhir.oid("CHUSE"), "C1")


@pytest.fixture
def other(fhir):
    return patient(fhir.oid("CHUSE"), "C2", family="MODELE", given="PAULE", birth="1971-11-02")


def test_create_update_and_delete_by_the_sources_own_id(fhir, send, alice):
    code, (created,) = send(entry("POST", "a1", alice))
    assert (code, created["status"]) == ("ok", "201")
    assert fhir.client.get(created["location"]).json()["identifier"][0]["value"] == "C1"
    renamed = {name: value for name, value in alice.items() if name != "identifier"}
    renamed["name"] = [{"use": "official", "family": "AUTRE", "given": ["MARIE"]}]
    code, (updated,) = send(entry("PUT", "a1", renamed))
    assert (code, updated["status"]) == ("ok", "200")
    assert fhir.found(family="autre") == ["C1"]
    assert send(entry("DELETE", "a1")) == ("ok", [{"status": "204"}])
    assert fhir.found(family="autre") == []
    assert send(entry("DELETE", "a1"))[0] == "ok"


def test_a_patient_that_is_not_active_any_more_is_withdrawn(fhir, send, alice):
    send(entry("POST", "a1", alice))
    assert send(entry("PUT", "a1", {**alice, "active": False})) == ("ok", [{"status": "200"}])
    assert fhir.found(family="exemple") == []
    code, (restored,) = send(entry("PUT", "a1", alice))
    assert (code, restored["status"]) == ("ok", "201")
    assert fhir.found(family="exemple") == ["C1"]


def test_an_older_state_changes_nothing(fhir, send, alice):
    send(entry("POST", "a1", {**alice, "meta": {"lastUpdated": "2026-05-02T10:00:00Z"}}))
    late = {**alice, "meta": {"lastUpdated": "2026-05-01T10:00:00Z"}, "name": [{"family": "ANCIEN", "given": ["X"]}]}
    assert send(entry("PUT", "a1", late))[0] == "ok"
    assert fhir.found(family="exemple") == ["C1"]


@pytest.mark.parametrize("how", ["reference", "identifier"])
def test_merge_by_replaced_by_and_no_way_back(fhir, send, alice, other, how):
    send(entry("POST", "a1", alice), entry("POST", "a2", other))
    named = {"system": f"urn:oid:{fhir.oid('CHUSE')}", "value": "C2"}
    survivor = {"reference": "Patient/a2"} if how == "reference" else {"identifier": named}
    subsumed = {"resourceType": "Patient", "active": False, "link": [{"type": "replaced-by", "other": survivor}]}
    code, (merged,) = send(entry("PUT", "a1", subsumed))
    assert (code, merged["status"]) == ("ok", "200")
    assert fhir.found(family="exemple") == []
    assert fhir.found(family="modele") == ["C2"]
    code, (refused,) = send(entry("PUT", "a1", alice))
    assert (code, refused["status"]) == ("fatal-error", "405")
    OperationOutcome.model_validate(refused["outcome"])
    assert fhir.found(family="exemple") == []


def test_unmerge_by_policy(fhir, send, alice, other):
    object.__setattr__(fhir.service.mpi, "sources_unmerge", True)
    send(entry("POST", "a1", alice), entry("POST", "a2", other))
    link = {"type": "replaced-by", "other": {"reference": "Patient/a2"}}
    send(entry("PUT", "a1", {"resourceType": "Patient", "active": False, "link": [link]}))
    assert fhir.found(identifier=fhir.token("CHUSE", "C1")) == []
    code, (restored,) = send(entry("PUT", "a1", alice))
    assert (code, restored["status"]) == ("ok", "201")
    assert fhir.found(family="exemple") == ["C1"]
    assert fhir.found(family="modele") == ["C2"]
    stranger = patient(fhir.oid("CHUSE"), "C9")
    merged = {**stranger, "active": False, "link": [link]}
    assert send(entry("PUT", "a9", merged))[0] == "ok"
    code, (refused,) = send(entry("PUT", "a9", stranger))
    assert (code, refused["status"]) == ("fatal-error", "409")


def test_a_message_is_taken_in_whole_or_not_at_all(fhir, send, alice):
    stranger = patient("1.2.3", "X1")
    code, answers = send(entry("POST", "a1", alice), entry("POST", "x1", stranger))
    assert code == "fatal-error"
    assert [a["status"] for a in answers] == ["424", "400"]
    assert fhir.found(family="exemple") == []


def test_related_persons_are_answered_with_a_warning(send, alice):
    mother = {"resourceType": "RelatedPerson", "id": "m1", "patient": {"reference": "Patient/a1"}}
    related = {
        "fullUrl": f"{SOURCE}/RelatedPerson/m1",
        "resource": mother,
        "request": {"method": "POST", "url": "RelatedPerson"},
        "response": {"status": "201"},
    }
    code, (born, told) = send(entry("POST", "a1", alice), related)
    assert (code, born["status"], told["status"]) == ("ok", "201", "202")
    assert told["outcome"]["issue"][0]["severity"] == "warning"


def test_unknown_patients_are_said_to_be_unknown(send):
    assert send(entry("DELETE", "nobody")) == ("fatal-error", [send(entry("DELETE", "nobody"))[1][0]])
    code, (answer,) = send(entry("DELETE", "nobody"))
    assert (code, answer["status"]) == ("fatal-error", "404")


def test_xml_message(fhir, alice):
    bundle = Bundle.model_validate(message(entry("POST", "a1", alice)))
    headers = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    answer = fhir.client.post("/fhir/$process-message", content=bundle.model_dump_xml(), headers=headers)
    assert answer.status_code == 200
    assert Bundle.model_validate_xml(answer.content).entry[0].resource.response.code == "ok"
    assert fhir.found(family="exemple") == ["C1"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Bundle", "type": "message", "entry": []}, 400),
        ({"resourceType": "Bundle", "type": "history"}, 400),
        ({"resourceType": "Patient"}, 400),
        ([], 400),
    ],
)
def test_what_is_no_message_gets_an_outcome(fhir, body, status):
    answer = fhir.client.post("/fhir/$process-message", json=body)
    assert answer.status_code == status
    OperationOutcome.model_validate(answer.json())


def test_another_event_is_refused_by_message(send, alice):
    code, answers = send(entry("POST", "a1", alice), event="urn:example:other")
    assert code == "fatal-error"
    assert [a["status"] for a in answers] == ["424"]

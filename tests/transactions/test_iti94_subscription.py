"""ITI-94: subscriptions are made, read, changed and ended by their subscriber."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.subscription import Subscription

from ihe.callbacks import CallbackRule
from ihe.errors import AccessDenied
from region.rest_hook import RestHook
from tests.fhir_wire import wire_over


@pytest.fixture(scope="module")
def fhir(module_database_url, tmp_path_factory):
    wire = wire_over(module_database_url, tmp_path_factory.mktemp("documents"))
    yield wire
    wire.service.close()


def subscription(criteria="Patient", **channel):
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "contact": [{"system": "phone", "value": "+33 4 00 00 00 00"}],
        "reason": "To know the region's patients",
        "criteria": criteria,
        "channel": {
            "type": "message",
            "endpoint": "http://subscriber.example/fhir",
            "payload": "application/fhir+json",
            **channel,
        },
    }


def test_made_read_changed_and_ended(fhir):
    made = fhir.client.post("/fhir/Subscription", json=subscription(header=["Authorization: Bearer s3cret"]))
    assert made.status_code == 201
    assert made.json()["status"] == "active"
    Subscription.model_validate(made.json())
    address = made.headers["location"]
    read = fhir.client.get(address)
    assert (read.status_code, read.json()) == (200, made.json())
    assert "s3cret" not in made.text + read.text
    off = {**subscription(), "status": "off", "id": made.json()["id"]}
    changed = fhir.client.put(address, json=off, headers={"If-Match": made.headers["etag"]})
    assert (changed.status_code, changed.json()["status"]) == (200, "off")
    assert fhir.client.put(address, json=off, headers={"If-Match": made.headers["etag"]}).status_code == 412
    assert fhir.client.delete(address).status_code == 204
    assert fhir.client.get(address).status_code == 404
    assert fhir.client.delete(address).status_code == 404
    assert fhir.client.put(address, json=off).status_code == 404


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        (subscription("Observation"), 422, "business-rule"),
        (subscription("Patient?family=EXEMPLE"), 422, "business-rule"),
        (subscription("Patient?identifier=urn:oid:1.2.3|"), 400, "code-invalid"),
        (subscription("Patient?identifier=elsewhere|"), 400, "invalid"),
        (subscription(type="sms"), 422, "business-rule"),
        (subscription(payload="text/html"), 422, "business-rule"),
        (subscription(endpoint="file:///etc/passwd"), 400, "invalid"),
        (subscription(endpoint="http://[broken"), 400, "invalid"),
        (subscription(header=["broken\r\nX-Injected: 1"]), 400, "invalid"),
        ({"resourceType": "Subscription"}, 400, "invalid"),
    ],
)
def test_what_is_not_offered_is_refused(fhir, wish, status, code):
    answer = fhir.client.post("/fhir/Subscription", json=wish)
    assert answer.status_code == status, answer.text
    assert OperationOutcome.model_validate(answer.json()).issue[0].code == code


def test_a_subscription_ends_by_itself(fhir):
    ended = {**subscription(), "end": "2020-01-01T00:00:00Z"}
    future = {**subscription(), "end": "2999-01-01T00:00:00+01:00"}
    made = [fhir.client.post("/fhir/Subscription", json=wish).json()["id"] for wish in (ended, future)]
    names = {subscriber.name for subscriber in fhir.service.subscribers()}
    assert f"ITI-94 {made[1]}" in names
    assert f"ITI-94 {made[0]}" not in names


def test_unknown_ids(fhir):
    for absent in ("999", "x", "-1"):
        assert fhir.get(f"Subscription/{absent}").status_code == 404


def test_only_addresses_of_the_list_are_taken(database_url, tmp_path):
    wire = wire_over(database_url, tmp_path, callbacks=CallbackRule(("https://his.example/fhir",)))
    assert (
        wire.client.post("/fhir/Subscription", json=subscription(endpoint="https://his.example/fhir/in")).status_code
        == 201
    )
    refused = wire.client.post("/fhir/Subscription", json=subscription(endpoint="http://127.0.0.1:5432/"))
    assert refused.status_code == 403
    issue = OperationOutcome.model_validate(refused.json()).issue[0]
    assert (issue.code, issue.expression) == ("forbidden", ["Subscription.channel.endpoint"])
    wire.service.close()


def test_an_address_that_left_the_list_is_not_written_to():
    """The list may have become shorter since the subscription was made."""
    hook = RestHook(CallbackRule(("https://his.example",)))
    with pytest.raises(AccessDenied):
        hook.request("POST", "http://127.0.0.1:9/fhir", b"", {})

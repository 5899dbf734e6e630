"""MHD under a reading policy: what may not be read is nowhere, and the trail names what was touched."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from ihe.audit import AuditTrail
from ihe.errors import IheError, InvalidElement, MalformedRequest, NotFound, Refused
from ihe.http import HttpRequest
from ihe.serving import Context
from tests.xds_repository import ROANNE, house, make, new_uid
from tests.xds_wire import alone
from xds.application import XdsApplication
from xds.transactions import iti65_provide_document_bundle as iti65
from xds.transactions import iti66_find_document_lists as iti66
from xds.transactions import iti67_find_document_references as iti67
from xds.transactions import iti68_retrieve_document as iti68
from xds.transactions import iti105_simplified_publish as iti105

__all__ = ["house", "make"]

ROA1 = f"{ROANNE.urn}|ROA1"


def run(house: Any, transaction: Any, request: HttpRequest) -> tuple[Any, AuditTrail]:
    """One request through the steps of a transaction: the reply and what it noted."""
    trail = AuditTrail()
    question = transaction.decode(request)
    with house.unit() as uow:
        application = XdsApplication(house.registry, house.repository, house.studies, alone())
        result = transaction.serve(question, Context(uow, application, transaction.TRANSACTION, trail))
        return transaction.encode(result, request), trail


def search(house: Any, transaction: Any, **parameters: str) -> tuple[list[Any], AuditTrail]:
    query = tuple((name.replace("__", "."), value) for name, value in parameters.items())
    reply, trail = run(house, transaction, HttpRequest("GET", "/fhir/x", {}, query, base_url="http://x"))
    return [each["resource"] for each in orjson.loads(reply.body).get("entry", ())], trail


def read(house: Any, transaction: Any, resource_id: str) -> Any:
    return run(house, transaction, HttpRequest("GET", "/fhir/x", {"id": resource_id}, base_url="http://x"))[0]


def published(house: Any, label: str = "N", **changes: Any) -> tuple[str, str]:
    """Logical id and uniqueId of a document published for ROA1."""
    unique_id = new_uid()
    resource = {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{unique_id}"},
        "status": "current",
        "subject": {"identifier": {"system": ROANNE.urn, "value": "ROA1"}},
        "securityLabel": [{"coding": [{"system": "urn:oid:2.16.840.1.113883.5.25", "code": label}]}],
        "content": [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(b"texte").decode()}}],
        **changes,
    }
    reply, trail = run(
        house, iti105, HttpRequest("POST", "/fhir/DocumentReference", body=orjson.dumps(resource), base_url="http://x")
    )
    assert reply.status == 201
    assert {each["id"] for each in trail.objects} >= {"ROA1^^^&2.25.1001&ISO", unique_id}
    return orjson.loads(reply.body)["id"], unique_id


def not_restricted(uow: Any, document: Any) -> bool:
    return "R^^2.16.840.1.113883.5.25" not in document.confidentiality_codes


def test_what_may_not_be_read_is_nowhere(house: Any) -> None:
    open_id, _ = published(house)
    relates = [{"code": "appends", "target": {"reference": f"DocumentReference/{open_id}"}}]
    hidden_id, hidden_unique_id = published(house, "R", relatesTo=relates)
    other_id, _ = published(
        house, relatesTo=[{"code": "appends", "target": {"reference": f"DocumentReference/{hidden_id}"}}]
    )
    assert len(search(house, iti67, patient__identifier=ROA1)[0]) == 3
    house.permit(not_restricted)
    found, _ = search(house, iti67, patient__identifier=ROA1)
    assert [each["id"] for each in found] == [open_id, other_id]
    assert "relatesTo" not in found[1]
    assert search(house, iti67, identifier=hidden_unique_id)[0] == []
    assert search(house, iti67, _id=hidden_id)[0] == []
    lists, _ = search(house, iti66, patient__identifier=ROA1)
    assert hidden_id not in orjson.dumps(lists).decode()
    for transaction, resource_id in (
        (iti67, hidden_id),
        (iti68, hidden_id),
        (iti68, hidden_unique_id),
        (iti66, hidden_id),
    ):
        with pytest.raises(NotFound):
            read(house, transaction, resource_id)


def test_the_trail_names_query_patient_and_documents(house: Any) -> None:
    _, unique_id = published(house)
    _, trail = search(house, iti67, patient__identifier=ROA1)
    noted = {(each["kind"], each["id"]) for each in trail.objects}
    assert noted >= {
        ("query", "Find Document References"),
        ("patient", "ROA1^^^&2.25.1001&ISO"),
        ("document", unique_id),
    }


def test_damaged_bytes_are_never_sent(house: Any) -> None:
    resource_id, _ = published(house)
    (stored,) = [path for path in house.content._objects.rglob("*") if path.is_file()]
    stored.chmod(0o600)
    stored.write_bytes(b"other")
    with pytest.raises(IheError, match="damaged"):
        read(house, iti68, resource_id)


def test_a_bundle_without_patient_is_refused_with_its_code(house: Any) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": {
                    "resourceType": "List",
                    "status": "current",
                    "mode": "working",
                    "code": {"coding": [{"code": "submissionset"}]},
                    "subject": {"identifier": {"system": ROANNE.urn, "value": "nobody"}},
                },
                "request": {"method": "POST", "url": "List"},
            }
        ],
    }
    with pytest.raises(Refused) as refused:
        run(house, iti65, HttpRequest("POST", "/fhir", body=orjson.dumps(bundle), base_url="http://x"))
    assert "XDSRegistryMetadataError" in {each.code for each in refused.value.findings}


@pytest.mark.parametrize("text", ["a\x00b", "a\x01b", "\ufffe"])
def test_texts_that_cannot_be_kept_are_refused_before_anything_is(house: Any, text: str) -> None:
    with pytest.raises(MalformedRequest):
        published(house, description=text)
    for transaction in (iti66, iti67):
        for parameters in ({"identifier": text}, {"patient__identifier": ROA1, "_id": text}):
            with pytest.raises(InvalidElement):
                search(house, transaction, **parameters)
    with pytest.raises(NotFound):
        read(house, iti68, text)
    assert search(house, iti67, patient__identifier=ROA1)[0] == []

"""Provide, register, query and retrieve by zeep from our own WSDL; documents follow identity over every identifier."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
import zeep
from hl7.client import MLLPClient

from ihe.values import Oid

SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
MARIE = "EXEMPLE^MARIE^MARIE LOUISE^^^^L||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100^FRA^H~^^^^^^BDL^^42218"
PAUL = "MODELE^PAUL^PAUL^^^^L||19711102|M|||3 RUE DU TEST^^ROANNE^^42300^FRA^H~^^^^^^BDL^^42187"
INS = "248034221800010"
INS_AUTHORITY = "1.2.250.1.213.1.4.8"


def uid():
    return str(Oid.from_uuid(uuid4()))


def slot(name, *values):
    return {"name": name, "ValueList": {"Value": list(values)}}


def code(owner, scheme, value, system):
    return {
        "id": f"{owner}-{scheme[9:13]}",
        "classificationScheme": scheme,
        "classifiedObject": owner,
        "nodeRepresentation": value,
        "Slot": [slot("codingScheme", system)],
        "Name": {"LocalizedString": [{"value": value}]},
    }


def identifier(owner, scheme, name, value):
    return {
        "id": f"{owner}-{scheme[9:13]}",
        "registryObject": owner,
        "identificationScheme": scheme,
        "value": value,
        "Name": {"LocalizedString": [{"value": name}]},
    }


def submission(patient_id, source_patient_id, unique_id, extra=()):
    entry = {
        "id": "doc",
        "objectType": "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",
        "mimeType": "application/pdf",
        "Slot": [
            slot("creationTime", "20260115"),
            slot("languageCode", "fr-FR"),
            slot("sourcePatientId", source_patient_id),
            *extra,
        ],
        "Classification": [
            code("doc", "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a", "10", "1.2.250.1.213.1.1.4.1"),
            code("doc", "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25"),
            code(
                "doc",
                "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
                "urn:ihe:iti:xds-sd:pdf:2008",
                "1.3.6.1.4.1.19376.1.2.3",
            ),
            code("doc", "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "SA01", "1.2.250.1.71.4.2.4"),
            code("doc", "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "ETABLISSEMENT", "1.2.250.1.213.1.1.4.9"),
            code("doc", "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "18748-4", "2.16.840.1.113883.6.1"),
        ],
        "ExternalIdentifier": [
            identifier(
                "doc", "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", "XDSDocumentEntry.patientId", patient_id
            ),
            identifier("doc", "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab", "XDSDocumentEntry.uniqueId", unique_id),
        ],
    }
    package = {
        "id": "set",
        "Slot": [slot("submissionTime", "20260115101500")],
        "Classification": [
            code("set", "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500", "18748-4", "2.16.840.1.113883.6.1"),
            {
                "id": "node",
                "classifiedObject": "set",
                "classificationNode": "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
            },
        ],
        "ExternalIdentifier": [
            identifier(
                "set", "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", "XDSSubmissionSet.patientId", patient_id
            ),
            identifier("set", "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832", "XDSSubmissionSet.sourceId", "2.25.7"),
            identifier("set", "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8", "XDSSubmissionSet.uniqueId", uid()),
        ],
    }
    member = {
        "id": "member",
        "associationType": "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
        "sourceObject": "set",
        "targetObject": "doc",
        "Slot": [slot("SubmissionSetStatus", "Original")],
    }
    return {
        "RegistryObjectList": {
            "_value_1": [{"ExtrinsicObject": entry}, {"RegistryPackage": package}, {"Association": member}]
        }
    }


class Site:
    """A partner of the region, by MLLP and zeep."""

    def __init__(self, running):
        self.running = running
        self.repository = zeep.Client(f"{running.base_url}/wsdl/repository.wsdl").service
        self.registry = zeep.Client(f"{running.base_url}/wsdl/registry.wsdl").service
        self.messages = 0

    def cx(self, code, local_id):
        return f"{local_id}^^^&{self.running.table.by_code(code).oid}&ISO"

    def feed(self, code, local_id, person, ins=None, event="A28", extra=()):
        self.messages += 1
        authority = self.running.table.by_code(code).authority
        ids = f"{local_id}^^^{authority.namespace}&{authority.oid}&ISO^PI"
        if ins:
            ids += f"~{ins}^^^ASIP-SANTE-INS-NIR&{INS_AUTHORITY}&ISO^INS"
        message = "\r".join(
            [
                f"MSH|^~\\&|T|T|IPR|R|20260115||ADT^{event}^ADT_A05|Z{self.messages}|T|2.5",
                "EVN||20260115",
                f"PID|1||{ids}||{person}|||||||||||||||||||N||VALI",
                *extra,
                "",
            ]
        )
        with MLLPClient(self.running.host, self.running.mllp_port) as client:
            assert b"MSA|AA" in client.send_message(message)

    def provide(self, code, local_id, content, unique_id=None, **changes):
        unique_id = unique_id or uid()
        cx = self.cx(code, local_id)
        answer = self.repository["DocumentRepository_ProvideAndRegisterDocumentSet-b"](
            SubmitObjectsRequest=submission(changes.get("patient_id", cx), cx, unique_id, changes.get("extra", ())),
            Document=[{"_value_1": content, "id": "doc"}],
        )
        return unique_id, answer

    def find(self, cx, return_type="LeafClass"):
        answer = self.registry.DocumentRegistry_RegistryStoredQuery(
            ResponseOption={"returnType": return_type, "returnComposedObjects": True},
            AdhocQuery={
                "id": FIND_DOCUMENTS,
                "Slot": [slot("$XDSDocumentEntryPatientId", f"'{cx}'"), slot("$XDSDocumentEntryStatus", APPROVED)],
            },
        )
        assert answer.status == SUCCESS
        return answer.RegistryObjectList

    def found_ids(self, cx):
        listed = self.find(cx)
        objects = (listed._value_1 if listed else None) or []
        return {
            external.value
            for item in objects
            for external in item["ExtrinsicObject"].ExternalIdentifier
            if external.identificationScheme == "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
        }


@pytest.fixture
def site(running):
    return Site(running)


def rid(site, code, local_id):
    oid = site.running.table.by_code(code).oid
    answer = httpx.get(
        f"{site.running.base_url}/fhir/Patient/$ihe-pix",
        params={"sourceIdentifier": f"{oid.urn}|{local_id}", "targetSystem": site.running.table.region.oid.urn},
    )
    return answer.json()["parameter"][0]["valueIdentifier"]["value"]


def test_a_history_is_the_same_by_every_identifier(site):
    site.feed("CHUSE", "C1", MARIE, INS)
    site.feed("ROANNE", "R1", MARIE, INS)
    site.feed("ICL", "P1", PAUL)
    first, answer = site.provide("CHUSE", "C1", b"%PDF-1.4 first")
    assert answer.status == SUCCESS
    second, answer = site.provide("ROANNE", "R1", b"%PDF-1.4 second")
    assert answer.status == SUCCESS
    other, _ = site.provide("ICL", "P1", b"%PDF-1.4 of somebody else")
    everything = {first, second}
    region = site.running.table.region.oid
    for cx in (
        site.cx("CHUSE", "C1"),
        site.cx("ROANNE", "R1"),
        f"{rid(site, 'ROANNE', 'R1')}^^^&{region}&ISO",
        f"{INS}^^^&{INS_AUTHORITY}&ISO",
    ):
        assert site.found_ids(cx) == everything
    assert site.found_ids(site.cx("ICL", "P1")) == {other}
    assert site.found_ids(site.cx("ICL", "NOBODY")) == set()


def test_a_link_moves_documents_and_its_undo_moves_them_back(site):
    site.feed("CHUSE", "C1", MARIE)
    site.feed("ICL", "P1", PAUL)
    hers, _ = site.provide("CHUSE", "C1", b"%PDF-1.4 hers")
    his, _ = site.provide("ICL", "P1", b"%PDF-1.4 his")
    base = site.running.base_url
    body = {
        "a": {"domain": "CHUSE", "local_id": "C1"},
        "b": {"domain": "ICL", "local_id": "P1"},
        "reason": "a wrong link, made by hand",
    }
    event = httpx.post(f"{base}/api/links", json=body).json()["event_id"]
    assert site.found_ids(site.cx("CHUSE", "C1")) == {hers, his}
    undone = httpx.post(f"{base}/api/events/{event}/undo", json={"reason": "they are two people"})
    assert undone.status_code == 200
    assert site.found_ids(site.cx("CHUSE", "C1")) == {hers}
    assert site.found_ids(site.cx("ICL", "P1")) == {his}


def test_both_return_types_and_retrieval(site):
    site.feed("CHUSE", "C1", MARIE)
    content = b"%PDF-1.4 " + bytes(range(256)) * 4000
    unique_id, answer = site.provide("CHUSE", "C1", content, extra=[slot("urn:example:shelf", "B12")])
    assert answer.status == SUCCESS
    references = site.find(site.cx("CHUSE", "C1"), "ObjectRef")
    (reference,) = references._value_1
    (leaf,) = site.find(site.cx("CHUSE", "C1"))._value_1
    entry = leaf["ExtrinsicObject"]
    assert entry.id == reference["ObjectRef"].id
    slots = {s.name: s.ValueList.Value for s in entry.Slot}
    assert slots["urn:example:shelf"] == ["B12"]
    assert slots["size"] == [str(len(content))]
    got = site.registry.DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnType": "LeafClass", "returnComposedObjects": True},
        AdhocQuery={"id": GET_DOCUMENTS, "Slot": [slot("$XDSDocumentEntryUniqueId", f"('{unique_id}')")]},
    )
    assert got.RegistryObjectList._value_1[0]["ExtrinsicObject"].id == entry.id
    (repository_id,) = slots["repositoryUniqueId"]
    retrieved = site.repository.DocumentRepository_RetrieveDocumentSet(
        DocumentRequest=[{"RepositoryUniqueId": repository_id, "DocumentUniqueId": unique_id}]
    )
    attachments = getattr(retrieved, "attachments", None)
    if attachments is not None:
        assert [a.content for a in attachments] == [content]
    else:
        assert retrieved.DocumentResponse[0].Document == content


def test_refusals_name_everything_and_store_nothing(site):
    _unknown, answer = site.provide("CHUSE", "NEVER-FED", b"%PDF-1.4 x")
    assert answer.status == FAILURE
    codes = [e.errorCode for e in answer.RegistryErrorList.RegistryError]
    assert "XDSUnknownPatientId" in codes
    site.feed("CHUSE", "C1", MARIE)
    _wrong_hash, answer = site.provide("CHUSE", "C1", b"%PDF-1.4 x", extra=[slot("hash", "0" * 40)])
    assert answer.status == FAILURE
    assert [e.errorCode for e in answer.RegistryErrorList.RegistryError] == ["XDSRepositoryMetadataError"]
    assert site.found_ids(site.cx("CHUSE", "C1")) == set()

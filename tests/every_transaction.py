"""Every transaction, done once on its wire: what the test of their audit events plays."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

import httpx
from hl7.client import MLLPClient
from lxml import etree
from sqlalchemy import text

from ihe.caller import REGION as REGION_CALLER
from ihe.soap.envelope import soap_request
from ihe.soap.mtom import mtom_message
from ihe.store import audit
from ihe.transaction import SoapBinding
from ihe.values import PatientId
from mpi.transactions import iti10_pix_update_notification as iti10
from mpi.transactions import iti46_pix_update_notification_v3 as iti46
from region import document_notifications, fhir_subscriptions, notifications
from tests import xds_samples
from tests.e2e.test_document_subscriptions import Subscriber
from tests.e2e.test_documents_by_zeep import FIND_DOCUMENTS, MARIE, Site, uid
from tests.e2e.test_mhd_provide import CDA, binary, generate, one_document, post, reference
from tests.e2e.test_pictures_of_other_sites import _retrieve
from tests.fhir_wire import patient as fhir_patient
from tests.hl7v3_wire import PERSON, demographics_query, discovery, feed, ii, location_query, parameter, pix_query
from tests.imaging_region import Region
from tests.transactions.test_iti93_pmir_feed import entry as feed_entry
from tests.transactions.test_iti93_pmir_feed import message as feed_message
from tests.xds_wire_updates import new_version
from xds.domain.model import DocumentKind
from xds.transactions import iti53_document_metadata_notify as iti53
from xds.transactions import iti112_resource_notify as iti112
from xds.translate.ebxml_request import submission_request

APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"


@dataclass
class Played:
    """A service on whose wires everything was done once."""

    running: Any
    region: Region
    site: Site

    @property
    def base(self) -> str:
        return str(self.running.base_url)

    def oid(self, code: str) -> str:
        return str(self.running.table.by_code(code).oid)

    def token(self, code: str, value: str) -> str:
        return f"urn:oid:{self.oid(code)}|{value}"

    def v2(self, kind: str, version: str, *segments: str) -> None:
        head = f"MSH|^~\\&|GAM|TEST|IPR|R|20260116||{kind}|W{len(segments)}{hash(kind) % 10**8}|P|{version}"
        with MLLPClient(self.running.host, self.running.mllp_port) as client:
            answer = client.send_message("\r".join([head, *segments, ""]))
            assert b"MSA|AA" in answer, answer

    def pid(self, code: str, value: str) -> str:
        return f"{value}^^^{code}&{self.oid(code)}&ISO^PI"

    def soap(self, action: str, body: Any, path: str | None = None) -> str:
        """Send to where the action is served."""
        served = [
            binding.path
            for endpoint in self.running.service.endpoints
            for binding in endpoint.transaction.bindings
            if isinstance(binding, SoapBinding) and binding.action == action
        ]
        url = f"{self.base}{path or served[0]}"
        element = etree.fromstring(body) if isinstance(body, str | bytes) else body
        message = mtom_message(soap_request(action, url, element), [], action)
        sent = b"".join(message.body)
        answer = httpx.post(url, content=sent, headers={"Content-Type": message.content_type}, timeout=30)
        assert answer.status_code == 200, answer.text
        assert "ResponseStatusType:Failure" not in answer.text, answer.text
        return answer.text

    def get(self, path: str, **parameters: str) -> httpx.Response:
        answer = httpx.get(f"{self.base}{path}", params=parameters or None, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer

    def ask(self, action: str, query: str, *more: str, path: str | None = None, **slots: str) -> str:
        filled = "".join(
            f'<r:Slot name="${name}"><r:ValueList><r:Value>{escape(value)}</r:Value></r:ValueList></r:Slot>'
            for name, value in slots.items()
        )
        home = f' home="{more[0]}"' if more else ""
        body = (
            '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"'
            ' xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">'
            '<q:ResponseOption returnType="LeafClass" returnComposedObjects="true"/>'
            f'<r:AdhocQuery id="{query}"{home}>{filled}</r:AdhocQuery></q:AdhocQueryRequest>'
        )
        return self.soap(action, body, path)


def play_hl7v2(p: Played) -> None:
    person = f"PID|1||{p.pid('ROANNE', 'R7')}||{MARIE}"
    p.v2("ADT^A01", "2.3", "EVN||20260116", f"PID|1||{p.pid('ROANNE', 'R6')}||{MARIE}", "PV1|1|I")
    p.v2("ADT^A28^ADT_A05", "2.5", "EVN||20260116", person)
    p.v2("ADT^A40^ADT_A39", "2.5", "EVN||20260116", person, f"MRG|{p.pid('ROANNE', 'R6')}")
    p.v2("ADT^A01^ADT_A01", "2.5", "EVN||20260117", person, "PV1|1|I" + "|" * 17 + "77^^^ROANNE&1.2&ISO^VN")
    p.v2("QBP^Q23^QBP_Q21", "2.5", f"QPD|IHE PIX Query|T1|{p.pid('CHUSE', 'CHUSE1')}", "RCP|I")
    p.v2("QBP^Q22^QBP_Q21", "2.5", "QPD|IHE PDQ Query|T2|@PID.5.1^EXEMPLE~@PID.7.1^19480317", "RCP|I")
    p.v2("QBP^ZV1^QBP_Q21", "2.5", "QPD|IHE PDVQ Query|T3|@PID.5.1^EXEMPLE~@PV1.2^I", "RCP|I")


def play_hl7v3(p: Played) -> None:
    who = parameter("livingSubjectId", ii(p.oid("CHUSE"), "CHUSE1", "value"))
    p.soap("urn:hl7-org:v3:PRPA_IN201301UV02", feed("PRPA_IN201301UV02", ii(p.oid("ICL"), "V3"), PERSON))
    p.soap("urn:hl7-org:v3:PRPA_IN201309UV02", pix_query(ii(p.oid("CHUSE"), "CHUSE1", "value")))
    p.soap("urn:hl7-org:v3:PRPA_IN201305UV02", demographics_query(who), "/ihe/pdq")
    name = "<value><family>EXEMPLE</family><given>MARIE</given></value>"
    described = [parameter("livingSubjectName", name), parameter("livingSubjectBirthTime", '<value value="19480317"/>')]
    described.append(who)
    p.soap("urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery", discovery(*described), "/ihe/xcpd")
    located = location_query(ii(p.oid("CHUSE"), "CHUSE1", "RequestedPatientId"))
    p.soap("urn:ihe:iti:2009:PatientLocationQuery", located)


def play_fhir_patients(p: Played) -> None:
    someone = fhir_patient(p.oid("FIRMINY"), "F1", family="MODELE", given="PAULE", birth="1971-11-02")
    answer = httpx.put(f"{p.base}/fhir/Patient", params={"identifier": p.token("FIRMINY", "F1")}, json=someone)
    assert answer.status_code == 201, answer.text
    other = fhir_patient(p.oid("FIRMINY"), "F2", family="AUTRE", given="JEANNE", birth="1951-06-17")
    told = httpx.post(f"{p.base}/fhir/$process-message", json=feed_message(feed_entry("POST", "x1", other)))
    assert told.status_code == 200, told.text
    p.get("/fhir/Patient", identifier=p.token("CHUSE", "CHUSE1"))
    p.get("/fhir/Patient/$ihe-pix", sourceIdentifier=p.token("CHUSE", "CHUSE1"))
    asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": someone}]}
    assert httpx.post(f"{p.base}/fhir/Patient/$match", json=asked).status_code == 200
    for criteria in ("Patient", f"DocumentReference?patient.identifier={p.token('CHUSE', 'CHUSE1')}&status=current"):
        wish = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "a test",
            "criteria": criteria,
            "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/", "payload": "application/fhir+json"},
        }
        assert httpx.post(f"{p.base}/fhir/Subscription", json=wish).status_code == 201
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"identifier": {"system": f"urn:oid:{p.oid('FIRMINY')}", "value": "F1"}},
        "policyRule": {"text": "national"},
        "provision": {
            "type": "deny",
            "action": [
                {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "access"}]}
            ],
        },
    }
    answer = httpx.post(f"{p.base}/fhir/Consent", json=consent)
    assert answer.status_code == 201, answer.text
    p.get("/fhir/AuditEvent", date="ge2020-01-01")


def play_documents(p: Played) -> None:
    cx = p.site.cx("CHUSE", "CHUSE1")
    unique_id, answer = p.site.provide("CHUSE", "CHUSE1", b"a document")
    assert answer.status.endswith("Success"), answer
    who = PatientId.from_xds_cx(cx)
    entry = replace(xds_samples.entry("doc", who), source_patient_id=who)
    p.soap("urn:ihe:iti:2007:RegisterDocumentSet-b", submission_request(xds_samples.submission(who, entry)))
    made = replace(entry, object_type=DocumentKind.ON_DEMAND, creation_time=None, hash=None, size=None)
    made = replace(made, unique_id=xds_samples.fresh_oid())
    p.soap("urn:ihe:iti:2010:RegisterOnDemandDocumentEntry", submission_request(xds_samples.submission(who, made)))
    slots = {"XDSDocumentEntryPatientId": f"'{cx}'", "XDSDocumentEntryStatus": APPROVED}
    found = p.ask("urn:ihe:iti:2007:RegistryStoredQuery", FIND_DOCUMENTS, path="/ihe/registry", **slots)
    several = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"
    of_both = {
        **slots,
        "XDSDocumentEntryPatientId": f"('{cx}')",
        "XDSDocumentEntryClassCode": "('10^^1.2.250.1.213.1.1.4.1')",
    }
    p.ask("urn:ihe:iti:2009:MultiPatientStoredQuery", several, **of_both)
    home = f"urn:oid:{p.running.table.home_community_id}"
    p.ask("urn:ihe:iti:2007:CrossGatewayQuery", FIND_DOCUMENTS, home, **slots)
    own = str(p.running.table.by_code("REGION").repository_unique_id)
    for action, community in (
        ("urn:ihe:iti:2007:CrossGatewayRetrieve", f"<b:HomeCommunityId>{home}</b:HomeCommunityId>"),
        ("urn:ihe:iti:2007:RetrieveDocumentSet", ""),
    ):
        p.soap(
            action,
            f'<b:RetrieveDocumentSetRequest xmlns:b="urn:ihe:iti:xds-b:2007"><b:DocumentRequest>{community}'
            f"<b:RepositoryUniqueId>{own}</b:RepositoryUniqueId><b:DocumentUniqueId>{unique_id}</b:DocumentUniqueId>"
            "</b:DocumentRequest></b:RetrieveDocumentSetRequest>",
            "/ihe/repository" if not community else None,
        )
    with p.running.service.database.unit(REGION_CALLER) as uow:
        uuid = uow.connection.execute(
            text("SELECT id FROM document_entry WHERE unique_id = :id"), {"id": entry.unique_id}
        ).scalar_one()
    assert str(uuid) in found
    named = f"urn:uuid:{str(uuid).removeprefix('urn:uuid:')}"
    updated = new_version(replace(entry, source_patient_id=who), named)
    p.soap("urn:ihe:iti:2010:UpdateDocumentSet", submission_request(updated))
    again = new_version(replace(entry, source_patient_id=who), named, previous="2")
    p.soap("urn:ihe:iti:2018:RestrictedUpdateDocumentSet", submission_request(again))
    Subscriber(p.running).subscribe(
        "http://127.0.0.1:9/",
        "FullDocumentEntry",
        "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66",
        {"$XDSDocumentEntryPatientId": f"'{cx}'"},
    )
    play_removals(p, unique_id, own)


def play_removals(p: Played, unique_id: str, own: str) -> None:
    with p.running.service.database.unit(REGION_CALLER) as uow:
        ids = uow.connection.execute(
            text(
                "WITH e AS (SELECT id FROM document_entry WHERE unique_id = :id), a AS (SELECT id, source FROM"
                " association WHERE target IN (SELECT id FROM e))"
                " SELECT id FROM e UNION SELECT id FROM a UNION SELECT source FROM a"
            ),
            {"id": unique_id},
        ).scalars()
        references = "".join(f'<r:ObjectRef id="urn:uuid:{each}"/>' for each in ids)
    p.soap(
        "urn:ihe:iti:2010:DeleteDocumentSet",
        '<l:RemoveObjectsRequest xmlns:l="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"'
        f' xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><r:ObjectRefList>{references}</r:ObjectRefList>'
        "</l:RemoveObjectsRequest>",
    )
    p.soap(
        "urn:ihe:iti:2017:RemoveDocuments",
        '<m:RemoveDocumentsRequest xmlns:m="urn:ihe:iti:rmd:2017" xmlns:b="urn:ihe:iti:xds-b:2007"><b:DocumentRequest>'
        f"<b:RepositoryUniqueId>{own}</b:RepositoryUniqueId><b:DocumentUniqueId>{unique_id}</b:DocumentUniqueId>"
        "</b:DocumentRequest></m:RemoveDocumentsRequest>",
    )


def play_mhd(p: Played) -> None:
    token = p.token("CHUSE", "CHUSE1")
    found = p.get("/fhir/Patient", identifier=token).json()["entry"][0]["resource"]["id"]
    subject = f"Patient/{found}"
    answer = post(p.site, one_document(subject))
    assert answer.status_code == 200, answer.text
    p.get("/fhir/List", **{"patient.identifier": token, "code": "submissionset", "status": "current"})
    listed = p.get("/fhir/DocumentReference", **{"patient.identifier": token, "status": "current"}).json()
    urls = [each["resource"]["content"][0]["attachment"]["url"] for each in listed["entry"]]
    assert any(httpx.get(url, timeout=30).status_code == 200 for url in urls)
    full = reference(subject, None)
    attachment = full["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = base64.b64encode(b"%PDF-1.4 texte").decode()
    for name in ("hash", "size"):
        attachment.pop(name, None)
    answer = post(p.site, full, "/DocumentReference")
    assert answer.status_code == 201, answer.text

    cda = CDA.format(root=uid(), extension="CHUSE1", authority=p.oid("CHUSE")).replace(
        'extension="C1"', 'extension="CHUSE1"'
    )
    answer = generate(p.site, {**binary(cda.encode()), "contentType": "text/xml"})
    assert answer.status_code == 200, answer.text


def play_pictures(p: Played) -> None:
    source = str(p.running.table.by_code("CHUSE").imaging_source_id)
    series = p.region.study.series[0]
    picture = series.instances[0].sop_instance_uid
    own = f"urn:oid:{p.running.table.home_community_id}"
    _retrieve(p.region, (source, picture))
    _retrieve(
        p.region,
        (source, picture),
        action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
        path="/ihe/xcai",
        home=own,
    )
    assert httpx.get(p.region.instance, headers={"Accept": "application/dicom"}).status_code == 200
    asked = {"requestType": "WADO", "studyUID": p.region.study.uid, "seriesUID": series.uid, "objectUID": picture}
    assert httpx.get(f"{p.region.root}/wado", params=asked).status_code == 200
    assert httpx.get(f"{p.region.root}/studies", params={"PatientID": "ROANNE1"}).status_code == 200
    p.get("/priors", patient=f"{p.oid('ROANNE')}|ROANNE1")
    p.get("/fhir/ImagingStudy", **{"patient.identifier": p.token("ROANNE", "ROANNE1")})


def play_json(p: Played) -> None:
    pair = {"a": {"domain": "CHUSE", "local_id": "CHUSE1"}, "b": {"domain": "FIRMINY", "local_id": "F1"}}
    decided = httpx.post(f"{p.base}/api/links", json={**pair, "verdict": "different", "reason": "a test"})
    assert decided.status_code == 200, decided.text
    undone = httpx.post(f"{p.base}/api/events/{decided.json()['event_id']}/undo", json={"reason": "a test"})
    assert undone.status_code == 200, undone.text
    p.get("/api/explain", domain="CHUSE", local_id="CHUSE1")
    p.get("/api/summary")
    p.get("/fhir/metadata")


@dataclass
class _Event:
    """What stands in the outbox."""

    id: int = 7


def play_sent(p: Played) -> None:
    """What others are told is audited by the same lines as when it is delivered; delivery is tested elsewhere."""

    service = p.running.service
    who = PatientId.from_xds_cx(p.site.cx("CHUSE", "CHUSE1"))

    news: Any = SimpleNamespace(returned=SimpleNamespace(patient_id=who, object=SimpleNamespace(unique_id="2.25.7")))
    with service.database.unit(REGION_CALLER) as uow:
        event: Any = _Event()
        told = [
            notifications.pix_consumer(service.mpi, "ROANNE", iti10),
            notifications.pix_consumer(service.mpi, "ROANNE", iti46),
            notifications.link_registry(service.mpi, "other"),
        ]
        for each in told:
            audit.append(uow.connection, notifications._sent(uow, each, event, who))
        for transaction in (iti53.TRANSACTION, iti112.TRANSACTION):
            audit.append(uow.connection, document_notifications._sent(uow, transaction, event, news, "subscription 1"))
        fhir_subscriptions._record_sent(uow, event, who, "subscription 2")


PLAYS: tuple[Callable[[Played], None], ...] = (
    play_hl7v2,
    play_hl7v3,
    play_fhir_patients,
    play_documents,
    play_mhd,
    play_pictures,
    play_json,
    play_sent,
)

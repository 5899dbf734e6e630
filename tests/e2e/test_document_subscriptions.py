"""Subscribers to documents that listen are told by DSUB (zeep from our WSDL) and by rest-hook, from the outbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import zeep
from fhir.resources.R4B.documentreference import DocumentReference
from lxml import etree

from ihe.soap.wsdl import schema
from ihe.xml import NS, parse_xml, qname
from tests.e2e.test_documents_by_zeep import INS, MARIE, PAUL, Site
from tests.mllp_consumer import wait_for

OF_DOCUMENTS = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66"
OF_DOCUMENTS_OF_ALL = "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79"
OF_SETS = "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece"
WSNT = {"wsnt": NS.WSNT, "wsa": NS.WSA, "rim": NS.RIM, "xdsb": NS.XDSB, "lcm": NS.LCM}


class Consumer:
    """Listens for notifications and keeps them; fails with the statuses it is given first."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes]] = []
        self.statuses: list[int] = []
        consumer = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = consumer.statuses.pop(0) if consumer.statuses else 202
                if status < 400:
                    consumer.got.append((self.command, self.path, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = _take  # noqa: N815 (the names are the library's)

            def log_message(self, *_: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def notifications(self) -> list[etree._Element]:
        """The ``wsnt:Notify`` of each, valid against the schema."""
        valid = etree.XMLSchema(etree.fromstring(schema("wsnt.xsd") or b""))
        found = [parse_xml(body).find(qname(NS.SOAP, "Body"))[0] for _, _, body in self.got]
        for each in found:
            valid.assertValid(etree.fromstring(etree.tostring(each)))
        return found


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    found = Consumer()
    yield found
    found.server.shutdown()
    found.server.server_close()


class Subscriber:
    """A DSUB subscriber by zeep."""

    def __init__(self, running, **options: object) -> None:
        self.client = zeep.Client(f"{running.base_url}/wsdl/dsub.wsdl", **options)
        (self.binding,) = self.client.wsdl.bindings
        self.broker = self.client.service

    def subscribe(self, url: str, topic: str, query: str, slots: dict[str, str], **options: object):
        rim = f'xmlns="{NS.RIM}"'
        filled = "".join(
            f'<Slot name="{name}"><ValueList><Value>{value.replace("&", "&amp;")}</Value></ValueList></Slot>'
            for name, value in slots.items()
        )
        expression = etree.Element(qname(NS.WSNT, "TopicExpression"))
        expression.set("Dialect", "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple")
        expression.text = f"ihe:{topic}"
        address = etree.Element(qname(NS.WSA, "Address"))
        address.text = url
        query_element = etree.fromstring(f'<AdhocQuery {rim} id="{query}">{filled}</AdhocQuery>')
        return self.broker.DocumentMetadataNotificationBroker_SubscribeRequest(
            ConsumerReference={"_value_1": [address]}, Filter={"_value_1": [expression, query_element]}, **options
        )

    def manager(self, answer) -> zeep.proxy.ServiceProxy:
        (address,) = answer.SubscriptionReference._value_1
        return self.client.create_service(self.binding, address.text)


@pytest.fixture
def site(running) -> Site:
    found = Site(running)
    found.feed("CHUSE", "C1", MARIE, INS)
    found.feed("ROANNE", "R1", MARIE, INS)
    found.feed("ICL", "P1", PAUL)
    return found


def test_a_subscriber_hears_of_the_documents_of_its_patient_from_any_site(running, site, consumer):
    subscriber = Subscriber(running)
    of_marie = {"$XDSDocumentEntryPatientId": f"'{site.cx('CHUSE', 'C1')}'"}
    consumer.statuses = [503]
    subscriber.subscribe(f"{consumer.url}/full", "FullDocumentEntry", OF_DOCUMENTS, of_marie)
    subscriber.subscribe(f"{consumer.url}/minimal", "MinimalDocumentEntry", OF_DOCUMENTS, of_marie)
    of_sets = {"$XDSSubmissionSetPatientId": f"'{site.cx('ROANNE', 'R1')}'"}
    subscriber.subscribe(f"{consumer.url}/sets", "SubmissionSetMetadata", OF_SETS, of_sets)
    other = of_marie | {"$XDSDocumentEntryClassCode": "('11^^1.2.250.1.213.1.1.4.1')"}
    subscriber.subscribe(f"{consumer.url}/never", "FullDocumentEntry", OF_DOCUMENTS, other)

    site.provide("ICL", "P1", b"of somebody else")
    unique_id, _ = site.provide("ROANNE", "R1", b"of the patient")
    wait_for(lambda: len(consumer.got) >= 3)
    time.sleep(0.5)
    told = {path: each for (_, path, _), each in zip(consumer.got, consumer.notifications(), strict=True)}
    assert sorted(told) == ["/full", "/minimal", "/sets"]
    assert len(consumer.got) == 3

    full = told["/full"]
    assert full.findtext(".//wsnt:Topic", namespaces=WSNT) == "ihe:FullDocumentEntry"
    objects = full.find(".//lcm:SubmitObjectsRequest/rim:RegistryObjectList", WSNT)
    assert [etree.QName(each).localname for each in objects] == ["ExtrinsicObject", "RegistryPackage", "Association"]
    patient = objects.xpath(".//rim:ExternalIdentifier[@identificationScheme=$s]/@value", namespaces=WSNT,
                            s="urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427")  # fmt: skip
    assert patient == [site.cx("CHUSE", "C1")]
    minimal = told["/minimal"]
    assert minimal.findtext(".//xdsb:DocumentUniqueId", namespaces=WSNT) == unique_id
    assert minimal.find(".//rim:ExtrinsicObject", WSNT) is None
    listed = told["/sets"].find(".//rim:RegistryObjectList", WSNT)
    assert [etree.QName(each).localname for each in listed] == ["RegistryPackage"]


def test_a_subscription_is_renewed_ends_and_is_refused_by_the_faults_of_its_standard(running, site, consumer):
    subscriber = Subscriber(running)
    by_type = {"$XDSDocumentEntryTypeCode": "('18748-4^^2.16.840.1.113883.6.1')"}
    answer = subscriber.subscribe(
        consumer.url, "MinimalDocumentEntry", OF_DOCUMENTS_OF_ALL, by_type, InitialTerminationTime="PT1H"
    )
    assert answer.TerminationTime > answer.CurrentTime
    manager = subscriber.manager(answer)
    renewed = manager.DocumentMetadataNotificationBroker_RenewRequest(TerminationTime="2099-01-01T00:00:00Z")
    assert renewed.TerminationTime.year == 2099
    site.provide("ICL", "P1", b"one")
    wait_for(lambda: len(consumer.got) == 1)
    manager.DocumentMetadataNotificationBroker_UnsubscribeRequest()
    site.provide("ICL", "P1", b"two")
    for name, refused in {
        "ResourceUnknownFault": manager.DocumentMetadataNotificationBroker_UnsubscribeRequest,
        "TopicNotSupportedFault": lambda: subscriber.subscribe(consumer.url, "Weather", OF_DOCUMENTS, {}),
        "InvalidFilterFault": lambda: subscriber.subscribe(consumer.url, "FullDocumentEntry", OF_DOCUMENTS_OF_ALL, {}),
        "UnacceptableInitialTerminationTimeFault": lambda: subscriber.subscribe(
            consumer.url, "FullDocumentEntry", OF_DOCUMENTS_OF_ALL, by_type, InitialTerminationTime="2001-01-01T00:00Z"
        ),
        "SubscribeCreationFailedFault": lambda: subscriber.subscribe(
            "mailto:somebody", "FullDocumentEntry", OF_DOCUMENTS_OF_ALL, by_type
        ),
    }.items():
        with pytest.raises(zeep.exceptions.Fault) as fault:
            refused()
        assert etree.QName(fault.value.detail[0]).localname == name, fault.value
    time.sleep(1.5)
    assert len(consumer.got) == 1


def test_a_fhir_subscriber_hears_of_documents_by_rest_hook(running, site, consumer):
    url = f"{running.base_url}/fhir/Subscription"
    chu = running.table.by_code("CHUSE").oid.urn

    def wish(criteria: str, **channel: str) -> dict[str, object]:
        return {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "a test",
            "criteria": criteria,
            "channel": {"type": "rest-hook", "endpoint": consumer.url, **channel},
        }

    of_marie = f"DocumentReference?patient.identifier={chu}|C1&status=current"
    made = httpx.post(url, json=wish(of_marie, payload="application/fhir+json"))
    assert made.status_code == 201, made.text
    assert made.json()["status"] == "active"
    news = httpx.post(url, json=wish(f"{of_marie}&category=http://nobody.example|x"))
    assert news.status_code == 201
    assert httpx.post(url, json=wish("DocumentReference?status=current")).status_code == 400
    assert httpx.post(url, json=wish("Observation?code=1")).status_code == 422

    site.provide("ICL", "P1", b"of somebody else")
    site.provide("ROANNE", "R1", b"of the patient")
    wait_for(lambda: bool(consumer.got))
    time.sleep(0.5)
    ((method, path, body),) = consumer.got
    assert method == "PUT"
    told = DocumentReference.model_validate_json(body)
    assert path == f"/DocumentReference/{told.id}"
    assert httpx.get(made.headers["location"]).json()["id"] == made.json()["id"]
    assert httpx.delete(made.headers["location"]).status_code == 204
    assert httpx.get(made.headers["location"]).status_code == 404

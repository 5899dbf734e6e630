"""PIX update notifications over HL7 v3 (ITI-46) arrive at a real listening consumer, valid against the schemas."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from lxml import etree

from ihe.errors import Conflict, Unavailable
from ihe.soap.client import SoapClient
from ihe.soap.envelope import soap_response_text
from ihe.values import Oid
from ihe.xml import NS, parse_xml, qname, serialize
from mpi.translate.hl7v3_message import acknowledge
from region.region_table import RegionTable, SoapNotification, load_region
from tests.e2e.conftest import REGION
from tests.hl7v3_wire import Answer, feed, ii, message
from tests.mllp_consumer import wait_for

ADD = "PRPA_IN201301UV02"
DEVICE = Oid("1.2.250.9.7")


class Consumer:
    """A hospital system that listens for SOAP notifications and keeps them."""

    def __init__(self) -> None:
        self.received: list[Answer] = []
        self.status = 200
        consumer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                body = parse_xml(data).find(qname(NS.SOAP, "Body"))[0]
                answer = soap_response_text("urn:hl7-org:v3:MCCI_IN000002UV01", None, acknowledge(body))
                if consumer.status == 200:
                    consumer.received.append(Answer(etree.fromstring(serialize(body))))
                self.send_response(consumer.status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                return None

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/consumer"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Consumer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    with Consumer() as found:
        yield found


def test_each_change_of_identifiers_arrives_once_and_valid(consumer, start, shared_folder):
    table = load_region(REGION)
    told = SoapNotification(True, consumer.url, DEVICE)
    domains = tuple(replace(d, notification_v3=told) if d.code == "ROANNE" else d for d in table)
    roanne, chu = (str(table.by_code(code).oid) for code in ("ROANNE", "CHUSE"))
    with start(RegionTable(table.name, table.home_community_id, domains, table.registries)) as running:
        client = SoapClient(f"{running.base_url}/ihe/pix")
        consumer.status = 503
        for oid, value in ((roanne, "R1"), (chu, "C1")):
            answer = client.send(f"urn:hl7-org:v3:{ADD}", parse_xml(feed(ADD, ii(oid, value))))
            assert Answer(answer).status == ("AA", "")
        consumer.status = 200
        wait_for(lambda: any("C1" in each.ids for each in consumer.received))
        client.close()
    last = consumer.received[-1]
    assert last.ids[:2] == ["R1", "C1"]
    assert last.ids[2].startswith("TDU")
    assert last.values("v:receiver/v:device/v:id/@root") == [DEVICE]
    assert last.values("v:sender/v:device/v:id/@root") == [str(table.home_community_id)]
    assert [each.faults(shared_folder) for each in consumer.received] == [[]] * len(consumer.received)


def test_what_a_client_makes_of_answers(consumer, running):
    consumer.status = 500
    for url, kind in (
        (consumer.url, Unavailable),
        ("http://127.0.0.1:1/", Unavailable),
        (f"{running.base_url}/ihe/pix", Conflict),
    ):
        with SoapClient(url) as client, pytest.raises(kind):
            client.send("urn:unknown", parse_xml(message(ADD, "")))

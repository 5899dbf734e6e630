"""Requests of every kind are answered at an address of the asker's own (WS-Addressing ReplyTo), and none is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import httpx
import pytest
from lxml import etree

from ihe.callbacks import CallbackRule
from ihe.soap.envelope import soap_request
from ihe.soap.mtom import MessageReader, simple_message
from ihe.soap.sinks import SpoolSink
from ihe.xml import NS, PREFIXES, parse_xml, qname
from region.region_table import load_region
from tests.e2e.conftest import REGION, Running, serving
from tests.e2e.test_documents_by_zeep import APPROVED, FIND_DOCUMENTS, MARIE, SUCCESS, Site
from tests.hl7v3_wire import Answer, feed, ii, pix_query
from tests.mllp_consumer import wait_for
from tests.ports import free_port

ADD = "PRPA_IN201301UV02"
WSA = {"wsa": NS.WSA}


class Received:
    """One message that an asker got."""

    def __init__(self, content_type: str, data: bytes) -> None:
        reader = MessageReader(content_type, SpoolSink)
        reader.feed(data)
        message = reader.close()
        self.envelope = message.root
        self.documents = [found.sink.path.read_bytes() for found in message.attachments.values()]
        reader.discard()

    def value(self, path: str) -> str:
        return str(self.envelope.xpath(f"string({path})", namespaces=PREFIXES))

    @property
    def body(self) -> etree._Element:
        return self.envelope.find(qname(NS.SOAP, "Body"))[0]


class Asker:
    """Listens for answers on a port of its own."""

    def __init__(self, port: int | None = None) -> None:
        self.received: list[Received] = []
        asker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = self.headers["content-length"]
                data = self.rfile.read(int(length)) if length else b"".join(self.chunks())
                asker.received.append(Received(self.headers["content-type"], data))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def chunks(self) -> Iterator[bytes]:
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            def log_message(self, *_: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", port or 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/answers"

    def __enter__(self) -> Asker:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer_to(self, message_id: str, seconds: float = 60) -> Received:
        def found() -> list[Received]:
            return [each for each in self.received if each.value("//wsa:RelatesTo") == message_id]

        wait_for(lambda: bool(found()), seconds)
        (one,) = found()
        return one


@pytest.fixture
def asker() -> Iterator[Asker]:
    with Asker() as asker:
        yield asker


def ask(running: Running, path: str, action: str, body: bytes | etree._Element, to: str, fault_to: str = ""):
    """Send a request that is answered elsewhere; returns its message id and the HTTP answer."""
    message_id = uuid4().urn
    element = parse_xml(body) if isinstance(body, bytes) else body
    envelope = soap_request(action, f"{running.base_url}{path}", element, message_id)
    envelope.find(".//wsa:ReplyTo/wsa:Address", WSA).text = to
    if fault_to:
        block = etree.SubElement(envelope[0], qname(NS.WSA, "FaultTo"))
        etree.SubElement(block, qname(NS.WSA, "Address")).text = fault_to
    message = simple_message(envelope, action)
    reply = httpx.post(
        f"{running.base_url}{path}", content=message.body, headers={"content-type": message.content_type}, timeout=60
    )
    return message_id, reply


def taken(running: Running, path: str, action: str, body: bytes | etree._Element, to: str, fault_to: str = "") -> str:
    message_id, reply = ask(running, path, action, body, to, fault_to)
    assert (reply.status_code, reply.content) == (202, b"")
    return message_id


def v3(name: str) -> str:
    return f"urn:hl7-org:v3:{name}"


def stored_query(cx: str) -> bytes:
    def slot(name: str, value: str) -> str:
        return f'<Slot name="{name}"><ValueList><Value>{value}</Value></ValueList></Slot>'

    quoted = cx.replace("&", "&amp;")
    return f"""<q:AdhocQueryRequest xmlns:q="{NS.QUERY}" xmlns="{NS.RIM}">
      <q:ResponseOption returnType="LeafClass" returnComposedObjects="true"/>
      <AdhocQuery id="{FIND_DOCUMENTS}">{slot("$XDSDocumentEntryPatientId", f"'{quoted}'")}
      {slot("$XDSDocumentEntryStatus", APPROVED)}</AdhocQuery></q:AdhocQueryRequest>""".encode()


def retrieve(repository: str, document: str, home: str = "") -> bytes:
    named = f"<HomeCommunityId>{home}</HomeCommunityId>" if home else ""
    return f"""<RetrieveDocumentSetRequest xmlns="{NS.XDSB}"><DocumentRequest>{named}
      <RepositoryUniqueId>{repository}</RepositoryUniqueId><DocumentUniqueId>{document}</DocumentUniqueId>
      </DocumentRequest></RetrieveDocumentSetRequest>""".encode()


def test_a_change_and_a_question_over_hl7v3(running, asker, shared_folder):
    roanne = str(running.table.by_code("ROANNE").oid)
    fed = taken(running, "/ihe/pix", v3(ADD), feed(ADD, ii(roanne, "R1")), asker.url)
    answer = asker.answer_to(fed)
    assert answer.value("//wsa:Action") == v3("MCCI_IN000002UV01")
    assert answer.value("//wsa:To") == asker.url
    assert Answer(answer.body).status == ("AA", "")
    query = v3("PRPA_IN201309UV02")
    asked = taken(running, "/ihe/pix", query, pix_query(ii(roanne, "R1", "value")), asker.url)
    found = Answer(asker.answer_to(asked).body)
    assert (found.status[0], found.faults(shared_folder)) == ("AA", [])
    unknown = taken(running, "/ihe/pix", query, pix_query(ii(roanne, "NOBODY", "value")), asker.url)
    assert Answer(asker.answer_to(unknown).body).conditions == ["204"]


def test_documents_are_found_and_come_as_they_are(running, asker):
    site = Site(running)
    site.feed("ROANNE", "R1", MARIE)
    content = bytes(range(256)) * 5000
    unique_id, _ = site.provide("ROANNE", "R1", content)
    home = running.table.home_community_id.urn
    repository = str(running.table.region.repository_unique_id)
    for path, action in (
        ("/ihe/registry", "urn:ihe:iti:2007:RegistryStoredQuery"),
        ("/ihe/xca", "urn:ihe:iti:2007:CrossGatewayQuery"),
    ):
        answer = asker.answer_to(taken(running, path, action, stored_query(site.cx("ROANNE", "R1")), asker.url))
        assert answer.value("//wsa:Action") == f"{action}Response"
        assert answer.body.get("status") == SUCCESS
        assert unique_id in etree.tostring(answer.body, encoding="unicode")
    for path, action, request in (
        ("/ihe/repository", "urn:ihe:iti:2007:RetrieveDocumentSet", retrieve(repository, unique_id)),
        ("/ihe/xca", "urn:ihe:iti:2007:CrossGatewayRetrieve", retrieve(repository, unique_id, home)),
    ):
        answer = asker.answer_to(taken(running, path, action, request, asker.url))
        assert answer.value("//wsa:Action") == f"{action}Response"
        assert answer.documents == [content]


def test_a_fault_goes_where_faults_are_wanted(running, asker):
    with Asker() as troubled:
        unknown = b'<q:PatientLocationQueryRequest xmlns:q="urn:ihe:iti:xcpd:2009"/>'
        action = "urn:ihe:iti:2009:PatientLocationQuery"
        asked = taken(running, "/ihe/xcpd", action, unknown, asker.url, troubled.url)
        assert etree.QName(troubled.answer_to(asked).body).localname == "Fault"
    assert asker.received == []


def test_an_answer_outlives_the_service_and_the_absence_of_its_asker(database_url, tmp_path):
    table = load_region(REGION)
    roanne = str(table.by_code("ROANNE").oid)
    port = free_port()
    away = f"http://127.0.0.1:{port}/answers"
    with serving(database_url, table, tmp_path / "documents") as running:
        fed = taken(running, "/ihe/pix", v3(ADD), feed(ADD, ii(roanne, "R1")), away)
        asked = taken(running, "/ihe/pix", v3("PRPA_IN201309UV02"), pix_query(ii(roanne, "R1", "value")), away)
    with Asker(port) as back, serving(database_url, table, tmp_path / "documents"):
        assert Answer(back.answer_to(fed, 120).body).status == ("AA", "")
        assert Answer(back.answer_to(asked, 120).body).status[0] == "AA"


def test_an_asker_that_is_away_delays_no_other(running, asker):
    roanne = str(running.table.by_code("ROANNE").oid)
    away = f"http://127.0.0.1:{free_port()}/answers"
    for _ in range(5):
        taken(running, "/ihe/pix", v3("PRPA_IN201309UV02"), pix_query(ii(roanne, "R1", "value")), away)
    asked = taken(running, "/ihe/pix", v3("PRPA_IN201309UV02"), pix_query(ii(roanne, "R1", "value")), asker.url)
    assert Answer(asker.answer_to(asked).body).conditions == ["204"]


def test_only_addresses_that_may_be_written_to(database_url, tmp_path, asker):
    rule = CallbackRule((f"{asker.url}/ours",))
    roanne_query = pix_query(ii("1.2.3", "1", "value"))
    with serving(database_url, load_region(REGION), tmp_path, callbacks=rule) as running:
        for to, fault_to in ((asker.url, ""), (f"{asker.url}/ours", asker.url), ("ftp://x/", "")):
            _, reply = ask(running, "/ihe/pix", v3("PRPA_IN201309UV02"), roanne_query, to, fault_to)
            assert reply.status_code == 400
            assert "OnlyAnonymousAddressSupported" in reply.text
        asked = taken(running, "/ihe/pix", v3("PRPA_IN201309UV02"), roanne_query, f"{asker.url}/ours")
        asker.answer_to(asked)


def test_a_question_too_long_to_wait_is_refused_at_once(running, asker):
    data = pix_query(ii("1.2.3", "1" * 1_100_000, "value"))
    _, reply = ask(running, "/ihe/pix", v3("PRPA_IN201309UV02"), data, asker.url)
    assert reply.status_code in (400, 413)
    assert etree.QName(parse_xml(reply.content)[1][0]).localname == "Fault"

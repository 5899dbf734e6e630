"""The endpoint: every answer is SOAP, documents stream through, and nothing is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from lxml import etree
from starlette.types import Message

from ihe.errors import MissingElement, Unavailable
from ihe.peer import Peer
from ihe.soap.envelope import SoapReply, SoapRequest, read_envelope, soap_request
from ihe.soap.fault import FAULT_ACTION
from ihe.soap.http import SoapEndpoint
from ihe.soap.mtom import (
    DEFAULT_MESSAGE_LIMITS,
    MessageLimits,
    MessageReader,
    OutgoingMessage,
    mtom_message,
    simple_message,
    xop_include,
)
from ihe.soap.multipart import OutgoingPart
from ihe.soap.sinks import SinkFactory, SpoolSink
from ihe.transaction import SoapBinding
from ihe.xml import NS, PREFIXES, Element, XmlLimits, parse_xml, qname

ASK = SoapBinding("/ihe/x", "urn:ask", "urn:askResponse", "{urn:x}ask", "{urn:x}answer")
FETCH = SoapBinding("/ihe/x", "urn:fetch", "urn:fetchResponse", "{urn:x}fetch", "{urn:x}answer", mtom=True)
DOCUMENT = qname(NS.XDSB, "Document")


def answer(request: SoapRequest, peer: Peer) -> SoapReply:
    return SoapReply(etree.Element("{urn:x}answer"))


def endpoint(
    handle: Callable[[SoapRequest, Peer], SoapReply] = answer,
    open_sink: SinkFactory = SpoolSink,
    limits: MessageLimits = DEFAULT_MESSAGE_LIMITS,
) -> SoapEndpoint:
    return SoapEndpoint([ASK, FETCH], handle, open_sink=open_sink, limits=limits)


def post(app: SoapEndpoint, message: OutgoingMessage | tuple[str, bytes], **headers: str) -> httpx.Response:
    if isinstance(message, OutgoingMessage):
        body = message.body if isinstance(message.body, bytes) else b"".join(message.body)
        message = (message.content_type, body)
    content_type, body = message

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://host") as client:
            return await client.post("/ihe/x", content=pieces(), headers={"content-type": content_type, **headers})

    return asyncio.run(call())


def envelope(action: str = "urn:ask", name: str = "ask", *documents: Element) -> Element:
    body = etree.Element(f"{{urn:x}}{name}")
    for document in documents:
        etree.SubElement(body, DOCUMENT).append(document)
    return soap_request(action, "http://host/ihe/x", body, "urn:uuid:1")


def text(response: httpx.Response, path: str) -> str:
    return str(parse_xml(response.content).xpath(f"string({path})", namespaces=PREFIXES))


def test_a_simple_answer_says_what_it_answers() -> None:
    response = post(endpoint(), simple_message(envelope()))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/soap+xml; charset=UTF-8")
    assert text(response, "//wsa:Action") == "urn:askResponse"
    assert text(response, "//wsa:RelatesTo") == "urn:uuid:1"
    assert len(parse_xml(response.content).xpath("//soap:Body/x:answer", namespaces={**PREFIXES, "x": "urn:x"})) == 1


def test_the_handler_is_told_who_calls() -> None:
    told: list[Peer] = []

    def handle(request: SoapRequest, peer: Peer) -> SoapReply:
        told.append(peer)
        return SoapReply()

    response = post(endpoint(handle), simple_message(envelope()), authorization="Bearer x")
    assert (response.status_code, response.content) == (202, b"")
    assert told[0].headers["authorization"] == "Bearer x"
    assert told[0].host == "127.0.0.1"


def test_an_operation_declared_so_answers_in_mtom_without_any_document() -> None:
    response = post(endpoint(), simple_message(envelope("urn:fetch", "fetch")))
    assert response.headers["content-type"].startswith("multipart/related")
    assert int(response.headers["content-length"]) == len(response.content)
    reader = MessageReader(response.headers["content-type"], SpoolSink)
    reader.feed(response.content)
    message = reader.close()
    assert read_envelope(message.root).action == "urn:fetchResponse"


def test_documents_go_in_and_come_out(tmp_path: Path) -> None:
    contents = [os.urandom(1_000_000), b"small", b""]
    seen: list[bytes] = []

    def handle(request: SoapRequest, peer: Peer) -> SoapReply:
        body = etree.Element("{urn:x}answer")
        parts = []
        for element in request.body_element.iter(DOCUMENT):
            found = request.attachment(element)
            assert isinstance(found.sink, SpoolSink)
            content = found.sink.path.read_bytes()
            assert found.facts.sha256 == hashlib.sha256(content).hexdigest()
            seen.append(content)
            etree.SubElement(body, DOCUMENT).append(xop_include(found.content_id))
            parts.append(OutgoingPart(found.content_id, found.mime_type, [content[:10], content[10:]], len(content)))
        return SoapReply(body, attachments=tuple(parts))

    root = envelope("urn:ask", "ask", *(xop_include(f"{n}@x") for n in range(3)))
    parts = [OutgoingPart(f"{n}@x", "text/plain", [content]) for n, content in enumerate(contents)]
    response = post(endpoint(handle, partial(SpoolSink, tmp_path)), mtom_message(root, parts))
    assert seen == contents
    assert list(tmp_path.iterdir()) == []
    reader = MessageReader(response.headers["content-type"], partial(SpoolSink, tmp_path))
    reader.feed(response.content)
    found = reader.close().attachments
    assert [found[f"{n}@x"].facts.size for n in range(3)] == [1_000_000, 5, 0]
    reader.discard()


def failing(error: Exception) -> SoapEndpoint:
    def handle(request: SoapRequest, peer: Peer) -> SoapReply:
        raise error

    return endpoint(handle)


def test_a_refusal_is_a_fault() -> None:
    response = post(failing(MissingElement("the id is missing", "/id")), simple_message(envelope()))
    assert response.status_code == 400
    assert text(response, "//soap:Reason/soap:Text") == "the id is missing (at /id)"
    assert text(response, "//soap:Code/soap:Value") == "soap:Sender"
    assert text(response, "//wsa:Action") == FAULT_ACTION
    assert text(response, "//wsa:RelatesTo") == "urn:uuid:1"
    assert post(failing(Unavailable("later")), simple_message(envelope())).status_code == 503


def test_what_nobody_foresaw_is_a_fault_without_details(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = post(failing(ValueError("DUPONT")), simple_message(envelope()))
    assert response.status_code == 500
    assert text(response, "//soap:Code/soap:Value") == "soap:Receiver"
    assert text(response, "//soap:Reason/soap:Text").startswith("internal error; reference ")
    assert "DUPONT" not in response.text + caplog.text


def test_a_store_that_takes_nothing_is_unavailable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    message = mtom_message(envelope("urn:ask", "ask", xop_include("d")), [OutgoingPart("d", "a/b", [b"content"])])
    response = post(endpoint(open_sink=partial(SpoolSink, tmp_path / "absent")), message)
    assert response.status_code == 503
    assert "documents cannot be stored now" in response.text


@pytest.mark.parametrize(
    ("root", "subcode"),
    [
        (envelope("urn:other"), "wsa:ActionNotSupported"),
        (envelope("urn:fetch", "ask"), ""),
    ],
)
def test_what_is_not_offered_is_a_fault(root: Element, subcode: str) -> None:
    response = post(endpoint(), simple_message(root))
    assert response.status_code == 400
    assert text(response, "//soap:Subcode/soap:Value") == subcode


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/soap+xml", b"", 400),
        ("application/soap+xml", b"<a/>", 400),
        ("application/soap+xml", b"\x00\xff", 400),
        ("application/soap+xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", 400),
        ("application/soap+xml", b"<a>" * 10_000, 400),
        ("application/soap+xml; charset=ebcdic", b"<a/>", 400),
        ("application/json", b"{}", 415),
        ("text/xml", b"<a/>", 400),
        ("multipart/related", b"", 400),
        ("multipart/related; boundary=b", b"--b\r\n", 400),
        ("", b"", 415),
    ],
)
def test_bad_input_is_the_senders_fault(content_type: str, body: bytes, status: int) -> None:
    response = post(endpoint(), (content_type, body))
    assert response.status_code == status
    assert response.headers["content-type"].startswith("application/soap+xml")
    assert text(response, "//soap:Code/soap:Value") in ("soap:Sender", "soap:VersionMismatch")


def test_compressed_bodies_and_other_methods_are_refused() -> None:
    assert post(endpoint(), simple_message(envelope()), **{"content-encoding": "gzip"}).status_code == 415

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint()), base_url="http://host") as client:
            return await client.get("/ihe/x")

    response = asyncio.run(call())
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert text(response, "//soap:Code/soap:Value") == "soap:Sender"


def test_limits_are_refused_before_the_end(tmp_path: Path) -> None:
    limits = MessageLimits(XmlLimits(bytes=10_000), total_bytes=1_000_000)
    message = mtom_message(envelope("urn:ask", "ask", xop_include("d")), [OutgoingPart("d", "a/b", [b"x" * 2_000_000])])
    app = endpoint(open_sink=partial(SpoolSink, tmp_path), limits=limits)
    response = post(app, message)
    assert (response.status_code, list(tmp_path.iterdir())) == (400, [])
    assert "exceeds 1000000 bytes" in response.text
    declared = post(app, simple_message(envelope()), **{"content-length": "9" * 30})
    assert "exceeds 1000000 bytes" in declared.text


def _scope(content_type: str) -> dict[str, object]:
    headers = [(b"content-type", content_type.encode())]
    return {"type": "http", "method": "POST", "path": "/ihe/x", "headers": headers, "client": None}


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    message = mtom_message(envelope("urn:ask", "ask", xop_include("d")), [OutgoingPart("d", "a/b", [b"x" * 1_000_000])])
    assert not isinstance(message.body, bytes)
    sent: list[Message] = []
    during: list[int] = []
    pieces = iter([*message.body][:-2])

    async def receive() -> Message:
        during.append(len(list(tmp_path.iterdir())))
        piece = next(pieces, None)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(event: Message) -> None:
        sent.append(event)

    app = endpoint(open_sink=partial(SpoolSink, tmp_path))
    asyncio.run(app(_scope(message.content_type), receive, send))
    assert max(during) == 1
    assert (sent, list(tmp_path.iterdir())) == ([], [])


def test_a_cancelled_upload_leaves_nothing_though_a_thread_is_at_it(tmp_path: Path) -> None:
    message = mtom_message(envelope("urn:ask", "ask", xop_include("d")), [OutgoingPart("d", "a/b", [b"x" * 1_000_000])])
    assert not isinstance(message.body, bytes)
    data = b"".join(message.body)
    at_it, go_on = threading.Event(), threading.Event()
    opened: list[SpoolSink] = []

    def open_sink() -> SpoolSink:
        at_it.set()
        assert go_on.wait(10)
        opened.append(SpoolSink(tmp_path))
        return opened[-1]

    async def call() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": data[:-10], "more_body": True}

        async def send(event: Message) -> None:
            raise AssertionError("no answer")

        task = asyncio.create_task(endpoint(open_sink=open_sink)(_scope(message.content_type), receive, send))
        await asyncio.to_thread(at_it.wait, 10)
        task.cancel()
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert len(opened) == 1

    asyncio.run(call())
    assert list(tmp_path.iterdir()) == []


class Chunks:
    """A large document that is never whole in memory."""

    def __init__(self, size: int, fail_at: int = -1) -> None:
        self.size = size
        self.read = 0
        self.closed = False
        self._fail_at = fail_at

    def __iter__(self) -> Iterator[bytes]:
        block = bytes(range(256)) * 1024
        while self.read < self.size:
            if self.read >= self._fail_at >= 0:
                raise OSError("DUPONT")
            self.read += len(block)
            yield block

    def close(self) -> None:
        self.closed = True


def fetched(chunks: Chunks) -> SoapEndpoint:
    def handle(request: SoapRequest, peer: Peer) -> SoapReply:
        body = etree.Element("{urn:x}answer")
        etree.SubElement(body, DOCUMENT).append(xop_include("d"))
        return SoapReply(body, attachments=(OutgoingPart("d", "a/b", chunks, chunks.size),))

    return endpoint(handle)


async def _fetch(app: SoapEndpoint, take: Callable[[Message], None], gone: asyncio.Event | None = None) -> None:
    message = simple_message(envelope("urn:fetch", "fetch"))
    events = iter([{"type": "http.request", "body": message.body, "more_body": False}])

    async def receive() -> Message:
        event = next(events, None)
        if event is None:
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}
        return event

    async def send(event: Message) -> None:
        take(event)
        await asyncio.sleep(0)

    await app(_scope(message.content_type), receive, send)


def test_a_document_of_any_size_passes_in_constant_memory(tmp_path: Path) -> None:
    size = 256 * 1024 * 1024
    chunks = Chunks(size)
    received = 0
    reader: MessageReader | None = None

    def take(event: Message) -> None:
        nonlocal received, reader
        if event["type"] == "http.response.start":
            content_type = dict(event["headers"])[b"content-type"].decode()
            reader = MessageReader(content_type, partial(SpoolSink, tmp_path))
        else:
            assert reader is not None
            received += len(event["body"])
            reader.feed(event["body"])

    tracemalloc.start()
    try:
        asyncio.run(_fetch(fetched(chunks), take))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reader is not None
    assert reader.close().attachments["d"].facts.size == size
    reader.discard()
    assert received > size
    assert chunks.closed
    assert peak < 8 * 1024 * 1024


def test_a_receiver_that_goes_away_stops_the_sending() -> None:
    chunks = Chunks(256 * 1024 * 1024)

    async def call() -> None:
        gone = asyncio.Event()
        await _fetch(fetched(chunks), lambda event: gone.set(), gone)

    asyncio.run(call())
    assert chunks.closed
    assert chunks.read < 16 * 1024 * 1024


def test_a_document_that_cannot_be_read_to_its_end_cuts_the_answer_off(caplog: pytest.LogCaptureFixture) -> None:
    chunks = Chunks(8 * 1024 * 1024, fail_at=2 * 1024 * 1024)
    events: list[Message] = []
    asyncio.run(_fetch(fetched(chunks), events.append))
    assert events[-1].get("more_body") is True
    assert chunks.closed
    assert "unforeseen failure" in caplog.text
    assert "DUPONT" not in caplog.text


def test_a_small_document_that_cannot_be_read_is_a_fault() -> None:
    chunks = Chunks(100, fail_at=0)
    response = post(fetched(chunks), simple_message(envelope("urn:fetch", "fetch")))
    assert response.status_code == 503
    assert chunks.closed


def test_requests_are_served_in_the_threads_given() -> None:
    names: list[str] = []

    def handle(request: SoapRequest, peer: Peer) -> SoapReply:
        names.append(threading.current_thread().name)
        return SoapReply()

    with ThreadPoolExecutor(1, thread_name_prefix="soap") as executor:
        post(SoapEndpoint([ASK], handle, executor), simple_message(envelope()))
    assert names[0].startswith("soap")


def elsewhere(message_id: str = "urn:uuid:1", **addresses: str) -> OutgoingMessage:
    root = soap_request("urn:ask", "http://host/ihe/x", etree.Element("{urn:x}ask"), message_id or None)
    header = root.find(qname(NS.SOAP, "Header"))
    assert header is not None
    for name in ("ReplyTo", "FaultTo"):
        for block in header.findall(qname(NS.WSA, name)):
            header.remove(block)
    if not message_id:
        header.remove(header.find(qname(NS.WSA, "MessageID")))
    for name, address in addresses.items():
        etree.SubElement(etree.SubElement(header, qname(NS.WSA, name)), qname(NS.WSA, "Address")).text = address
    return simple_message(root)


def test_a_request_that_is_answered_elsewhere_is_taken_with_an_empty_202() -> None:
    taken: list[tuple[SoapRequest, SoapBinding]] = []
    app = SoapEndpoint([ASK], answer, later=lambda request, _peer, binding: taken.append((request, binding)))
    response = post(app, elsewhere(ReplyTo="http://asker/"))
    assert (response.status_code, response.content) == (202, b"")
    ((request, binding),) = taken
    assert (request.answer_address, binding) == ("http://asker/", ASK)


@pytest.mark.parametrize(
    ("app", "message", "subcode"),
    [
        (endpoint(), elsewhere(ReplyTo="http://asker/"), "OnlyAnonymousAddressSupported"),
        (endpoint(), elsewhere(FaultTo="http://asker/"), "OnlyAnonymousAddressSupported"),
        (
            SoapEndpoint([ASK], answer, later=lambda *_: None),
            elsewhere("", ReplyTo="http://asker/"),
            "MessageAddressingHeaderRequired",
        ),
    ],
)
def test_one_that_cannot_be_answered_there_is_a_fault_at_once(
    app: SoapEndpoint, message: OutgoingMessage, subcode: str
) -> None:
    response = post(app, message)
    assert response.status_code == 400
    assert text(response, "//wsa:Action") == f"{NS.WSA}/fault"
    assert subcode in response.text

"""Hostile and broken requests over real sockets: each gets the wire's own error, and the service goes on."""

from __future__ import annotations

import select
import socket

import httpx
import pytest
from lxml import etree

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"


def envelope(body: str, action: str = ACTION, prologue: str = "") -> bytes:
    return (
        f'{prologue}<s:Envelope xmlns:s="{SOAP}" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>'
        f'<a:Action s:mustUnderstand="true">{action}</a:Action></s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
BOUNDARY = "b0undary"


def multipart(*parts: tuple[str, bytes], end: bool = True) -> tuple[str, bytes]:
    body = b""
    for content_id, content in parts:
        body += f"--{BOUNDARY}\r\nContent-ID: <{content_id}>\r\n".encode()
        body += b'Content-Type: application/xop+xml; type="application/soap+xml"\r\n\r\n' + content + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode() if end else b""
    kind = f'multipart/related; boundary={BOUNDARY}; type="application/xop+xml"; start="<root>"'
    return kind + '; start-info="application/soap+xml"', body


XOP = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:missing"/>'
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
REQUEST = (
    '<p:ProvideAndRegisterDocumentSetRequest xmlns:p="urn:ihe:iti:xds-b:2007"><p:Document id="d">'
    f"{XOP}</p:Document></p:ProvideAndRegisterDocumentSetRequest>"
)
SIMPLE = "application/soap+xml; charset=utf-8"

CASES = {
    "a document type": (SIMPLE, envelope("<x/>", prologue="<!DOCTYPE x>")),
    "an entity bomb": (SIMPLE, envelope("<x>&b;</x>", prologue=BOMB)),
    "an external entity": (SIMPLE, envelope("<x>&a;</x>", prologue=EXTERNAL)),
    "ten thousand levels": (SIMPLE, envelope("<x>" * 10_000 + "</x>" * 10_000)),
    "half an envelope": (SIMPLE, envelope("<x/>")[:120]),
    "no XML": (SIMPLE, b"\x00\x01\x02 not xml"),
    "nothing": (SIMPLE, b""),
    "no such action": (SIMPLE, envelope("<x/>", action="urn:nothing")),
    "another charset than said": (SIMPLE, envelope("<x>é</x>").replace("é".encode(), b"\xe9")),
    "a missing part": multipart(("root", envelope(REQUEST, PROVIDE))),
    "no root part": multipart(("other", envelope(REQUEST, PROVIDE))),
    "no closing boundary": multipart(("root", envelope(REQUEST, PROVIDE)), end=False),
    "no part at all": multipart(),
    "a wrong media type": ("text/plain", envelope("<x/>")),
}


@pytest.mark.parametrize("path", ["/ihe/registry", "/ihe/repository"])
def test_every_broken_soap_message_gets_a_fault_and_the_service_goes_on(running, path):
    with httpx.Client(base_url=running.base_url, timeout=30) as client:
        for name, (content_type, body) in CASES.items():
            answer = client.post(path, content=body, headers={"Content-Type": content_type})
            assert 400 <= answer.status_code < 500, name
            root = etree.fromstring(answer.content)
            assert root.find(f".//{{{SOAP}}}Fault") is not None, name
            assert b"passwd" not in answer.content, name
            assert b"Traceback" not in answer.content, name
        assert client.get("/health/ready").status_code == 200


def test_a_query_that_makes_no_sense_gets_the_registrys_own_error(running):
    body = (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"'
        ' xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><q:ResponseOption returnType="LeafClass"'
        ' returnComposedObjects="true"/><r:AdhocQuery id="urn:uuid:00000000-0000-0000-0000-000000000000"/>'
        "</q:AdhocQueryRequest>"
    )
    answer = httpx.post(f"{running.base_url}/ihe/registry", content=envelope(body), headers={"Content-Type": SIMPLE})
    assert answer.status_code == 200
    assert b"XDSUnknownStoredQuery" in answer.content


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("PUT", "/fhir/Patient?identifier=urn:oid:1.2.3|1", b"[" * 100_000, 400),
        ("POST", "/fhir/Patient/$match", b'{"resourceType":"Parameters","parameter":5}', 400),
        ("POST", "/api/links", b"{}", 400),
        ("POST", "/api/events/x/undo", b'{"reason":"r"}', 400),
        ("GET", "/fhir/Patient?birthdate=99", b"", 400),
        ("GET", "/fhir/Patient", b"", 400),
        ("GET", "/priors?patient=x", b"", 400),
        ("GET", "/fhir/Patient/r99999999999999999999", b"", 404),
        ("GET", "/fhir/Patient/%00", b"", 404),
        ("GET", "/fhir/Patient?family=%00", b"", 400),
    ],
)
def test_broken_rest_requests_get_their_own_error(running, method, path, content, status):
    answer = httpx.request(method, running.base_url + path, content=content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith(("application/fhir+json", "application/problem+json"))


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(running):
    with socket.create_connection((running.host, running.http_port), timeout=30) as client:
        size = 64 * 1024 * 1024
        client.sendall(
            f"PUT /fhir/Patient?identifier=urn:oid:1.2|1 HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        sent, chunk, answer = 0, b" " * 65536, b""
        while sent < size and not answer:
            try:
                readable, writable, _ = select.select([client], [client], [], 30)
                if readable:
                    answer = client.recv(65536)
                elif writable:
                    sent += client.send(chunk)
            except OSError:
                break
    assert not answer or b" 413 " in answer.split(b"\r\n")[0]
    assert sent < size
    assert httpx.get(f"{running.base_url}/health/ready").status_code == 200

"""An answer whose body is text goes out as it is, inside the same envelope as any other."""

from __future__ import annotations

import uuid

import pytest
from lxml import etree

from ihe.soap.envelope import addressed_to, read_envelope, soap_response, soap_response_text
from ihe.xml import parse_xml, serialize


def test_the_text_stands_in_the_body_of_a_whole_envelope() -> None:
    text = '<a:answer xmlns:a="urn:example">é &amp; <b xmlns="urn:other">1</b></a:answer>'
    data = soap_response_text("urn:example:answered", "urn:uuid:1", text.encode())
    assert text.encode() in data
    read = read_envelope(parse_xml(data))
    assert read.action == "urn:example:answered"
    assert read.relates_to == "urn:uuid:1"
    assert read.body_element.tag == "{urn:example}answer"
    assert read.body_element.text == "é & "


@pytest.mark.parametrize("relates_to", [None, "urn:uuid:1", '<a> & "b"\r\n'])
@pytest.mark.parametrize("headers", [(), ("http://example.org/?a&b",)])
def test_the_envelope_is_that_of_an_element(monkeypatch, relates_to, headers) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=1))
    monkeypatch.setattr("ihe.soap.envelope.fresh_uuid", lambda: str(uuid.UUID(int=1)))
    text = '<a:answer xmlns:a="urn:example">é &amp; <b xmlns="urn:other">1</b></a:answer>'
    element = soap_response("urn:a&b", relates_to, etree.fromstring(text), [addressed_to(each) for each in headers])
    written = soap_response_text("urn:a&b", relates_to, text.encode(), [addressed_to(each) for each in headers])
    assert written == serialize(element)

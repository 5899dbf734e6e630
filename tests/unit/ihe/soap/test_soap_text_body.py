"""An answer whose body is text goes out as it is, inside the same envelope as any other."""

from __future__ import annotations

from ihe.soap.envelope import read_envelope, soap_response_text
from ihe.xml import parse_xml


def test_the_text_stands_in_the_body_of_a_whole_envelope() -> None:
    text = '<a:answer xmlns:a="urn:example">é &amp; <b xmlns="urn:other">1</b></a:answer>'
    data = soap_response_text("urn:example:answered", "urn:uuid:1", text.encode())
    assert text.encode() in data
    read = read_envelope(parse_xml(data))
    assert read.action == "urn:example:answered"
    assert read.relates_to == "urn:uuid:1"
    assert read.body_element.tag == "{urn:example}answer"
    assert read.body_element.text == "é & "

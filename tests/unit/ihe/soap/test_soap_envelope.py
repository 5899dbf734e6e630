"""Envelopes: what is read from them, what is refused, and with which fault."""

from __future__ import annotations

import contextlib
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ihe import errors
from ihe.errors import Finding, IheError, MalformedRequest, MissingElement, Refused, Unavailable, UnknownPatient
from ihe.soap.envelope import (
    SoapRequest,
    content_id_of,
    message_id_of,
    read_envelope,
    soap_fault,
    soap_request,
    soap_response,
)
from ihe.soap.error_codes import FAULT_FORMS, fault_for
from ihe.soap.fault import FaultCode, SoapFault, action_not_supported
from ihe.xml import NS, PREFIXES, Element, parse_xml, qname, serialize

ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"


def envelope(
    headers: str = f"<wsa:Action>{ACTION}</wsa:Action>", body: str = "<q/>", namespace: str = NS.SOAP
) -> Element:
    return parse_xml(
        f'<s:Envelope xmlns:s="{namespace}" xmlns:wsa="{NS.WSA}"><s:Header>{headers}</s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>".encode()
    )


def refused(root: Element, content_action: str | None = None) -> SoapFault:
    with pytest.raises(SoapFault) as raised:
        read_envelope(root, content_action)
    return raised.value


def test_everything_a_request_says_is_read() -> None:
    root = envelope(
        f'<wsa:Action s:mustUnderstand="true"> {ACTION} </wsa:Action><wsa:MessageID>urn:uuid:1</wsa:MessageID>'
        "<wsa:To>http://registry</wsa:To><wsa:RelatesTo>urn:uuid:0</wsa:RelatesTo>"
        f"<wsa:ReplyTo><wsa:Address>{NS.WSA}/anonymous</wsa:Address></wsa:ReplyTo><x xmlns='urn:x'/>"
    )
    request = read_envelope(root, path="/ihe/registry")
    assert request.action == ACTION
    assert request.message_id == "urn:uuid:1"
    assert request.to == "http://registry"
    assert request.relates_to == "urn:uuid:0"
    assert request.reply_to == f"{NS.WSA}/anonymous"
    assert request.body_element.tag == "q"
    assert request.header("urn:x", "x") is not None
    assert request.path == "/ihe/registry"


def test_the_action_may_stand_in_the_content_type() -> None:
    assert read_envelope(envelope(""), ACTION).action == ACTION
    assert read_envelope(envelope(), "").action == ACTION
    assert read_envelope(envelope(), ACTION).action == ACTION


def test_no_action_and_two_different_actions_are_refused() -> None:
    assert [s.localname for s in refused(envelope("")).subcodes] == ["MessageAddressingHeaderRequired"]
    assert [s.localname for s in refused(envelope(), "urn:other").subcodes] == [
        "InvalidAddressingHeader",
        "ActionMismatch",
    ]


def test_a_header_given_twice_is_refused() -> None:
    fault = refused(envelope(f"<wsa:Action>{ACTION}</wsa:Action><wsa:Action>urn:other</wsa:Action>"))
    assert [s.localname for s in fault.subcodes] == ["InvalidAddressingHeader", "InvalidCardinality"]


def test_an_older_envelope_is_a_version_mismatch() -> None:
    fault = refused(envelope(namespace=NS.SOAP11))
    assert fault.code is FaultCode.VERSION_MISMATCH
    assert soap_fault(fault, None).xpath("//soap:Upgrade/soap:SupportedEnvelope/@qname", namespaces=PREFIXES)


@pytest.mark.parametrize("flag", ["1", "true", " true "])
def test_a_mandatory_header_that_is_not_understood_is_named(flag: str) -> None:
    fault = refused(envelope(f"<wsa:Action>{ACTION}</wsa:Action><z:Toll xmlns:z='urn:z' s:mustUnderstand='{flag}'/>"))
    assert fault.code is FaultCode.MUST_UNDERSTAND
    block = parse_xml(serialize(soap_fault(fault, None))).find(f"*/{qname(NS.SOAP, 'NotUnderstood')}")
    assert block is not None
    assert block.get("qname") == "other:Toll"
    assert block.nsmap["other"] == "urn:z"


@pytest.mark.parametrize(
    "block",
    [
        "<z:Toll xmlns:z='urn:z' s:mustUnderstand='false'/>",
        "<z:Toll xmlns:z='urn:z'/>",
        f"<z:Toll xmlns:z='urn:z' s:mustUnderstand='true' s:role='{NS.SOAP}/role/none'/>",
        "<z:Toll xmlns:z='urn:z' s:mustUnderstand='true' s:role='http://elsewhere'/>",
        f"<z:Security xmlns:z='{NS.WSSE}' s:mustUnderstand='true'><z:Any/></z:Security>",
    ],
)
def test_headers_for_others_optional_ones_and_security_pass(block: str) -> None:
    request = read_envelope(envelope(f"<wsa:Action>{ACTION}</wsa:Action>{block}"))
    assert len(request.headers) == 2
    assert (request.security is not None) == ("Security" in block)


def addressed(**headers: str) -> SoapRequest:
    blocks = "".join(f"<wsa:{n}><wsa:Address>{a}</wsa:Address></wsa:{n}>" for n, a in headers.items())
    return read_envelope(envelope(f"<wsa:Action>{ACTION}</wsa:Action>{blocks}"))


def test_answers_and_faults_may_go_elsewhere() -> None:
    anonymous = f"{NS.WSA}/anonymous"
    for headers, answer, fault in (
        ({}, None, None),
        ({"ReplyTo": anonymous, "FaultTo": anonymous}, None, None),
        ({"ReplyTo": f"{NS.WSA}/none"}, None, None),
        ({"ReplyTo": "http://a"}, "http://a", "http://a"),
        ({"ReplyTo": "http://a", "FaultTo": anonymous}, "http://a", "http://a"),
        ({"ReplyTo": "http://a", "FaultTo": "http://b"}, "http://a", "http://b"),
        ({"FaultTo": "http://b"}, None, "http://b"),
    ):
        request = addressed(**headers)
        assert (request.answer_address, request.fault_address) == (answer, fault)


@pytest.mark.parametrize("body", ["", "<a/><b/>", "text"])
def test_a_body_without_its_one_element_is_refused(body: str) -> None:
    with pytest.raises(MalformedRequest):
        read_envelope(envelope(body=body))


@pytest.mark.parametrize(
    "document",
    [
        "<a/>",
        f"<Envelope xmlns='{NS.SOAP}'/>",
        f"<Envelope xmlns='{NS.SOAP}'><Header/></Envelope>",
        f"<Envelope xmlns='{NS.SOAP}'><Body/><Body/></Envelope>",
        f"<Envelope xmlns='{NS.SOAP}'><Body/><Header/></Envelope>",
    ],
)
def test_what_is_no_envelope_is_refused(document: str) -> None:
    with pytest.raises(MalformedRequest):
        read_envelope(parse_xml(document.encode()), ACTION)


def test_an_answer_says_what_it_answers() -> None:
    root = parse_xml(serialize(soap_response(f"{ACTION}Response", "urn:uuid:1", etree.Element("answer"))))
    answer = read_envelope(root)
    assert answer.action == f"{ACTION}Response"
    assert answer.relates_to == "urn:uuid:1"
    assert answer.body_element.tag == "answer"


def test_a_request_of_our_own_is_read_back() -> None:
    request = read_envelope(parse_xml(serialize(soap_request(ACTION, "http://other", etree.Element("q")))))
    assert (request.action, request.to) == (ACTION, "http://other")
    assert request.message_id is not None
    assert request.message_id.startswith("urn:uuid:")


def test_a_fault_is_written_as_soap_has_it() -> None:
    root = parse_xml(serialize(soap_fault(action_not_supported("urn:no"), "urn:uuid:1")))

    def text(path: str) -> str:
        return str(root.xpath(f"string({path})", namespaces=PREFIXES))

    assert text("//soap:Fault/soap:Code/soap:Value") == "soap:Sender"
    subcode = root.find(f".//{qname(NS.SOAP, 'Subcode')}/{qname(NS.SOAP, 'Value')}")
    assert subcode is not None
    assert subcode.text == "wsa:ActionNotSupported"
    assert subcode.nsmap["wsa"] == NS.WSA
    assert text("//soap:Reason/soap:Text") == "the action is not supported at this endpoint"
    assert text("//soap:Reason/soap:Text/@xml:lang") == "en"
    assert text("//soap:Detail/wsa:ProblemAction/wsa:Action") == "urn:no"
    assert text("//wsa:RelatesTo") == "urn:uuid:1"


def test_the_message_id_is_found_even_in_an_envelope_that_is_refused() -> None:
    assert message_id_of(envelope("<wsa:MessageID>urn:uuid:1</wsa:MessageID>", body="")) == "urn:uuid:1"
    assert message_id_of(parse_xml(b"<a/>")) is None


def test_every_refusal_has_its_own_fault() -> None:
    known = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, IheError)}
    assert known == set(FAULT_FORMS)
    for form in FAULT_FORMS.values():
        assert form.http_status in ((400,) if form.code is FaultCode.SENDER else (500, 503))


def test_a_refusal_keeps_its_sentence_and_place() -> None:
    fault = fault_for(UnknownPatient("no such patient", "/Slot"))
    assert (fault.code, fault.http_status) == (FaultCode.SENDER, 400)
    assert fault.reason == "no such patient (at /Slot)"
    assert fault_for(Unavailable("later")).http_status == 503
    assert fault_for(Refused([Finding("XDSRegistryError", "why")])).reason == "why"

    class Unforeseen(IheError):
        """A subclass that no table knows."""

    assert fault_for(Unforeseen("reference 1")).code is FaultCode.RECEIVER


def test_a_cid_address_is_decoded() -> None:
    def include(href: str) -> Element:
        return etree.Element(qname(NS.XOP, "Include"), href=href)

    assert content_id_of(include("cid:a%40b%25c")) == "a@b%c"
    for href in ("", "a@b", "http://a", "cid:"):
        with pytest.raises(MalformedRequest):
            content_id_of(include(href))


def test_an_element_without_document_is_told_apart() -> None:
    request = read_envelope(envelope(body="<Document/>"))
    with pytest.raises(MissingElement):
        request.attachment(request.body_element)


_names = st.sampled_from(
    ["s:Envelope", "s:Header", "s:Body", "wsa:Action", "wsa:ReplyTo", "wsa:Address", "wsa:To", "a", "s:Fault"]
)
_trees = st.recursive(
    st.tuples(_names, st.just("")), lambda inner: st.tuples(_names, st.lists(inner, max_size=4)), max_leaves=12
)


def _render(tree: tuple[str, object]) -> str:
    name, content = tree
    inner = "".join(_render(child) for child in content) if isinstance(content, list) else str(content)
    return f"<{name} s:mustUnderstand='1'>{inner}</{name}>"


@given(_trees)
def test_any_arrangement_of_elements_is_read_or_refused(tree: tuple[str, object]) -> None:
    document = _render(tree)
    root = parse_xml(f'<s:Envelope xmlns:s="{NS.SOAP}" xmlns:wsa="{NS.WSA}">{document}</s:Envelope>'.encode())
    for candidate in (root, root[0]):
        with contextlib.suppress(IheError, SoapFault):
            read_envelope(candidate, ACTION)

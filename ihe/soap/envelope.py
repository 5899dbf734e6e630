"""SOAP 1.2 envelopes with WS-Addressing headers, read and written.

What decides the transaction is ``wsa:Action``; a client that sends none may name the action in its content type
instead, and where both are given they must agree (Source: WS-Addressing 1.0 SOAP Binding: 6.4.1.6; ITI TF-2: V.3).
Answers go back on the connection of the request, or to the address that the sender names for them. Whoever serves the
request decides whether that address may be written to: a server that posts to any address its callers name can be
turned against its own network.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import unquote

from lxml import etree

from ihe.errors import MalformedRequest, MissingElement
from ihe.names import fresh_uuid
from ihe.soap.fault import SoapFault, addressing_fault, must_understand, version_mismatch
from ihe.soap.multipart import OutgoingPart
from ihe.soap.sinks import Attachment
from ihe.xml import DECLARATION, NS, Element, escaped, local_name, qname, serialize

ANONYMOUS: Final = "http://www.w3.org/2005/08/addressing/anonymous"
NONE: Final = "http://www.w3.org/2005/08/addressing/none"

_OUR_ROLES = frozenset({"", f"{NS.SOAP}/role/next", f"{NS.SOAP}/role/ultimateReceiver"})
_SINGLE_HEADERS = frozenset({"To", "From", "ReplyTo", "FaultTo", "Action", "MessageID"})
_ADDRESSING: Final = {qname(NS.WSA, name): name for name in (*_SINGLE_HEADERS, "RelatesTo")}
_ENVELOPE, _HEADER, _BODY = (qname(NS.SOAP, name) for name in ("Envelope", "Header", "Body"))
_MUST_UNDERSTAND, _ROLE = (qname(NS.SOAP, name) for name in ("mustUnderstand", "role"))
_MESSAGE_ID, _ADDRESS = (qname(NS.WSA, name) for name in ("MessageID", "Address"))

UNDERSTOOD: Final = frozenset({*_ADDRESSING, qname(NS.WSSE, "Security")})
"""Header blocks that may be mandatory. Authentication judges ``wsse:Security``; here it passes untouched."""


class SoapRequest(NamedTuple):
    """A SOAP message as it was received.

    Attributes:
        action: decides the transaction.
        body_element: the one child of the SOAP body.
        message_id: ``wsa:MessageID``, or ``None`` when the sender gave none.
        to: ``wsa:To``, or ``None``.
        reply_to: address in ``wsa:ReplyTo``, or ``None``.
        fault_to: address in ``wsa:FaultTo``, or ``None``.
        relates_to: ``wsa:RelatesTo`` of a response, or ``None``.
        headers: all header blocks, in order.
        attachments: documents that came with the message, by content id. Inline base64 is found here too:
            the reader puts an ``xop:Include`` in its place.
        path: path of the endpoint that received it.
        url: the address at which it was received, as the sender used it.
    """

    action: str
    body_element: Element
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    fault_to: str | None = None
    relates_to: str | None = None
    headers: tuple[Element, ...] = ()
    attachments: Mapping[str, Attachment] = MappingProxyType({})
    path: str = ""
    url: str = ""

    def header(self, namespace: str, local: str) -> Element | None:
        """The first header block with that name."""
        wanted = qname(namespace, local)
        return next((block for block in self.headers if block.tag == wanted), None)

    @property
    def security(self) -> Element | None:
        """The ``wsse:Security`` header, untouched."""
        return self.header(NS.WSSE, "Security")

    @property
    def answer_address(self) -> str | None:
        """Where the answer is sent by itself; ``None`` for one on the connection of the request."""
        return _elsewhere(self.reply_to)

    @property
    def fault_address(self) -> str | None:
        """Where a fault is sent that is the answer (Source: WS-Addressing 1.0 Core: 3.4)."""
        return _elsewhere(self.fault_to) or self.answer_address

    def attachment(self, element: Element) -> Attachment:
        """The document that an element such as ``xdsb:Document`` holds.

        Raises:
            MissingElement: the element holds none.
        """
        include = element.find(qname(NS.XOP, "Include"))
        found = None if include is None else self.attachments.get(content_id_of(include))
        if found is None:
            raise MissingElement("the element holds no document", local_name(element))
        return found


class SoapReply(NamedTuple):
    """What a handler answers.

    Attributes:
        body_element: child of the SOAP body; with ``body_text`` both ``None`` for an answer without content
            (HTTP 202).
        body_text: instead of ``body_element``, the child of the SOAP body as well-formed UTF-8 text that declares its
            own namespaces; it is sent as it is, which a large answer of ready pieces needs.
        action: ``wsa:Action``; ``None`` takes the operation's declared one.
        headers: further header blocks; they are written once.
        attachments: documents that ``xop:Include`` elements of the body name; they make the answer MTOM.
        fault: a fault instead of a body.
    """

    body_element: Element | None = None
    body_text: bytes | None = None
    action: str | None = None
    headers: tuple[Element, ...] = ()
    attachments: tuple[OutgoingPart, ...] = ()
    fault: SoapFault | None = None


def read_envelope(
    root: Element,
    content_action: str | None = None,
    attachments: Mapping[str, Attachment] | None = None,
    path: str = "",
    url: str = "",
    understood: frozenset[str] = UNDERSTOOD,
) -> SoapRequest:
    """Read a parsed envelope.

    Args:
        root: document element, without comments and processing instructions, as it is read here.
        content_action: ``action`` parameter of the content type, or ``None``; an empty one counts as none.
        attachments: documents that came with it, by content id.
        path: path of the endpoint.
        url: the address at which it was received, as the sender used it.
        understood: qualified names of header blocks that may be mandatory.

    Raises:
        SoapFault: not SOAP 1.2, a mandatory header is not understood, or an addressing header is wrong.
        MalformedRequest: no envelope, or not one body element.
    """
    header, body = _parts_of(root)
    blocks = () if header is None else tuple(header)
    _refuse_unknown_mandatory(blocks, understood)
    addressing = _addressing(blocks)
    if len(body) != 1:
        raise MalformedRequest("the SOAP body must hold exactly one element", "/Envelope/Body")
    return SoapRequest(
        action=_action(addressing.get("Action"), content_action),
        body_element=body[0],
        message_id=addressing.get("MessageID"),
        to=addressing.get("To"),
        reply_to=addressing.get("ReplyTo"),
        fault_to=addressing.get("FaultTo"),
        relates_to=addressing.get("RelatesTo"),
        headers=blocks,
        attachments=attachments or {},
        path=path,
        url=url,
    )


def message_id_of(root: Element) -> str | None:
    """The ``wsa:MessageID`` of an envelope that may be wrong in other ways, for the fault that answers it."""
    for header in root:
        if header.tag == _HEADER:
            for block in header:
                if block.tag == _MESSAGE_ID:
                    return (block.text or "").strip() or None
    return None


def content_id_of(include: Element) -> str:
    """The content id that an ``xop:Include`` names, decoded (Source: RFC 2392; XOP 1.0: 4.1.2).

    Raises:
        MalformedRequest: ``href`` is absent or no ``cid:`` address.
    """
    scheme, _, name = (include.get("href") or "").strip().partition(":")
    if scheme.lower() != "cid" or not name:
        raise MalformedRequest("xop:Include must name a part with a cid: address", "xop:Include/@href")
    return unquote(name)


def soap_request(
    action: str, to: str, body: Element, message_id: str | None = None, headers: Sequence[Element] = ()
) -> Element:
    """The envelope of a request of our own, with the answer wanted on the same connection.

    Args:
        action: ``wsa:Action``.
        to: address of the endpoint.
        body: moved into the envelope.
        message_id: ``None`` makes a new one.
        headers: further header blocks, moved into the envelope.
    """
    envelope, header = _envelope(action, headers)
    _block(header, "MessageID", message_id or uuid.uuid4().urn)
    _block(header, "To", to, mandatory=True)
    reply_to = etree.SubElement(header, qname(NS.WSA, "ReplyTo"))
    etree.SubElement(reply_to, qname(NS.WSA, "Address")).text = ANONYMOUS
    etree.SubElement(envelope, qname(NS.SOAP, "Body")).append(body)
    return envelope


def soap_response(action: str, relates_to: str | None, body: Element, headers: Sequence[Element] = ()) -> Element:
    """The envelope of an answer.

    Args:
        action: ``wsa:Action``.
        relates_to: message id of the request, or ``None`` when it had none.
        body: moved into the envelope.
        headers: further header blocks, moved into the envelope.
    """
    envelope, header = _envelope(action, headers)
    _block(header, "MessageID", uuid.uuid4().urn)
    if relates_to:
        _block(header, "RelatesTo", relates_to)
    etree.SubElement(envelope, qname(NS.SOAP, "Body")).append(body)
    return envelope


def soap_response_text(action: str, relates_to: str | None, body: bytes, headers: Sequence[Element] = ()) -> bytes:
    """The envelope of an answer whose body is UTF-8 text already, with its declaration."""
    if headers:
        envelope = serialize(soap_response(action, relates_to, etree.Element("body"), headers))
        head, mark, tail = envelope.partition(b"<body/>")
        assert mark
        return b"".join((head, body, tail))
    relation = f"<wsa:RelatesTo>{escaped(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    start = (
        f'{DECLARATION}<soap:Envelope xmlns:soap="{NS.SOAP}" xmlns:wsa="{NS.WSA}"><soap:Header>'
        f'<wsa:Action soap:mustUnderstand="true">{escaped(action)}</wsa:Action>'
        f"<wsa:MessageID>urn:uuid:{fresh_uuid()}</wsa:MessageID>{relation}</soap:Header><soap:Body>"
    )
    return b"%b%b</soap:Body></soap:Envelope>" % (start.encode(), body)


def soap_fault(fault: SoapFault, relates_to: str | None, headers: Sequence[Element] = ()) -> Element:
    """The envelope of a fault."""
    return soap_response(fault.action, relates_to, fault.element(), (*fault.headers, *headers))


def addressed_to(address: str) -> Element:
    """The header block of a message that is sent to an address."""
    block = etree.Element(qname(NS.WSA, "To"), nsmap={"wsa": NS.WSA})
    block.text = address
    block.set(qname(NS.SOAP, "mustUnderstand"), "true")
    return block


def _envelope(action: str, headers: Sequence[Element]) -> tuple[Element, Element]:
    envelope = etree.Element(qname(NS.SOAP, "Envelope"), nsmap={"soap": NS.SOAP, "wsa": NS.WSA})
    header = etree.SubElement(envelope, qname(NS.SOAP, "Header"))
    _block(header, "Action", action, mandatory=True)
    header.extend(headers)
    return envelope, header


def _block(header: Element, name: str, text: str, *, mandatory: bool = False) -> None:
    block = etree.SubElement(header, qname(NS.WSA, name))
    block.text = text
    if mandatory:
        block.set(qname(NS.SOAP, "mustUnderstand"), "true")


def _parts_of(root: Element) -> tuple[Element | None, Element]:
    """Header and body of an envelope."""
    if root.tag != _ENVELOPE:
        if local_name(root) == "Envelope":
            raise version_mismatch()
        raise MalformedRequest("the document is no SOAP envelope", f"/{local_name(root)}")
    children = list(root)
    header = children.pop(0) if children and children[0].tag == _HEADER else None
    if len(children) != 1 or children[0].tag != _BODY:
        raise MalformedRequest("a SOAP envelope holds an optional Header and one Body", "/Envelope")
    return header, children[0]


def _refuse_unknown_mandatory(blocks: Sequence[Element], understood: frozenset[str]) -> None:
    missed = [
        block
        for block in blocks
        if block.tag not in understood
        and (block.get(_MUST_UNDERSTAND) or "").strip() in ("true", "1")
        and (block.get(_ROLE) or "").strip() in _OUR_ROLES
    ]
    if missed:
        raise must_understand(missed)


def _addressing(blocks: Sequence[Element]) -> dict[str, str]:
    """The WS-Addressing headers by local name; of an endpoint reference, its address."""
    values: dict[str, str] = {}
    for block in blocks:
        name = _ADDRESSING.get(block.tag)
        if name is None:
            continue
        if name in values and name in _SINGLE_HEADERS:
            raise addressing_fault(
                f"the header wsa:{name} is given twice", "InvalidAddressingHeader", "InvalidCardinality", header=name
            )
        if name in ("From", "ReplyTo", "FaultTo"):
            text = block.findtext(_ADDRESS)
            if text is None:
                raise addressing_fault(
                    f"the header wsa:{name} has no address",
                    "InvalidAddressingHeader",
                    "MissingAddressInEPR",
                    header=name,
                )
        else:
            text = block.text
        value = (text or "").strip()
        if value:
            values.setdefault(name, value)
    return values


def _action(addressed: str | None, content_action: str | None) -> str:
    action = addressed or (content_action or "").strip()
    if not action:
        raise addressing_fault("wsa:Action is missing", "MessageAddressingHeaderRequired", header="Action")
    if content_action and content_action.strip() not in ("", action):
        raise addressing_fault(
            "wsa:Action and the action of the content type differ", "InvalidAddressingHeader", "ActionMismatch"
        )
    return action


def only_anonymous(header: str) -> SoapFault:
    """The address in a header is not one that answers are sent to (Source: WS-Addressing 1.0 SOAP Binding: 6.4.1)."""
    return addressing_fault(
        f"answers are not sent to the address in wsa:{header}",
        "InvalidAddressingHeader",
        "OnlyAnonymousAddressSupported",
        header=header,
    )


def _elsewhere(address: str | None) -> str | None:
    return None if address in (None, ANONYMOUS, NONE) else address

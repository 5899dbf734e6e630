"""The SOAP 1.2 fault: what a SOAP wire answers when it has no other answer (Source: SOAP 1.2 Part 1: 5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from lxml import etree

from ihe.xml import NS, Element, local_name, namespace_of, prefix_of, qname

FAULT_ACTION: Final = "http://www.w3.org/2005/08/addressing/soap/fault"
ADDRESSING_FAULT_ACTION: Final = "http://www.w3.org/2005/08/addressing/fault"


class FaultCode(StrEnum):
    """Whose fault it is."""

    SENDER = "Sender"
    RECEIVER = "Receiver"
    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"


class SoapFault(Exception):
    """A refusal in SOAP's own words.

    No :class:`~ihe.errors.IheError`: it says what only SOAP knows (envelope version, headers, addressing), or is what
    an ``IheError`` becomes on this wire.

    Args:
        code: whose fault.
        reason: one English sentence, no patient data.
        subcodes: qualified names, the general one first.
        detail: children of the ``Detail`` element.
        headers: header blocks of the answer (``Upgrade``, ``NotUnderstood``).
        http_status: 400 for what the sender can correct, 500 or 503 otherwise.
    """

    def __init__(
        self,
        code: FaultCode,
        reason: str,
        subcodes: Sequence[etree.QName] = (),
        detail: Sequence[Element] = (),
        headers: Sequence[Element] = (),
        http_status: int = 400,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.subcodes = tuple(subcodes)
        self.detail = tuple(detail)
        self.headers = tuple(headers)
        self.http_status = http_status

    @property
    def action(self) -> str:
        """``wsa:Action`` of the fault message (Source: WS-Addressing 1.0 SOAP Binding: 6)."""
        addressing = bool(self.subcodes) and self.subcodes[0].namespace == NS.WSA
        return ADDRESSING_FAULT_ACTION if addressing else FAULT_ACTION

    def element(self) -> Element:
        """The ``Fault`` element."""
        fault = etree.Element(qname(NS.SOAP, "Fault"), nsmap={"soap": NS.SOAP})
        node = etree.SubElement(fault, qname(NS.SOAP, "Code"))
        etree.SubElement(node, qname(NS.SOAP, "Value")).text = f"soap:{self.code}"
        for subcode in self.subcodes:
            node = etree.SubElement(node, qname(NS.SOAP, "Subcode"))
            prefix = prefix_of(subcode.namespace or "")
            value = etree.SubElement(node, qname(NS.SOAP, "Value"), nsmap={prefix: subcode.namespace})
            value.text = f"{prefix}:{subcode.localname}"
        reason = etree.SubElement(fault, qname(NS.SOAP, "Reason"))
        text = etree.SubElement(reason, qname(NS.SOAP, "Text"))
        text.set(qname(NS.XML, "lang"), "en")
        text.text = self.reason
        if self.detail:
            etree.SubElement(fault, qname(NS.SOAP, "Detail")).extend(self.detail)
        return fault


def version_mismatch() -> SoapFault:
    """The envelope is not one of SOAP 1.2 (Source: SOAP 1.2 Part 1: 5.4.7)."""
    upgrade = etree.Element(qname(NS.SOAP, "Upgrade"), nsmap={"soap": NS.SOAP})
    etree.SubElement(upgrade, qname(NS.SOAP, "SupportedEnvelope")).set("qname", "soap:Envelope")
    return SoapFault(FaultCode.VERSION_MISMATCH, "only SOAP 1.2 envelopes are read here", headers=[upgrade])


def must_understand(blocks: Sequence[Element]) -> SoapFault:
    """Header blocks that had to be understood and are not (Source: SOAP 1.2 Part 1: 5.4.8)."""
    headers = []
    for block in blocks:
        namespace, name = namespace_of(block), local_name(block)
        prefix = prefix_of(namespace)
        nsmap = {"soap": NS.SOAP} | ({prefix: namespace} if namespace else {})
        header = etree.Element(qname(NS.SOAP, "NotUnderstood"), nsmap=nsmap)
        header.set("qname", f"{prefix}:{name}" if namespace else name)
        headers.append(header)
    return SoapFault(FaultCode.MUST_UNDERSTAND, "a mandatory header block is not understood", headers=headers)


def addressing_fault(reason: str, *subcodes: str, header: str | None = None) -> SoapFault:
    """A WS-Addressing fault (Source: WS-Addressing 1.0 SOAP Binding: 6.4).

    Args:
        reason: the sentence.
        subcodes: local names in the WS-Addressing namespace, the general one first.
        header: local name of the header at fault, for ``ProblemHeaderQName``.
    """
    detail = []
    if header is not None:
        problem = etree.Element(qname(NS.WSA, "ProblemHeaderQName"), nsmap={"wsa": NS.WSA})
        problem.text = f"wsa:{header}"
        detail.append(problem)
    return SoapFault(FaultCode.SENDER, reason, [etree.QName(NS.WSA, name) for name in subcodes], detail)


def action_not_supported(action: str) -> SoapFault:
    """The action is none that this endpoint offers (Source: WS-Addressing 1.0 SOAP Binding: 6.4.4)."""
    problem = etree.Element(qname(NS.WSA, "ProblemAction"), nsmap={"wsa": NS.WSA})
    etree.SubElement(problem, qname(NS.WSA, "Action")).text = action
    return SoapFault(
        FaultCode.SENDER,
        "the action is not supported at this endpoint",
        [etree.QName(NS.WSA, "ActionNotSupported")],
        [problem],
    )

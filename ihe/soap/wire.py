"""The pipeline's view of SOAP (see :class:`ihe.serving.Wire`)."""

from __future__ import annotations

from lxml import etree

from ihe.audit import Audited
from ihe.errors import IheError
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.soap.error_codes import fault_for
from ihe.store.messages import MessageKey


class SoapWire:
    """Refuses with faults; repeated messages are judged by what they say (unique ids), not by their message id."""

    def refuse(self, request: SoapRequest, error: IheError, correlation_id: str) -> SoapReply:
        """The fault."""
        return SoapReply(fault=fault_for(error))

    def audited(self, request: SoapRequest) -> Audited:
        """The body: of a query it is the query (Source: ITI TF-2: 3.18.5.1, 3.47.5.1)."""
        return Audited(lambda: etree.tostring(request.body_element, encoding="unicode", with_tail=False))

    def message_key(self, request: SoapRequest) -> MessageKey | None:
        """Always ``None``."""
        return None

    def reply_to_bytes(self, reply: SoapReply) -> bytes:
        """Never asked, because there is no message key."""
        return b""

    def reply_from_bytes(self, stored: bytes) -> SoapReply:
        """Never asked, because there is no message key."""
        return SoapReply()

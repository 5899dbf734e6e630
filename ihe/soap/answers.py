"""What a handler answers, as a message: with the headers of an answer, and documents where it has some."""

from __future__ import annotations

from ihe.soap.envelope import SoapReply, addressed_to, soap_fault, soap_response, soap_response_text
from ihe.soap.fault import SoapFault
from ihe.soap.mtom import OutgoingMessage, mtom_message, simple_message
from ihe.transaction import SoapBinding
from ihe.xml import Element


def answer_message(
    reply: SoapReply, binding: SoapBinding, relates_to: str | None, to: str | None = None
) -> OutgoingMessage | None:
    """The message that answers a request; ``None`` for an answer without content.

    Args:
        binding: the operation that was asked for.
        relates_to: message id of the request, or ``None`` when it had none.
        to: the address to which the answer is sent by itself; ``None`` for one on the connection of the request.
    """
    headers = (*reply.headers, *_to(to))
    if reply.fault is not None:
        return fault_message(reply.fault, relates_to, to)
    action = reply.action or binding.response_action
    if reply.body_text is not None:
        return simple_message(soap_response_text(action, relates_to, reply.body_text, headers), to and action)
    if reply.body_element is None:
        return None
    envelope = soap_response(action, relates_to, reply.body_element, headers)
    if binding.mtom or reply.attachments:
        return mtom_message(envelope, reply.attachments, to and action)
    return simple_message(envelope, to and action)


def fault_message(fault: SoapFault, relates_to: str | None, to: str | None = None) -> OutgoingMessage:
    """The message of a fault; arguments as for :func:`answer_message`."""
    return simple_message(soap_fault(fault, relates_to, _to(to)), to and fault.action)


def _to(address: str | None) -> tuple[Element, ...]:
    return () if address is None else (addressed_to(address),)

"""ITI-52 Document Metadata Subscribe: subscribe, renew and unsubscribe.

A subscription is managed at an address of its own, which the answer to its request names.

Source: ITI TF-2: 3.52 (DSUB); WS-BaseNotification 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

from ihe.errors import IheError, NotFound, Refused, UnsupportedRequest
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.soap.error_codes import FAULT_FORMS, fault_for
from ihe.soap.fault import FaultCode
from ihe.transaction import SoapBinding, Transaction
from ihe.xml import NS, qname
from xds.application import XdsApplication
from xds.domain.document_subscription import StoredDocumentSubscription
from xds.services.subscriptions import renew, subscribe, unsubscribe
from xds.translate.dsub import (
    TERMINATION,
    Subscribe,
    moment_of,
    read_renew,
    read_subscribe,
    renew_response,
    subscribe_response,
    unsubscribe_response,
    wsn_fault,
)

_BW: Final = "http://docs.oasis-open.org/wsn/bw-2"
SUBSCRIBE: Final = f"{_BW}/NotificationProducer/SubscribeRequest"
RENEW: Final = f"{_BW}/SubscriptionManager/RenewRequest"
UNSUBSCRIBE: Final = f"{_BW}/SubscriptionManager/UnsubscribeRequest"


def _binding(action: str, element: str) -> SoapBinding:
    return SoapBinding(
        path="/ihe/dsub",
        action=action,
        response_action=action.removesuffix("Request") + "Response",
        request_element=qname(NS.WSNT, element),
        response_element=qname(NS.WSNT, f"{element}Response"),
    )


TRANSACTION = Transaction(
    number="ITI-52",
    name="Document Metadata Subscribe",
    actor="Document Metadata Notification Broker",
    profile="DSUB",
    bindings=(_binding(SUBSCRIBE, "Subscribe"), _binding(RENEW, "Renew"), _binding(UNSUBSCRIBE, "Unsubscribe")),
    writes=True,
    event_code="110112",
    event_action="E",
    options=(
        "topics FullDocumentEntry, MinimalDocumentEntry, SubmissionSetMetadata",
        "filters by patient and patient-independent; documents follow identity and pass the reading policy",
        "termination time as xsd:dateTime or duration; renewal",
    ),
    source="ITI TF-2: 3.52",
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be done.

    Attributes:
        address: where subscriptions are managed, with ``{id}``.
        subscription_id: of the subscription at whose address the request arrived.
        termination: of a renewal, as written.
    """

    action: str
    address: str
    subscription_id: str
    subscribe: Subscribe | None = None
    termination: str | None = None


def decode(request: SoapRequest) -> Question:
    """Read the request.

    Raises:
        IheError: see :func:`xds.translate.dsub.read_subscribe`.
    """
    address = f"{request.url.partition('?')[0]}?subscription={{id}}"
    subscription_id = _named(request.url) or _named(request.to or "")
    question = Question(request.action, address, subscription_id)
    if request.action == SUBSCRIBE:
        return replace(question, subscribe=read_subscribe(request.body_element))
    if request.action == RENEW:
        return replace(question, termination=read_renew(request.body_element))
    return question


def serve(question: Question, context: Context[XdsApplication]) -> tuple[StoredDocumentSubscription | None, datetime]:
    """Do it; the subscription is ``None`` after its end.

    Raises:
        NotFound: the caller has no such subscription.
        InvalidElement: the termination time is not one that can be granted.
        AccessDenied: the consumer's address may not be written to.
    """
    uow = context.uow
    context.trail.query(TRANSACTION.name)
    if question.subscribe is not None:
        context.application.callbacks.check(question.subscribe.wish.endpoint, "ConsumerReference")
        ends_at = moment_of(question.subscribe.termination, uow.now)
        return subscribe(uow, replace(question.subscribe.wish, ends_at=ends_at), question.address), uow.now
    if question.action == RENEW:
        return renew(uow, question.subscription_id, moment_of(question.termination, uow.now)), uow.now
    unsubscribe(uow, question.subscription_id)
    return None, uow.now


def encode(result: tuple[StoredDocumentSubscription | None, datetime], request: SoapRequest) -> SoapReply:
    """The response of the action."""
    stored, now = result
    if stored is None:
        return SoapReply(unsubscribe_response())
    if request.action == RENEW:
        return SoapReply(renew_response(now, stored.wish.ends_at))
    return SoapReply(subscribe_response(stored.manager, now, stored.wish.ends_at))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """The fault that WS-BaseNotification has for it, else the usual one."""
    form = next(FAULT_FORMS[cls] for cls in type(error).__mro__ if cls in FAULT_FORMS)
    if form.code is not FaultCode.SENDER or form.subcode is not None:
        return SoapReply(fault=fault_for(error))
    return SoapReply(fault=wsn_fault(_fault_name(error, request.action), error.message, datetime.now(UTC)))


def _fault_name(error: IheError, action: str) -> str:
    if isinstance(error, NotFound):
        return "ResourceUnknownFault"
    if action == UNSUBSCRIBE:
        return "UnableToDestroySubscriptionFault"
    if error.location == TERMINATION:
        return "UnacceptableInitialTerminationTimeFault" if action == SUBSCRIBE else "UnacceptableTerminationTimeFault"
    if isinstance(error, UnsupportedRequest):
        return "TopicNotSupportedFault"
    if isinstance(error, Refused) or error.location in ("Filter", "TopicExpression"):
        return "InvalidFilterFault"
    return "SubscribeCreationFailedFault"


def _named(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("subscription", [""])[0]

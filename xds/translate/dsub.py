"""Subscriptions and notifications of documents as WS-BaseNotification.

Source: ITI TF-2: 3.52, 3.53 (DSUB); WS-BaseNotification 1.3; WS-BaseFaults 1.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree

from ihe.errors import Finding, InvalidElement, MalformedRequest, MissingElement, Refused, UnsupportedRequest
from ihe.soap.fault import FaultCode, SoapFault
from ihe.xml import NS, Element, qname, serialize
from xds.domain.document_set import DocumentRequest
from xds.domain.document_subscription import (
    SUBSCRIPTION_QUERIES,
    Channel,
    DocumentNews,
    DocumentSubscription,
    Topic,
    is_of_sets,
)
from xds.domain.registered import RegisteredEntry
from xds.translate.ebxml_document_set import retrieve_request
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_response import object_text
from xds.translate.ebxml_vocabulary import LCM, RIM

DIALECT: Final = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
FAULT_ACTION: Final = "http://docs.oasis-open.org/wsn/fault"
TERMINATION: Final = "TerminationTime"
_DURATION: Final = re.compile(
    r"P(?:(?P<days>\d{1,5})D)?(?:T(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,8})S)?)?"
)
_WSRF_BF: Final = "http://docs.oasis-open.org/wsrf/bf-2"
_WSRF_R: Final = "http://docs.oasis-open.org/wsrf/r-2"


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A request to subscribe; its end may depend on when it arrived.

    Attributes:
        termination: as written; ``None`` when none was asked for.
    """

    wish: DocumentSubscription
    termination: str | None


def read_subscribe(body: Element) -> Subscribe:
    """Read ``wsnt:Subscribe``.

    Raises:
        MissingElement: consumer, filter, topic or query is absent.
        InvalidElement: the consumer's address is none.
        UnsupportedRequest: the topic is not offered.
        Refused: the query is not offered, or of another kind of object than the topic.
    """
    reference = body.find(f"{qname(NS.WSNT, 'ConsumerReference')}/{qname(NS.WSA, 'Address')}")
    endpoint = (reference.text or "").strip() if reference is not None else ""
    if not endpoint:
        raise MissingElement("the consumer has no address", "ConsumerReference")
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidElement("the consumer's address is no HTTP address", "ConsumerReference")
    filters = body.find(qname(NS.WSNT, "Filter"))
    if filters is None:
        raise MissingElement("a subscription needs a filter", "Filter")
    topic = _topic(filters)
    query = read_query(filters, SUBSCRIPTION_QUERIES)
    if is_of_sets(query.definition) != (topic is Topic.SUBMISSION_SET):
        context = f"the topic {topic} does not go with a {query.definition.name}"
        raise Refused([Finding("InvalidFilter", context, "Filter")])
    criteria = b"".join(serialize(each, declaration=False) for each in filters.iterchildren(qname(RIM, "AdhocQuery")))
    wish = DocumentSubscription(Channel.WSN, topic, endpoint, criteria.decode())
    return Subscribe(wish, _text(body, "InitialTerminationTime"))


def read_renew(body: Element) -> str | None:
    """The new termination time of ``wsnt:Renew``, as written; ``None`` for none."""
    return _text(body, "TerminationTime")


def moment_of(termination: str | None, now: datetime) -> datetime | None:
    """The moment that a termination time means; ``None`` for never.

    Args:
        termination: ``xsd:dateTime`` (without zone: UTC), or ``xsd:duration`` of days and smaller units.

    Raises:
        InvalidElement: neither, or past.
    """
    if termination is None:
        return None
    found = _DURATION.fullmatch(termination)
    try:
        if found and any(found.groups()):
            moment = now + timedelta(**{unit: int(number) for unit, number in found.groupdict("0").items()})
        else:
            moment = datetime.fromisoformat(termination)
    except (ValueError, OverflowError):
        raise InvalidElement("a termination time is an xsd:dateTime or a duration of days", TERMINATION) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise InvalidElement("the termination time is past", TERMINATION)
    return moment


def subscribe_response(manager: str, now: datetime, ends_at: datetime | None) -> Element:
    """``wsnt:SubscribeResponse``; a subscription without end has no termination time."""
    response = _element("SubscribeResponse")
    _reference(response, "SubscriptionReference", manager)
    _add(response, "CurrentTime", _time(now))
    if ends_at is not None:
        _add(response, "TerminationTime", _time(ends_at))
    return response


def renew_response(now: datetime, ends_at: datetime | None) -> Element:
    """``wsnt:RenewResponse``; the termination time of a subscription without end is nil."""
    response = _element("RenewResponse")
    termination = _add(response, "TerminationTime", None if ends_at is None else _time(ends_at))
    if ends_at is None:
        termination.set(qname(NS.XSI, "nil"), "true")
    _add(response, "CurrentTime", _time(now))
    return response


def unsubscribe_response() -> Element:
    """``wsnt:UnsubscribeResponse``."""
    return _element("UnsubscribeResponse")


def notification(topic: Topic, manager: str, news: DocumentNews) -> Element:
    """``wsnt:Notify`` with one message.

    Args:
        manager: address of the subscription.
    """
    notify = _element("Notify")
    message = etree.SubElement(notify, qname(NS.WSNT, "NotificationMessage"))
    _reference(message, "SubscriptionReference", manager)
    expression = _add(message, "Topic", f"ihe:{topic}")
    expression.set("Dialect", DIALECT)
    _reference(message, "ProducerReference", manager.partition("?")[0])
    etree.SubElement(message, qname(NS.WSNT, "Message")).append(_content(topic, news))
    return notify


class WsnFault(SoapFault):
    """A fault of WS-Notification, named in its detail."""

    @property
    def action(self) -> str:
        """That of every such fault."""
        return FAULT_ACTION


def wsn_fault(name: str, reason: str, now: datetime) -> WsnFault:
    """A fault by its name in WS-BaseNotification, or ``ResourceUnknownFault`` of WS-Resource."""
    namespace = _WSRF_R if name == "ResourceUnknownFault" else NS.WSNT
    detail = etree.Element(qname(namespace, name), nsmap={"wsnt": namespace, "bf": _WSRF_BF})
    etree.SubElement(detail, qname(_WSRF_BF, "Timestamp")).text = _time(now)
    etree.SubElement(detail, qname(_WSRF_BF, "Description")).text = reason
    return WsnFault(FaultCode.SENDER, reason, detail=[detail])


def _topic(filters: Element) -> Topic:
    expression = filters.find(qname(NS.WSNT, "TopicExpression"))
    if expression is None:
        raise MissingElement("a subscription needs a topic", "TopicExpression")
    if expression.get("Dialect") != DIALECT:
        raise UnsupportedRequest("topics are written in the simple dialect", "TopicExpression/@Dialect")
    name = (expression.text or "").strip().rpartition(":")[2]
    if name not in list(Topic):
        raise UnsupportedRequest(f"the topics offered are {', '.join(Topic)}", "TopicExpression")
    return Topic(name)


def _text(body: Element, name: str) -> str | None:
    found = body.find(qname(NS.WSNT, name))
    if found is None or found.get(qname(NS.XSI, "nil")) in ("true", "1"):
        return None
    text = (found.text or "").strip()
    if not text:
        raise InvalidElement("the termination time is empty", TERMINATION)
    return text


def _content(topic: Topic, news: DocumentNews) -> Element:
    item = news.returned.object
    if topic is Topic.MINIMAL:
        if not isinstance(item, RegisteredEntry):
            raise MalformedRequest("only documents have a minimal form")
        return retrieve_request([DocumentRequest(item.repository_unique_id, item.unique_id, item.home)])
    request = etree.Element(qname(LCM, "SubmitObjectsRequest"), nsmap={"lcm": LCM})
    objects = b"".join(map(object_text, (news.returned, *news.sets)))
    request.append(
        etree.fromstring(b'<RegistryObjectList xmlns="%b">%b</RegistryObjectList>' % (RIM.encode(), objects))
    )
    return request


def _element(name: str) -> Element:
    return etree.Element(qname(NS.WSNT, name), nsmap={"wsnt": NS.WSNT, "wsa": NS.WSA, "xsi": NS.XSI})


def _reference(parent: Element, name: str, address: str) -> None:
    reference = etree.SubElement(parent, qname(NS.WSNT, name))
    etree.SubElement(reference, qname(NS.WSA, "Address")).text = address


def _add(parent: Element, name: str, text: str | None) -> Element:
    child = etree.SubElement(parent, qname(NS.WSNT, name))
    child.text = text
    return child


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

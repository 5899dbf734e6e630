"""Subscriptions to documents ⇄ FHIR Subscription (rest-hook).

Source: FHIR R4 Subscription; DSUBm (ITI TF-2: 3.110).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from ihe.errors import Finding, InvalidElement, MissingElement, Refused
from xds.domain.document_subscription import Channel, DocumentSubscription, StoredDocumentSubscription, Topic
from xds.translate.subscription_criteria import read_criteria

CRITERIA_TYPES: Final = ("DocumentReference", "List")
_PAYLOADS: Final = ("application/fhir+json", "application/fhir+xml")


def is_of_documents(resource: Mapping[str, Any]) -> bool:
    """Whether the criteria of a Subscription are about documents."""
    return str(resource.get("criteria", "")).partition("?")[0] in CRITERIA_TYPES


def read_subscription_resource(resource: Mapping[str, Any]) -> DocumentSubscription:
    """Read a Subscription.

    Raises:
        Refused: channel, payload or criteria are not offered.
        MissingElement: no endpoint.
        InvalidElement: the endpoint is no HTTP address, a header line is none, or a criterion is malformed.
    """
    channel = resource["channel"]
    if channel.get("type") != "rest-hook":
        raise _not_offered("documents are told of by rest-hook", "Subscription.channel.type")
    payload = str(channel.get("payload") or "").partition(";")[0].strip()
    if payload and payload not in _PAYLOADS:
        raise _not_offered("the payloads offered are " + " and ".join(_PAYLOADS), "Subscription.channel.payload")
    headers = tuple(str(line) for line in channel.get("header", ()))
    for line in headers:
        name, separator, value = line.partition(":")
        if not separator or not name.strip() or not (name + value).isascii() or not (name + value).isprintable():
            raise InvalidElement("a header is written Name: value", "Subscription.channel.header")
    criteria = str(resource["criteria"])
    wish = DocumentSubscription(
        channel=Channel.REST_HOOK,
        topic=_topic(criteria, payload),
        endpoint=_endpoint(channel),
        criteria=criteria,
        ends_at=_instant(resource.get("end")),
        payload=payload,
        headers=headers,
        is_active=resource.get("status") in ("requested", "active"),
        resource=_without_secrets(resource),
    )
    read_criteria(wish)
    return wish


def document_subscription_resource(stored: StoredDocumentSubscription) -> dict[str, Any]:
    """The Subscription as it stands."""
    resource = stored.wish.resource
    return {
        "resourceType": "Subscription",
        "id": stored.id,
        "meta": {"versionId": str(stored.version)},
        "status": "active" if stored.wish.is_active else "off",
        **{name: resource[name] for name in ("contact", "end", "reason", "criteria") if name in resource},
        "channel": resource["channel"],
    }


def _topic(criteria: str, payload: str) -> Topic:
    if criteria.startswith("List"):
        return Topic.SUBMISSION_SET
    return Topic.FULL if payload else Topic.MINIMAL


def _endpoint(channel: Mapping[str, Any]) -> str:
    endpoint = str(channel.get("endpoint") or "")
    if not endpoint:
        raise MissingElement("the endpoint is missing", "Subscription.channel.endpoint")
    try:
        address = urlsplit(endpoint)
        is_address = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise InvalidElement("the endpoint is no HTTP address", "Subscription.channel.endpoint")
    return endpoint.rstrip("/")


def _instant(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidElement("the end is no instant", "Subscription.end")
    return found


def _without_secrets(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource without header lines, which may hold what only the subscriber knows."""
    channel = {name: value for name, value in resource["channel"].items() if name not in ("header", "_header")}
    kept = {name: value for name, value in resource.items() if name not in ("id", "meta", "status", "text")}
    return {**kept, "channel": channel}


def _not_offered(message: str, location: str) -> Refused:
    return Refused([Finding("not-supported", message, location)])

"""Subscriptions to patients ⇄ FHIR Subscription.

Source: ITI TF-2: 3.94.4.1.2 (PMIR Subscription); FHIR R4 Subscription.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from ihe.errors import Finding, InvalidElement, MissingElement, Refused
from ihe.values import AssigningAuthority
from mpi.domain.subscription import StoredSubscription
from mpi.translate.fhir_patient import parse_system

CHANNELS: Final = ("message", "rest-hook")
_PAYLOADS: Final = ("application/fhir+json", "application/fhir+xml")


def read_channel(resource: Mapping[str, Any]) -> tuple[str, str, str, tuple[str, ...]]:
    """Channel, endpoint, payload and header lines.

    Raises:
        Refused: a channel or payload that is not offered.
        MissingElement: no endpoint, or a message without payload.
        InvalidElement: the endpoint is no HTTP address, or a header line is none.
    """
    channel = resource["channel"]
    kind = str(channel.get("type"))
    if kind not in CHANNELS:
        raise _not_offered("the channels offered are message and rest-hook", "Subscription.channel.type")
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
    payload = str(channel.get("payload") or "").partition(";")[0].strip()
    if payload and payload not in _PAYLOADS:
        raise _not_offered("the payloads offered are " + " and ".join(_PAYLOADS), "Subscription.channel.payload")
    if kind == "message" and not payload:
        raise MissingElement("a message needs a payload", "Subscription.channel.payload")
    headers = tuple(str(line) for line in channel.get("header", ()))
    for line in headers:
        name, separator, value = line.partition(":")
        if not separator or not name.strip() or not (name + value).isascii() or not (name + value).isprintable():
            raise InvalidElement("a header is written Name: value", "Subscription.channel.header")
    return kind, endpoint.rstrip("/"), payload, headers


def read_criteria(resource: Mapping[str, Any]) -> tuple[tuple[AssigningAuthority, ...], str | None]:
    """The authorities whose patients are wanted (none: all), and the one local id.

    Raises:
        Refused: criteria that are not offered.
        InvalidElement: an identifier is malformed.
    """
    where = "Subscription.criteria"
    path, _, query = str(resource["criteria"]).partition("?")
    if path != "Patient":
        raise _not_offered("subscriptions to Patient are offered", where)
    authorities: list[AssigningAuthority] = []
    values: list[str] = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name != "identifier":
            raise _not_offered("patients are chosen by identifier=system| or identifier=system|value", where)
        for token in value.split(","):
            system, _, local_id = token.partition("|")
            try:
                authorities.append(parse_system(system))
            except ValueError as error:
                raise InvalidElement(f"an identifier is malformed: {error}", where) from error
            if local_id:
                values.append(local_id)
    if values and len(authorities) > 1:
        raise _not_offered("one patient, or all of some domains", where)
    return tuple(authorities), values[0] if values else None


def _not_offered(message: str, location: str) -> Refused:
    return Refused([Finding("not-supported", message, location)])


def without_secrets(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource without header lines, which may hold what only the subscriber knows."""
    channel = {name: value for name, value in resource["channel"].items() if name not in ("header", "_header")}
    kept = {name: value for name, value in resource.items() if name not in ("id", "meta", "status", "text")}
    return {**kept, "channel": channel}


def subscription_resource(stored: StoredSubscription) -> dict[str, Any]:
    """The Subscription as it stands."""
    resource = dict(stored.wish.resource)
    profile = "https://profiles.ihe.net/ITI/PMIR/StructureDefinition/IHE.PMIR.Subscription"
    return {
        "resourceType": resource.pop("resourceType"),
        "id": str(stored.id),
        "meta": {"versionId": str(stored.version), "profile": [profile]},
        "status": "active" if stored.wish.is_active else "off",
        **{name: resource[name] for name in ("contact", "end", "reason", "criteria", "error") if name in resource},
        "channel": resource["channel"],
    }

"""Where a domain is told of its patients, as the region's table states it: over HL7 v2, HL7 v3 or FHIR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ihe.values import Oid
from region.community_rows import is_oid


@dataclass(frozen=True, slots=True)
class Notification:
    """Where PIX update notifications (ITI-10) of a domain go.

    Attributes:
        enabled: whether they are sent at all.
        host, port: MLLP address of the consumer.
        application, facility: MSH-5 and MSH-6.
    """

    enabled: bool
    host: str
    port: int
    application: str
    facility: str


@dataclass(frozen=True, slots=True)
class SoapNotification:
    """Where PIX update notifications of a domain go over HL7 v3 (ITI-46).

    Attributes:
        enabled: whether they are sent at all.
        url: of the consumer's SOAP endpoint.
        device: OID of the consumer.
    """

    enabled: bool
    url: str
    device: Oid


@dataclass(frozen=True, slots=True)
class FhirNotification:
    """Where messages about the patients of a domain go over FHIR (ITI-93).

    Attributes:
        enabled: whether they are sent at all.
        url: to which the messages are posted.
    """

    enabled: bool
    url: str


_NOTIFICATION: Mapping[str, type] = {
    "enabled": bool,
    "host": str,
    "port": int,
    "application": str,
    "facility": str,
}
_SOAP: Mapping[str, type] = {"enabled": bool, "url": str, "device": str}
_FHIR: Mapping[str, type] = {"enabled": bool, "url": str}


def read_notification(given: Mapping[str, Any]) -> Notification:
    """Read the keys of a notification over HL7 v2.

    Raises:
        ValueError: what is wrong with them.
    """
    _check_kinds(given, _NOTIFICATION)
    if not 1 <= given["port"] <= 65535:
        raise ValueError("has a port outside 1 to 65535")
    return Notification(**given)


def read_soap_notification(given: Mapping[str, Any]) -> SoapNotification:
    """Read the keys of a notification over HL7 v3.

    Raises:
        ValueError: what is wrong with them.
    """
    _check_kinds(given, _SOAP)
    if not _is_http(given["url"]) or not is_oid(given["device"]):
        raise ValueError("needs an http address and an OID")
    return SoapNotification(given["enabled"], given["url"], Oid(given["device"]))


def read_fhir_notification(given: Mapping[str, Any]) -> FhirNotification:
    """Read the keys of a notification over FHIR.

    Raises:
        ValueError: what is wrong with them.
    """
    _check_kinds(given, _FHIR)
    if not _is_http(given["url"]):
        raise ValueError("needs an http address")
    return FhirNotification(**given)


def _check_kinds(given: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    if given.keys() != kinds.keys() or not all(type(given[key]) is kind for key, kind in kinds.items()):
        raise ValueError(f"needs exactly {', '.join(kinds)}")


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))

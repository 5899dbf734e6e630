"""An audit event as a DICOM AuditMessage.

Source: DICOM PS3.15 A.5; ITI TF-2: 3.20.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from lxml import etree

from ihe.audit import AuditEvent

_EVENT_NAMES = {
    "110100": "Application Activity",
    "110106": "Export",
    "110107": "Import",
    "110110": "Patient Record",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
}
"""Event identifiers of DICOM CID 400."""
_PURPOSES = {"normal": "TREAT", "bris_de_glace": "BTG", "centre_15": "ETREAT"}
"""Codes of the HL7 value set PurposeOfUse."""


@dataclass(frozen=True, slots=True)
class AuditSource:
    """Who writes the trail.

    Attributes:
        source_id: AuditSourceID: this system, by name.
        site_id: AuditEnterpriseSiteID: an OID, or ``None``.
        names: name of each transaction by its number (``ITI-9``: ``PIX Query``).
    """

    source_id: str
    site_id: str | None
    names: Mapping[str, str]


def audit_message(event: AuditEvent, source: AuditSource) -> bytes:
    """The event as XML without declaration, UTF-8."""
    message = etree.Element("AuditMessage")
    name = source.names.get(event.transaction, event.transaction)
    identification = etree.SubElement(
        message,
        "EventIdentification",
        EventActionCode=event.event_action,
        EventDateTime=event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        EventOutcomeIndicator=str(int(event.outcome)),
    )
    _code(identification, "EventID", event.event_code, "DCM", _EVENT_NAMES.get(event.event_code, event.event_code))
    _code(identification, "EventTypeCode", event.transaction, "IHE Transactions", name)
    if event.reason is not None:
        etree.SubElement(identification, "EventOutcomeDescription").text = event.reason
    purpose = _PURPOSES.get(event.purpose, event.purpose)
    _code(identification, "PurposeOfUse", purpose, "2.16.840.1.113883.5.8", event.purpose)
    _requesting_system(message, event)
    if event.user is not None:
        etree.SubElement(message, "ActiveParticipant", UserID=event.user, UserIsRequestor="true")
    ours = etree.SubElement(message, "ActiveParticipant", UserID=source.source_id, UserIsRequestor="false")
    _code(ours, "RoleIDCode", "110152", "DCM", "Destination Role ID")
    identity = etree.SubElement(message, "AuditSourceIdentification", AuditSourceID=source.source_id)
    if source.site_id is not None:
        identity.set("AuditEnterpriseSiteID", source.site_id)
    _code(identity, "AuditSourceTypeCode", "4", None, "Application Server process or thread")
    for item in event.objects:
        _participant_object(message, item, event, name)
    return bytes(etree.tostring(message, encoding="utf-8", xml_declaration=False))


def _requesting_system(message: etree._Element, event: AuditEvent) -> None:
    system = etree.SubElement(message, "ActiveParticipant", UserID=event.node, UserIsRequestor="true")
    if event.site is not None:
        system.set("AlternativeUserID", event.site)
    system.set("NetworkAccessPointID", event.node)
    system.set("NetworkAccessPointTypeCode", "2" if _is_address(event.node) else "1")
    _code(system, "RoleIDCode", "110153", "DCM", "Source Role ID")


def _is_address(node: str) -> bool:
    try:
        ipaddress.ip_address(node)
    except ValueError:
        return False
    return True


def _participant_object(message: etree._Element, item: Mapping[str, Any], event: AuditEvent, name: str) -> None:
    details = {key: value for key, value in item.items() if key not in ("kind", "id", "text")}
    if item["kind"] == "patient":
        entry = _object(message, item["id"], "1", "1", ("2", "RFC-3881", "Patient Number"))
    elif item["kind"] == "query":
        entry = _object(message, item["id"], "2", "24", (event.transaction, "IHE Transactions", name))
        etree.SubElement(entry, "ParticipantObjectQuery").text = _base64(str(item.get("text", item["id"])))
    elif details.get("role") == "submission set":
        code = ("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "IHE XDS Metadata")
        entry = _object(message, item["id"], "2", "20", (*code, "submission set classificationNode"))
        details.pop("role")
    else:
        entry = _object(message, item["id"], "2", "3", ("9", "RFC-3881", "Report Number"))
    for key, value in details.items():
        kind = "Repository Unique Id" if key == "repository" else key
        etree.SubElement(entry, "ParticipantObjectDetail", type=kind, value=_base64(str(value)))


def _object(
    message: etree._Element, identifier: str, kind: str, role: str, id_type: tuple[str, str, str]
) -> etree._Element:
    entry = etree.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=identifier,
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _code(entry, "ParticipantObjectIDTypeCode", *id_type)
    return entry


def _code(parent: etree._Element, element: str, code: str, system: str | None, meaning: str) -> None:
    coded = etree.SubElement(parent, element, {"csd-code": code})
    if system is not None:
        coded.set("codeSystemName", system)
    coded.set("originalText", meaning)


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode("ascii")

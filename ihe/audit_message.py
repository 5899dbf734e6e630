"""An audit event as a DICOM AuditMessage.

Whoever sends the data is the source, whoever gets it the destination: of a question that is who asks, of a retrieval
(export, transfer of instances) and of what is sent from here it is this service.

Source: DICOM PS3.15 A.5; ITI TF-2: 3.20, and the security considerations of each transaction.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

from lxml import etree

from ihe.audit import AuditEvent

EVENT_NAMES: Final = {
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110104": "DICOM Instances Transferred",
    "110106": "Export",
    "110107": "Import",
    "110110": "Patient Record",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
}
"""Event identifiers of DICOM CID 400."""
APPLICATION_START: Final = "110120"
APPLICATION_STOP: Final = "110121"
ACTIVITY_NAMES: Final = {APPLICATION_START: "Application Start", APPLICATION_STOP: "Application Stop"}
NODE_AUTHENTICATION: Final = "110126"
DICOM_TYPES: Final = {**ACTIVITY_NAMES, NODE_AUTHENTICATION: "Node Authentication"}
"""Types of DICOM's own events, which stand where other events have the number of a transaction."""
PURPOSES: Final = {"normal": "TREAT", "bris_de_glace": "BTG", "centre_15": "ETREAT"}
"""Codes of the HL7 value set PurposeOfUse."""
DESTINATION: Final = "destination"
"""Kind of the object that names the other end of what was sent from here; it is a participant, no object."""
_SENT_FROM_HERE: Final = frozenset({"110104", "110106"})
_XDS: Final = "IHE XDS Metadata"
_REMOVED: Final = ("urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", _XDS, "document entry object type")
_DETAILS: Final = {"repository": "Repository Unique Id", "home": "ihe:homeCommunityID"}


@dataclass(frozen=True, slots=True)
class AuditSource:
    """Who writes the trail.

    Attributes:
        source_id: AuditSourceID: this system, by name.
        site_id: AuditEnterpriseSiteID: an OID, or ``None``.
        names: name of each transaction by its number (``ITI-9``: ``PIX Query``).
        rest: numbers of the transactions that are FHIR's REST interactions.
        host, process: of this system.
    """

    source_id: str
    site_id: str | None
    names: Mapping[str, str]
    rest: frozenset[str] = frozenset()
    host: str = field(default_factory=lambda: socket.gethostname() or "localhost")
    process: str = field(default_factory=lambda: str(os.getpid()))


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of an exchange.

    Attributes:
        other: the system at the other end.
        we_send: whether the data goes from here to there.
        we_ask: whether it was this service that began.
    """

    other: str
    we_send: bool
    we_ask: bool


def ends_of(event: AuditEvent) -> Ends:
    """Who was at the other end of an event, and which way the data went."""
    if event.transaction == NODE_AUTHENTICATION:  # who reports it is this service; the other end tried to come in
        return Ends(event.node, we_send=False, we_ask=True)
    told = next((str(each["id"]) for each in event.objects if each["kind"] == DESTINATION), None)
    return Ends(told or event.node, told is not None or event.event_code in _SENT_FROM_HERE, told is not None)


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
    _code(identification, "EventID", event.event_code, "DCM", EVENT_NAMES.get(event.event_code, event.event_code))
    name = DICOM_TYPES.get(event.transaction, name)
    types = "DCM" if event.transaction in DICOM_TYPES else "IHE Transactions"
    _code(identification, "EventTypeCode", event.transaction, types, name)
    if event.reason is not None:
        etree.SubElement(identification, "EventOutcomeDescription").text = event.reason
    purpose = PURPOSES.get(event.purpose, event.purpose)
    _code(identification, "PurposeOfUse", purpose, "2.16.840.1.113883.5.8", event.purpose)
    if event.transaction in ACTIVITY_NAMES:
        _activity(message, event, source)
    else:
        _participants(message, event, source)
    identity = etree.SubElement(message, "AuditSourceIdentification", AuditSourceID=source.source_id)
    if source.site_id is not None:
        identity.set("AuditEnterpriseSiteID", source.site_id)
    _code(identity, "AuditSourceTypeCode", "4", None, "Application Server process or thread")
    for item in event.objects:
        if item["kind"] != DESTINATION:
            _participant_object(message, item, event, name)
    return bytes(etree.tostring(message, encoding="utf-8", xml_declaration=False))


def _participants(message: etree._Element, event: AuditEvent, source: AuditSource) -> None:
    ends = ends_of(event)
    other = _system(message, ends.other, ends.other, is_source=not ends.we_send, asks=not ends.we_ask)
    if event.site is not None and not ends.we_ask:
        other.set("AlternativeUserID", event.site)
    if event.user is not None:
        etree.SubElement(message, "ActiveParticipant", UserID=event.user, UserIsRequestor="true")
    ours = _system(message, source.source_id, source.host, is_source=ends.we_send, asks=ends.we_ask)
    ours.set("AlternativeUserID", source.process)


def _activity(message: etree._Element, event: AuditEvent, source: AuditSource) -> None:
    """The application that starts or stops, and who has it start or stop (DICOM PS3.15 A.5.3.1)."""
    ours = etree.SubElement(message, "ActiveParticipant", UserID=source.source_id, UserIsRequestor="false")
    ours.set("AlternativeUserID", source.process)
    ours.set("NetworkAccessPointID", event.node)
    ours.set("NetworkAccessPointTypeCode", "2" if is_address(event.node) else "1")
    _code(ours, "RoleIDCode", "110150", "DCM", "Application")
    launcher = etree.SubElement(message, "ActiveParticipant", UserID=event.user or "unknown", UserIsRequestor="true")
    _code(launcher, "RoleIDCode", "110151", "DCM", "Application Launcher")


def _system(message: etree._Element, user_id: str, host: str, *, is_source: bool, asks: bool) -> etree._Element:
    system = etree.SubElement(message, "ActiveParticipant", UserID=user_id, UserIsRequestor=str(asks).lower())
    system.set("NetworkAccessPointID", host)
    system.set("NetworkAccessPointTypeCode", "2" if is_address(host) else "1")
    role = ("110153", "Source Role ID") if is_source else ("110152", "Destination Role ID")
    _code(system, "RoleIDCode", role[0], "DCM", role[1])
    return system


def is_address(node: str) -> bool:
    """Whether a system is named by its address."""
    try:
        ipaddress.ip_address(node)
    except ValueError:
        return False
    return True


def _participant_object(message: etree._Element, item: Mapping[str, Any], event: AuditEvent, name: str) -> None:
    details = {key: value for key, value in item.items() if key not in ("kind", "id", "text", "role")}
    match item["kind"], item.get("role"):
        case "patient", _:
            entry = _object(message, item["id"], "1", "1", ("2", "RFC-3881", "Patient Number"))
        case "query", _:
            entry = _object(message, item["id"], "2", "24", (event.transaction, "IHE Transactions", name))
            etree.SubElement(entry, "ParticipantObjectQuery").text = _base64(str(item.get("text", item["id"])))
            details["QueryEncoding"] = "UTF-8"
        case "study", _:
            entry = _object(message, item["id"], "2", "3", ("110180", "DCM", "Study Instance UID"))
        case "document", "submission set":
            node = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
            entry = _object(message, item["id"], "2", "20", (node, _XDS, "submission set classificationNode"))
        case "document", "removed":
            entry = _object(message, item["id"], "2", "3", _REMOVED)
        case "document", _:
            entry = _object(message, item["id"], "2", "3", ("9", "RFC-3881", "Report Number"))
        case "node", _:
            entry = _object(message, item["id"], "2", "13", ("110182", "DCM", "Node ID"))
        case kind, _:
            entry = _object(message, item["id"], "2", "13", (kind, "Trait d'Union", kind))
    for key, value in details.items():
        etree.SubElement(entry, "ParticipantObjectDetail", type=_DETAILS.get(key, key), value=_base64(str(value)))


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

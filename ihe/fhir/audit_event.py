"""An audit event as a FHIR AuditEvent: of FHIR's own interactions in the shape of Basic Audit Log Patterns (BALP), of
other transactions with the DICOM codes that their audit messages have.

Source: IHE BALP 1.1; ITI TF-2: 3.81; HL7 FHIR R4 AuditEvent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from ihe.audit import AuditEvent
from ihe.audit_message import DESTINATION, DICOM_TYPES, EVENT_NAMES, PURPOSES, AuditSource, ends_of, is_address

Json = dict[str, Any]
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE: Final = "urn:ihe:event-type-code"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"
_BALP_TYPES: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_INTERACTIONS: Final = {"C": "create", "R": "read", "U": "update", "D": "delete", "E": "search"}
_PATTERNS: Final = {"C": "Create", "R": "Read", "U": "Update", "D": "Delete", "E": "Query"}
_CX: Final = re.compile(r"(?P<value>[^^]+)\^\^\^[^&^]*&(?P<oid>[0-9.]+)&ISO(?:\^.*)?")
_TYPES: Final = {"1": "Person", "2": "System Object"}
_ROLES: Final = {
    "patient": ("1", "1", "Patient"),
    "query": ("2", "24", "Query"),
    "study": ("2", "3", "Report"),
    "document": ("2", "3", "Report"),
}


def audit_event(event_id: int, event: AuditEvent, source: AuditSource) -> Json:
    """The resource.

    Args:
        event_id: under which the trail keeps it.
    """
    is_rest = event.transaction in source.rest
    if event.transaction in DICOM_TYPES:
        codes = [_coding(DCM, event.transaction, DICOM_TYPES[event.transaction])]
    else:
        codes = [_coding(EVENT_TYPE, event.transaction, source.names.get(event.transaction, event.transaction))]
    if is_rest:
        interaction = _INTERACTIONS[event.event_action]
        codes.insert(0, _coding("http://hl7.org/fhir/restful-interaction", interaction, interaction))
    resource: Json = {
        "resourceType": "AuditEvent",
        "id": str(event_id),
        "type": _coding(f"{_TERMINOLOGY}/audit-event-type", "rest", "Restful Operation")
        if is_rest
        else _coding(DCM, event.event_code, EVENT_NAMES.get(event.event_code, event.event_code)),
        "subtype": codes,
        "action": event.event_action,
        "recorded": event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "outcome": str(int(event.outcome)),
    }
    if is_rest and event.reason is None:
        has_patient = any(each["kind"] == "patient" for each in event.objects)
        resource["meta"] = {"profile": [f"{_BALP}.{'Patient' if has_patient else ''}{_PATTERNS[event.event_action]}"]}
    if event.reason is not None:
        resource["outcomeDesc"] = event.reason
    resource["purposeOfEvent"] = [
        {"coding": [_coding(f"{_TERMINOLOGY}/v3-ActReason", PURPOSES.get(event.purpose, event.purpose), event.purpose)]}
    ]
    resource["agent"] = list(_agents(event, source))
    observer = {"display": source.source_id}
    resource["source"] = {
        **({"site": source.site_id} if source.site_id else {}),
        "observer": observer,
        "type": [_coding(f"{_TERMINOLOGY}/security-source-type", "4", "Application Server")],
    }
    entities = [_entity(each) for each in event.objects if each["kind"] != DESTINATION]
    entities.append(
        {
            "what": {"identifier": {"value": event.correlation_id}},
            "type": _coding(_BALP_TYPES, "XrequestId", "X-Request-Id"),
        }
    )
    resource["entity"] = entities
    return resource


def _agents(event: AuditEvent, source: AuditSource) -> list[Json]:
    ends = ends_of(event)
    other = _system(ends.other, ends.other, is_source=not ends.we_send, asks=not ends.we_ask and event.user is None)
    if event.site is not None and not ends.we_ask:
        other["altId"] = event.site
    ours = _system(source.source_id, source.host, is_source=ends.we_send, asks=ends.we_ask and event.user is None)
    agents = [other, ours]
    if event.user is not None:
        role = _coding(f"{_TERMINOLOGY}/v3-ParticipationType", "IRCP", "information recipient")
        user = {"type": {"coding": [role]}, "who": {"identifier": {"value": event.user}}, "requestor": True}
        agents.append(user)
    return agents


def _system(name: str, host: str, *, is_source: bool, asks: bool) -> Json:
    role = ("110153", "Source Role ID") if is_source else ("110152", "Destination Role ID")
    return {
        "type": {"coding": [_coding(DCM, *role)]},
        "who": {"display": name},
        "requestor": asks,
        "network": {"address": host, "type": "2" if is_address(host) else "1"},
    }


def _entity(item: Mapping[str, Any]) -> Json:
    kind = str(item["kind"])
    type_code, role_code, role = _ROLES.get(kind, ("2", "13", "Security Resource"))
    entity: Json = {
        "what": {"identifier": _identifier(kind, str(item["id"]))},
        "type": _coding(
            f"{_TERMINOLOGY}/audit-entity-type", type_code, "Person" if type_code == "1" else "System Object"
        ),
        "role": _coding(f"{_TERMINOLOGY}/object-role", role_code, role),
    }
    if kind == "query":
        entity["what"] = {"display": str(item["id"])}
        entity["query"] = base64.b64encode(str(item.get("text", item["id"])).encode()).decode("ascii")
    details = {name: value for name, value in item.items() if name not in ("kind", "id", "text")}
    if details:
        entity["detail"] = [{"type": name, "valueString": str(value)} for name, value in details.items()]
    return entity


def _identifier(kind: str, value: str) -> Json:
    found = _CX.fullmatch(value)
    if found:
        return {"system": f"urn:oid:{found['oid']}", "value": found["value"]}
    if kind in ("document", "study") and re.fullmatch(r"[0-9.]+", value):
        return {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{value}"}
    return {"value": value}


def _coding(system: str, code: str, display: str) -> Json:
    return {"system": system, "code": code, "display": display}

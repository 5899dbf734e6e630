"""What a patient says of the sharing of data ⇄ FHIR Consent.

One Consent for each matter: ``provision.action`` says which (``collect``: standing in the index, ``disclose``: feeding,
``access``: consultation, with an actor: by one professional), ``provision.type`` what is said.

Source: IHE PCF, Explicit Basic Consent; ITI TF-2: 3.108; HL7 FHIR R4 Consent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ihe.errors import InvalidElement, MissingElement
from ihe.values import PatientId
from mpi.domain.consent import Consent, Stance, Statement, Subject
from mpi.translate.fhir_patient import identifier, parse_token

Json = dict[str, Any]
ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
_ACT: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_PROFESSIONALS: Final = "urn:oid:1.2.250.1.71.4.2.1"
_PROFILE: Final = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"
_ACTIONS: Final = {
    Subject.INDEXING: "collect",
    Subject.FEEDING: "disclose",
    Subject.CONSULTATION: "access",
    Subject.PROFESSIONAL: "access",
}
_TYPES: Final = {Stance.AGREES: "permit", Stance.OPPOSES: "deny"}


def consent_resource(consent: Consent) -> Json:
    """The resource."""
    patient = {"identifier": identifier(PatientId.from_xds_cx(consent.patient_id))}
    provision: Json = {"action": [{"coding": [{"system": ACTION, "code": _ACTIONS[consent.subject]}]}]}
    if consent.stance in _TYPES:
        provision["type"] = _TYPES[consent.stance]
    if consent.professional:
        recipient = {"coding": [{"system": _ROLE, "code": "IRCP"}]}
        who = {"identifier": {"system": _PROFESSIONALS, "value": consent.professional}}
        provision["actor"] = [{"role": recipient, "reference": who}]
    opts = "OPTOUT" if consent.stance is Stance.OPPOSES else "OPTIN"
    return {
        "resourceType": "Consent",
        "id": str(consent.first_id),
        "meta": {
            "versionId": str(consent.id),
            "lastUpdated": consent.stated_at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "profile": [_PROFILE],
        },
        "status": "inactive" if consent.stance is Stance.UNKNOWN else "active",
        "scope": {"coding": [{"system": _SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": patient,
        "dateTime": consent.since.astimezone(UTC).isoformat(timespec="seconds"),
        "performer": [patient],
        "organization": [{"display": consent.stated_for or "REGION"}],
        "policyRule": {"coding": [{"system": _ACT, "code": opts}]},
        "provision": provision,
    }


def read_consent(resource: Mapping[str, Any]) -> tuple[PatientId, Statement]:
    """Whose it is, and what is said.

    Raises:
        MissingElement: patient, action or type is missing.
        InvalidElement: it is not what can be kept here.
    """
    named = resource.get("patient", {}).get("identifier", {})
    try:
        patient_id = parse_token(f"{named.get('system', '')}|{named.get('value', '')}")
    except (LookupError, ValueError) as error:
        raise MissingElement("the patient is named by identifier: system and value", "Consent.patient") from error
    if any(c.get("code") != "patient-privacy" for c in resource.get("scope", {}).get("coding", [])):
        raise InvalidElement("consents to privacy are kept here", "Consent.scope")
    provision = resource.get("provision", {})
    if provision.get("provision"):
        raise InvalidElement("one matter is one Consent; exceptions are others", "Consent.provision.provision")
    coded = [c for each in provision.get("action", []) for c in each.get("coding", []) if c.get("system") == ACTION]
    if len(coded) != 1:
        raise MissingElement("one action: collect, disclose or access", "Consent.provision.action")
    professional = _professional(provision)
    subject = next((s for s, action in _ACTIONS.items() if action == coded[0].get("code")), None)
    if subject is None or (professional and subject is not Subject.CONSULTATION):
        raise InvalidElement("the action is collect, disclose or access", "Consent.provision.action")
    if professional:
        subject = Subject.PROFESSIONAL
    return patient_id, Statement(subject, _stance(resource, provision), _moment(resource), professional)


def _stance(resource: Mapping[str, Any], provision: Mapping[str, Any]) -> Stance:
    status = resource.get("status")
    if status == "inactive":
        return Stance.UNKNOWN
    if status != "active":
        raise InvalidElement("what holds is active, what holds no more inactive", "Consent.status")
    stance = next((s for s, kind in _TYPES.items() if kind == provision.get("type")), None)
    if stance is None:
        raise MissingElement("the type is permit or deny", "Consent.provision.type")
    return stance


def _professional(provision: Mapping[str, Any]) -> str:
    actors = provision.get("actor", [])
    if not actors:
        return ""
    named = [str(each.get("reference", {}).get("identifier", {}).get("value", "")) for each in actors]
    if len(named) != 1 or not (4 <= len(named[0]) <= 40 and named[0].isprintable()):
        raise InvalidElement("one professional, by identifier", "Consent.provision.actor")
    return named[0]


def _moment(resource: Mapping[str, Any]) -> datetime | None:
    stated = resource.get("dateTime")
    if stated is None:
        return None
    read = stated if isinstance(stated, datetime) else None
    try:
        read = read or datetime.fromisoformat(str(stated))
    except ValueError as error:
        raise InvalidElement("the date is not readable", "Consent.dateTime") from error
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)

"""DocumentEntry → FHIR DocumentReference (MHD 4.2 comprehensive, PDSm).

Elements are written in the order of the resource's definition, which XML needs.

Source: MHD 4.2 (ITI TF-3: 4.5.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ihe.values import PatientId
from xds.domain.model import AssociationType, Availability, DocumentEntry
from xds.translate.fhir_people import Contained
from xds.translate.fhir_terms import (
    URI_SYSTEM,
    Json,
    coding,
    concept,
    date_time,
    hash_to_base64,
    instant,
    patient_identifier,
    reference_identifier,
    unique_identifier,
)

PROFILES: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition"
COMPREHENSIVE: Final = f"{PROFILES}/IHE.MHD.Comprehensive.DocumentReference"
MINIMAL: Final = f"{PROFILES}/IHE.MHD.Minimal.DocumentReference"
_LARGEST_SIZE: Final = 2**31 - 1

RELATIONS: Final[tuple[tuple[AssociationType, tuple[str, ...]], ...]] = (
    (AssociationType.REPLACES, ("replaces",)),
    (AssociationType.TRANSFORMS, ("transforms",)),
    (AssociationType.SIGNS, ("signs",)),
    (AssociationType.APPENDS, ("appends",)),
    (AssociationType.TRANSFORMS_AND_REPLACES, ("transforms", "replaces")),
)
"""Associations between documents and their ``relatesTo.code``; both codes on one target are read as the last row."""

STATUSES: Final = ((Availability.APPROVED, "current"), (Availability.DEPRECATED, "superseded"))
"""availabilityStatus and ``DocumentReference.status``."""

_STATUS_OF: Final = dict(STATUSES)
_CODES_OF: Final[dict[str, tuple[str, ...]]] = {str(kind): codes for kind, codes in RELATIONS}


def resource_id(urn: str) -> str:
    """The logical id of a registry object's resource: its UUID."""
    return urn.removeprefix("urn:uuid:")


def subject(patient_id: PatientId, reference: str | None) -> Json:
    """Reference to the patient: by address where the index has a Patient for the identifier, and by identifier."""
    found: Json = {"reference": reference} if reference else {}
    return {**found, "identifier": patient_identifier(patient_id)}


def document_reference(
    entry: DocumentEntry,
    *,
    subject_reference: str | None,
    relations: Iterable[tuple[str, str]],
    registered_at: datetime,
    base_url: str,
) -> Json:
    """The resource of a registered entry.

    Args:
        subject_reference: ``Patient/<id>`` of the patient under whom it is returned, or ``None``.
        relations: association type and entryUUID of the target, of associations that start from the entry.
        base_url: of the FHIR service, without trailing slash.
    """
    contained = Contained()
    content: Json = {
        "type": concept(entry.type_code) if entry.type_code else None,
        "category": [concept(entry.class_code)] if entry.class_code else None,
        "subject": subject(entry.patient_id, subject_reference) if entry.patient_id else None,
        "date": instant(registered_at),
        "author": [found for author in entry.authors if (found := contained.author(author))],
        "authenticator": contained.person(entry.legal_authenticator) if entry.legal_authenticator else None,
        "custodian": _custodian(entry),
        "relatesTo": [
            {"code": code, "target": {"reference": f"DocumentReference/{resource_id(target)}"}}
            for kind, target in relations
            for code in _CODES_OF.get(kind, ())
        ],
        "description": entry.comments[0].value if entry.comments else None,
        "securityLabel": [concept(code) for code in entry.confidentiality_codes],
        "content": [_content(entry, base_url)],
        "context": _context(entry, contained),
    }
    head: Json = {
        "resourceType": "DocumentReference",
        "id": resource_id(entry.id),
        "meta": {
            "versionId": str(entry.version),
            "lastUpdated": instant(registered_at),
            "profile": [MINIMAL if entry.limited_metadata or not entry.source_patient_id else COMPREHENSIVE],
        },
        "contained": contained.resources,
        "masterIdentifier": unique_identifier(entry.unique_id) if entry.unique_id else None,
        "identifier": [{"use": "official", "system": URI_SYSTEM, "value": entry.id}],
        "status": _STATUS_OF[Availability(entry.status or Availability.APPROVED)],
    }
    return without_empty({**head, **content})


def without_empty(content: Json) -> Json:
    """The content without absent values: FHIR has no empty arrays, objects or texts."""
    return {name: value for name, value in content.items() if value not in (None, "", [], {})}


def _custodian(entry: DocumentEntry) -> Json | None:
    """Who keeps the document: the repository, by its identifier."""
    if not entry.repository_unique_id:
        return None
    return {"type": "Organization", "identifier": unique_identifier(entry.repository_unique_id)}


def _content(entry: DocumentEntry, base_url: str) -> Json:
    attachment = without_empty(
        {
            "contentType": entry.mime_type,
            "language": entry.language_code,
            "url": f"{base_url}/Binary/{resource_id(entry.id)}",
            "size": entry.size if entry.size is not None and entry.size <= _LARGEST_SIZE else None,
            "hash": hash_to_base64(entry.hash) if entry.hash else None,
            "title": entry.title[0].value if entry.title else None,
            "creation": date_time(entry.creation_time) if entry.creation_time else None,
        }
    )
    return without_empty({"attachment": attachment, "format": coding(entry.format_code) if entry.format_code else None})


def _context(entry: DocumentEntry, contained: Contained) -> Json:
    period = {
        "start": date_time(entry.service_start_time) if entry.service_start_time else None,
        "end": date_time(entry.service_stop_time) if entry.service_stop_time else None,
    }
    facility, setting = entry.healthcare_facility_type_code, entry.practice_setting_code
    return without_empty(
        {
            "event": [concept(code) for code in entry.event_code_list],
            "period": without_empty(period),
            "facilityType": concept(facility) if facility else None,
            "practiceSetting": concept(setting) if setting else None,
            "sourcePatientInfo": contained.source_patient(entry.source_patient_id, entry.source_patient_info),
            "related": [{"identifier": reference_identifier(each)} for each in entry.reference_id_list],
        }
    )

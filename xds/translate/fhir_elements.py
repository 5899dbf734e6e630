"""Which elements of the resources say what each attribute says; ``docs/mapping.md`` is made from these tables.

A test holds every row against what is written: a full object has each element, and not without the attribute.

Source: MHD 4.2 (ITI TF-3: 4.5.1).
"""

from __future__ import annotations

from typing import Final

Elements = tuple[tuple[str, tuple[str, ...]], ...]
"""Field of :mod:`xds.domain.model` and the paths of its elements below the resource; none where FHIR has no place."""

DOCUMENT_ELEMENTS: Final[Elements] = (
    ("id", ("id", "identifier[use=official].value", "content[0].attachment.url")),
    ("logical_id", ()),
    ("version", ("meta.versionId",)),
    ("object_type", ()),
    ("status", ("status",)),
    ("home", ()),
    ("unique_id", ("masterIdentifier",)),
    ("patient_id", ("subject.identifier",)),
    ("source_patient_id", ("contained[resourceType=Patient].identifier",)),
    ("source_patient_info", ("contained[resourceType=Patient].name", "contained[resourceType=Patient].birthDate")),
    ("title", ("content[0].attachment.title",)),
    ("comments", ("description",)),
    ("authors", ("author",)),
    ("legal_authenticator", ("authenticator",)),
    ("class_code", ("category",)),
    ("type_code", ("type",)),
    ("format_code", ("content[0].format",)),
    ("healthcare_facility_type_code", ("context.facilityType",)),
    ("practice_setting_code", ("context.practiceSetting",)),
    ("confidentiality_codes", ("securityLabel",)),
    ("event_code_list", ("context.event",)),
    ("creation_time", ("content[0].attachment.creation",)),
    ("service_start_time", ("context.period.start",)),
    ("service_stop_time", ("context.period.end",)),
    ("language_code", ("content[0].attachment.language",)),
    ("mime_type", ("content[0].attachment.contentType",)),
    ("hash", ("content[0].attachment.hash",)),
    ("size", ("content[0].attachment.size",)),
    ("uri", ()),
    ("repository_unique_id", ("custodian.identifier",)),
    ("document_availability", ()),
    ("reference_id_list", ("context.related",)),
    ("limited_metadata", ("meta.profile",)),
    ("extra", ()),
)

SUBMISSION_SET_ELEMENTS: Final[Elements] = (
    ("id", ("id", "identifier[use=official].value")),
    ("logical_id", ()),
    ("version", ("meta.versionId",)),
    ("status", ("status",)),
    ("home", ()),
    ("unique_id", ("identifier[use=usual].value",)),
    ("source_id", ("extension[url$=ihe-sourceId]",)),
    ("patient_id", ("subject.identifier",)),
    ("submission_time", ("date",)),
    ("title", ("title",)),
    ("comments", ("note",)),
    ("authors", ("source",)),
    ("content_type_code", ("extension[url$=ihe-designationType]",)),
    ("intended_recipients", ("extension[url$=ihe-intendedRecipient]",)),
    ("limited_metadata", ("meta.profile",)),
    ("extra", ()),
)

FOLDER_ELEMENTS: Final[Elements] = (
    ("id", ("id", "identifier[use=official].value")),
    ("logical_id", ()),
    ("version", ("meta.versionId",)),
    ("status", ("status",)),
    ("home", ()),
    ("unique_id", ("identifier[use=usual].value",)),
    ("patient_id", ("subject.identifier",)),
    ("title", ("title",)),
    ("comments", ("note",)),
    ("codes", ("extension[url$=ihe-designationType]",)),
    ("last_update_time", ("date",)),
    ("limited_metadata", ("meta.profile",)),
    ("extra", ()),
)

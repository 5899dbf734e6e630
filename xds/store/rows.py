"""Domain objects → table rows. Rows become objects by the order of their columns, see :mod:`xds.store.selecting`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ihe.values import Code, PatientId
from xds.domain.datatypes import code_key, dtm_start, is_dtm
from xds.domain.model import Association, Author, Availability, Described, DocumentEntry, Folder, SubmissionSet


def to_uuid(urn: str) -> uuid.UUID:
    """The UUID of a ``urn:uuid:``."""
    return uuid.UUID(urn.removeprefix("urn:uuid:"))


def to_urn(value: uuid.UUID) -> str:
    """``urn:uuid:`` and the UUID in lower case."""
    return f"urn:uuid:{value}"


def described_row(item: Described, anchor: PatientId, body: bytes, now: datetime) -> dict[str, Any]:
    """The row of an entry, set or folder whose identifiers are final."""
    assert item.patient_id is not None
    assert item.unique_id is not None
    row: dict[str, Any] = {
        "id": to_uuid(item.id),
        "logical_id": to_uuid(item.logical_id or item.id),
        "version": item.version,
        "status": item.status or Availability.APPROVED,
        "unique_id": item.unique_id,
        "patient_id": item.patient_id.xds_cx,
        "anchor": anchor.xds_cx,
        "home": item.home,
        "body": body,
        "registered_at": now,
    }
    if isinstance(item, DocumentEntry):
        return row | _entry_columns(item)
    if isinstance(item, SubmissionSet):
        return row | _set_columns(item)
    return row | _folder_columns(item, now)


def association_row(item: Association, body: bytes, now: datetime) -> dict[str, Any]:
    """The row of an association whose identifiers are final."""
    return {
        "id": to_uuid(item.id),
        "type": item.type,
        "source": to_uuid(item.source),
        "target": to_uuid(item.target),
        "status": item.status or Availability.APPROVED,
        "body": body,
        "registered_at": now,
    }


def _entry_columns(entry: DocumentEntry) -> dict[str, Any]:
    return {
        "on_demand": entry.is_on_demand,
        "mime_type": entry.mime_type,
        "repository_unique_id": entry.repository_unique_id,
        "hash": entry.hash.lower() if entry.hash else None,
        "size": entry.size,
        "source_patient_id": entry.source_patient_id.xds_cx if entry.source_patient_id else None,
        "class_code": _key(entry.class_code),
        "type_code": _key(entry.type_code),
        "format_code": _key(entry.format_code),
        "healthcare_facility_type_code": _key(entry.healthcare_facility_type_code),
        "practice_setting_code": _key(entry.practice_setting_code),
        "confidentiality_codes": [code_key(code) for code in entry.confidentiality_codes],
        "event_code_list": [code_key(code) for code in entry.event_code_list],
        "reference_id_list": list(entry.reference_id_list),
        "author_persons": _persons(entry.authors),
        "document_availability": entry.document_availability,
        "creation_time": _time(entry.creation_time),
        "service_start_time": _time(entry.service_start_time),
        "service_stop_time": _time(entry.service_stop_time),
    }


def _set_columns(item: SubmissionSet) -> dict[str, Any]:
    return {
        "source_id": item.source_id,
        "submission_time": _time(item.submission_time),
        "content_type_code": _key(item.content_type_code),
        "author_persons": _persons(item.authors),
    }


def _folder_columns(item: Folder, now: datetime) -> dict[str, Any]:
    return {"codes": [code_key(code) for code in item.codes], "last_update_time": now}


def _persons(authors: Iterable[Author]) -> list[str]:
    return [author.person for author in authors if author.person]


def _key(code: Code | None) -> str | None:
    return code_key(code) if code is not None else None


def _time(text: str | None) -> int | None:
    return dtm_start(text) if text is not None and is_dtm(text) else None

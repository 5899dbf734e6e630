"""SubmissionSet and Folder → FHIR List (MHD 4.2).

Source: MHD 4.2 (ITI TF-3: 4.5.1.2, 4.5.1.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from xds.domain.model import Author, Availability, Folder, SubmissionSet
from xds.translate.fhir_document import PROFILES, resource_id, subject, without_empty
from xds.translate.fhir_people import Contained
from xds.translate.fhir_terms import URI_SYSTEM, Json, concept, date_time, instant, unique_identifier

LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
SOURCE_ID: Final = f"{PROFILES}/ihe-sourceId"
DESIGNATION_TYPE: Final = f"{PROFILES}/ihe-designationType"
INTENDED_RECIPIENT: Final = f"{PROFILES}/ihe-intendedRecipient"
AUTHOR_ORGANIZATION: Final = f"{PROFILES}/ihe-authorOrg"
STATUSES: Final = ((Availability.APPROVED, "current"), (Availability.DEPRECATED, "retired"))
"""availabilityStatus and ``List.status``."""

_STATUS_OF: Final = dict(STATUSES)


def submission_set_list(
    item: SubmissionSet, *, subject_reference: str | None, members: Iterable[str], registered_at: datetime
) -> Json:
    """The List of a submission set.

    Args:
        subject_reference: ``Patient/<id>``, or ``None``.
        members: references of documents and folders in it, such as ``DocumentReference/<id>``.
    """
    contained = Contained()
    extensions: list[Json] = []
    if item.source_id:
        extensions.append({"url": SOURCE_ID, "valueIdentifier": unique_identifier(item.source_id)})
    if item.content_type_code:
        extensions.append({"url": DESIGNATION_TYPE, "valueCodeableConcept": concept(item.content_type_code)})
    extensions += [
        {"url": INTENDED_RECIPIENT, "valueReference": contained.recipient(each)} for each in item.intended_recipients
    ]
    source = _source(item.authors, contained)
    profile = "Minimal.SubmissionSet" if item.limited_metadata else "Comprehensive.SubmissionSet"
    date = date_time(item.submission_time) if item.submission_time else instant(registered_at)
    return _list(
        item, "submissionset", profile, contained, extensions, date, subject_reference, source, members, registered_at
    )


def folder_list(
    item: Folder, *, subject_reference: str | None, members: Iterable[str], registered_at: datetime
) -> Json:
    """The List of a folder; arguments as of :func:`submission_set_list`."""
    extensions: list[Json] = [{"url": DESIGNATION_TYPE, "valueCodeableConcept": concept(code)} for code in item.codes]
    profile = "Minimal.Folder" if item.limited_metadata else "Comprehensive.Folder"
    date = date_time(item.last_update_time) if item.last_update_time else instant(registered_at)
    return _list(
        item, "folder", profile, Contained(), extensions, date, subject_reference, None, members, registered_at
    )


def _list(
    item: SubmissionSet | Folder,
    kind: str,
    profile: str,
    contained: Contained,
    extensions: list[Json],
    date: str,
    subject_reference: str | None,
    source: Json | None,
    members: Iterable[str],
    registered_at: datetime,
) -> Json:
    unique = [{"use": "usual", **unique_identifier(item.unique_id)}] if item.unique_id else []
    return without_empty(
        {
            "resourceType": "List",
            "id": resource_id(item.id),
            "meta": {
                "versionId": str(item.version),
                "lastUpdated": instant(registered_at),
                "profile": [f"{PROFILES}/IHE.MHD.{profile}"],
            },
            "contained": contained.resources,
            "extension": extensions,
            "identifier": [*unique, {"use": "official", "system": URI_SYSTEM, "value": item.id}],
            "status": _STATUS_OF[Availability(item.status or Availability.APPROVED)],
            "mode": "working",
            "title": item.title[0].value if item.title else None,
            "code": {"coding": [{"system": LIST_TYPES, "code": kind}]},
            "subject": subject(item.patient_id, subject_reference) if item.patient_id else None,
            "date": date,
            "source": source,
            "note": [{"text": item.comments[0].value}] if item.comments else None,
            "entry": [{"item": {"reference": member}} for member in members],
        }
    )


def _source(authors: tuple[Author, ...], contained: Contained) -> Json | None:
    """The first author: the person as reference, the institution as extension of it (both may be absent)."""
    if not authors:
        return None
    author = authors[0]
    organizations = [
        {"url": AUTHOR_ORGANIZATION, "valueReference": contained.organization(each)} for each in author.institutions[:1]
    ]
    person = contained.author(
        Author(
            person=author.person,
            roles=author.roles,
            specialties=author.specialties,
            telecommunications=author.telecommunications,
        )
    )
    return without_empty({"extension": organizations, **(person or {})}) or None

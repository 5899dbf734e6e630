"""Is a submission complete and consistent in itself? Everything that is wrong is found, not only the first thing.

A finding names the object, the attribute and the value at fault; no names of persons stand in attributes that
are checked here.

Source: ITI TF-2: 3.42.4.1.3; ITI TF-3: 4.2.1.5, 4.2.3 and Table 4.3.1-3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ihe.errors import Finding
from ihe.values import Code
from xds.domain import datatypes
from xds.domain.model import (
    Association,
    Described,
    DocumentEntry,
    DocumentKind,
    Folder,
    RegistryObject,
    Submission,
    SubmissionSet,
)
from xds.domain.value_sets import ValueSets

METADATA_ERROR = "XDSRegistryMetadataError"

_ENTRY_ALWAYS = (
    ("mime_type", "mimeType"),
    ("unique_id", "uniqueId"),
    ("repository_unique_id", "repositoryUniqueId"),
    ("patient_id", "patientId"),
)
_ENTRY_FULL = (
    ("source_patient_id", "sourcePatientId"),
    ("class_code", "classCode"),
    ("type_code", "typeCode"),
    ("format_code", "formatCode"),
    ("healthcare_facility_type_code", "healthcareFacilityTypeCode"),
    ("practice_setting_code", "practiceSettingCode"),
    ("confidentiality_codes", "confidentialityCode"),
    ("language_code", "languageCode"),
)
_ENTRY_STABLE = (("hash", "hash"), ("size", "size"))
_ENTRY_STABLE_FULL = (("creation_time", "creationTime"),)
_SET_ALWAYS = (
    ("unique_id", "uniqueId"),
    ("source_id", "sourceId"),
    ("submission_time", "submissionTime"),
    ("patient_id", "patientId"),
)
_SET_FULL = (("content_type_code", "contentTypeCode"),)
_FOLDER_ALWAYS = (("unique_id", "uniqueId"), ("patient_id", "patientId"))
_FOLDER_FULL = (("codes", "codeList"), ("title", "title"))
_ON_DEMAND_FORBIDDEN = (("creation_time", "creationTime"), ("hash", "hash"), ("size", "size"))

_ENTRY_FORMATS: tuple[tuple[str, str, Callable[[str], bool], str], ...] = (
    ("mime_type", "mimeType", datatypes.is_mime_type, "is no MIME type"),
    ("unique_id", "uniqueId", datatypes.is_unique_id, "is no identifier of 1 to 128 printable characters"),
    ("repository_unique_id", "repositoryUniqueId", datatypes.is_oid, "is no OID of at most 64 characters"),
    ("creation_time", "creationTime", datatypes.is_dtm, "is no date-time YYYY[MM[DD[hh[mm[ss]]]]]"),
    ("service_start_time", "serviceStartTime", datatypes.is_dtm, "is no date-time YYYY[MM[DD[hh[mm[ss]]]]]"),
    ("service_stop_time", "serviceStopTime", datatypes.is_dtm, "is no date-time YYYY[MM[DD[hh[mm[ss]]]]]"),
    ("hash", "hash", datatypes.is_sha1, "is no SHA-1 of 40 hexadecimal digits"),
    ("language_code", "languageCode", datatypes.is_language, "is no language tag"),
    ("home", "homeCommunityId", datatypes.is_home, "is no urn:oid:"),
)
_SET_FORMATS = (
    ("unique_id", "uniqueId", datatypes.is_oid, "is no OID of at most 64 characters"),
    ("source_id", "sourceId", datatypes.is_oid, "is no OID of at most 64 characters"),
    ("submission_time", "submissionTime", datatypes.is_dtm, "is no date-time YYYY[MM[DD[hh[mm[ss]]]]]"),
    ("home", "homeCommunityId", datatypes.is_home, "is no urn:oid:"),
)
_FOLDER_FORMATS = (
    ("unique_id", "uniqueId", datatypes.is_oid, "is no OID of at most 64 characters"),
    ("home", "homeCommunityId", datatypes.is_home, "is no urn:oid:"),
)
_CODED = {
    DocumentEntry: (
        ("class_code", "classCode"),
        ("type_code", "typeCode"),
        ("format_code", "formatCode"),
        ("healthcare_facility_type_code", "healthcareFacilityTypeCode"),
        ("practice_setting_code", "practiceSettingCode"),
        ("confidentiality_codes", "confidentialityCode"),
        ("event_code_list", "eventCodeList"),
    ),
    SubmissionSet: (("content_type_code", "contentTypeCode"),),
    Folder: (("codes", "codeList"),),
}

_FULL: dict[type, tuple[tuple[str, str], ...]] = {
    DocumentEntry: _ENTRY_FULL + _ENTRY_STABLE_FULL,
    SubmissionSet: _SET_FULL,
    Folder: _FOLDER_FULL,
}


def name_of(item: RegistryObject) -> str:
    """The object as findings name it: kind and id of the submission."""
    return f"{type(item).__name__}({item.id})"


def lacks_full_metadata(item: Described) -> bool:
    """Whether an attribute is absent that only limited metadata may lack."""
    return any(getattr(item, field) in (None, "", ()) for field, _ in _FULL[type(item)])


def check_submission(
    submission: Submission,
    value_sets: ValueSets,
    kind: DocumentKind | None = DocumentKind.STABLE,
) -> list[Finding]:
    """Everything wrong with a submission by itself, with what reading it already found first.

    Args:
        value_sets: codes of the affinity domain.
        kind: the only kind of document entry that the transaction takes; ``None`` for any.
    """
    findings = list(submission.findings)
    known = {finding.location for finding in findings}
    findings += (f for f in _content(submission, value_sets, kind) if f.location not in known)
    findings += (finding for item in submission.objects for finding in _lengths(item))
    findings += _identities(submission)
    findings += _one_patient(submission)
    return findings


def _content(submission: Submission, value_sets: ValueSets, kind: DocumentKind | None) -> Iterator[Finding]:
    yield from _required(submission.submission_set, _SET_ALWAYS, _SET_FULL)
    yield from _well_formed(submission.submission_set, _SET_FORMATS)
    yield from _coded(submission.submission_set, value_sets)
    for entry in submission.entries:
        yield from _kind(entry, kind)
        if entry.is_on_demand:
            yield from _required(entry, _ENTRY_ALWAYS, _ENTRY_FULL)
            yield from _forbidden(entry)
        else:
            always, full = _ENTRY_ALWAYS + _ENTRY_STABLE, _ENTRY_FULL + _ENTRY_STABLE_FULL
            yield from _required(entry, always, full)
        yield from _well_formed(entry, _ENTRY_FORMATS)
        yield from _coded(entry, value_sets)
        yield from _entry_rules(entry, value_sets)
    for folder in submission.folders:
        yield from _required(folder, _FOLDER_ALWAYS, _FOLDER_FULL)
        yield from _well_formed(folder, _FOLDER_FORMATS)
        yield from _coded(folder, value_sets)


def _required(
    item: Described, always: tuple[tuple[str, str], ...], full: tuple[tuple[str, str], ...]
) -> Iterator[Finding]:
    for field, attribute in always if item.limited_metadata else always + full:
        if getattr(item, field) in (None, "", ()):
            yield _finding(item, attribute, "is missing")


def _forbidden(entry: DocumentEntry) -> Iterator[Finding]:
    for field, attribute in _ON_DEMAND_FORBIDDEN:
        value = getattr(entry, field)
        if value is not None:
            yield _finding(entry, attribute, f"{_shown(str(value))} must not stand in an on-demand entry")


def _kind(entry: DocumentEntry, kind: DocumentKind | None) -> Iterator[Finding]:
    known = entry.object_type in tuple(DocumentKind)
    if entry.object_type == kind or (kind is None and known):
        return
    if known:
        other = "on-demand entries" if entry.is_on_demand else "stable entries"
        yield _finding(entry, "objectType", f"{entry.object_type}: {other} have a transaction of their own")
    else:
        yield _finding(entry, "objectType", f"{entry.object_type!r} is no kind of document entry")


def _well_formed(
    item: Described, formats: tuple[tuple[str, str, Callable[[str], bool], str], ...]
) -> Iterator[Finding]:
    for field, attribute, accepts, problem in formats:
        value = getattr(item, field)
        if value and not accepts(value):
            yield _finding(item, attribute, f"{_shown(value)} {problem}")
    for field in ("patient_id", "source_patient_id"):
        identifier = getattr(item, field, None)
        if identifier is not None and identifier.authority.oid is None:
            attribute = "patientId" if field == "patient_id" else "sourcePatientId"
            yield _finding(item, attribute, f"{_shown(identifier.value)} has an assigning authority without OID")


def _coded(item: Described, value_sets: ValueSets) -> Iterator[Finding]:
    for field, attribute in _CODED[type(item)]:
        for code in _as_codes(getattr(item, field)):
            if not code.code or not code.scheme:
                problem = "needs a code (nodeRepresentation) and exactly one coding scheme"
                yield _finding(item, attribute, f"{_shown(code.code)} {problem}")
            elif not value_sets.allows(attribute, code):
                yield _outside(item, attribute, f"code {_shown(datatypes.code_key(code))}", value_sets)


def _outside(item: Described, attribute: str, shown: str, value_sets: ValueSets) -> Finding:
    found = _finding(item, attribute, f"{shown} is not found in the configuration of the affinity domain")
    return replace(found, severity="Warning") if value_sets.is_lenient(attribute) else found


def _entry_rules(entry: DocumentEntry, value_sets: ValueSets) -> Iterator[Finding]:
    if entry.mime_type and not value_sets.allows("mimeType", Code(entry.mime_type.split(";")[0].strip(), "")):
        yield _outside(entry, "mimeType", _shown(entry.mime_type), value_sets)
    start, stop = entry.service_start_time, entry.service_stop_time
    if start and stop and datatypes.is_dtm(start) and datatypes.is_dtm(stop):
        # A stop time of less precision ("2024") does not lie before a start within its period.
        digits = min(len(start), len(stop))
        if start[:digits] > stop[:digits]:
            yield _finding(entry, "serviceStopTime", f"{stop} lies before serviceStartTime {start}")
    for value in entry.reference_id_list:
        if not datatypes.is_reference_id(value):
            yield _finding(entry, "referenceIdList", f"{_shown(value)} is no CXi (id^^^authority^type)")


def _lengths(item: RegistryObject) -> Iterator[Finding]:
    """Values longer than a slot of ebRIM may hold: an answer with them would be valid for nobody."""
    for attribute, value in _slot_values(item):
        if len(value) > datatypes.SLOT_LENGTH:
            problem = f"{_shown(value)} has {len(value)} characters; a value has at most {datatypes.SLOT_LENGTH}"
            yield _finding(item, attribute, problem)


def _slot_values(item: RegistryObject) -> Iterator[tuple[str, str]]:
    """Attribute and value of each slot that is not bound by a format of its own."""
    if isinstance(item, Association):
        yield from ((name, value) for name, values in item.slots.items() for value in values)
        return
    yield from ((name, value) for name, values in item.extra.items() for value in values)
    for author in () if isinstance(item, Folder) else item.authors:
        yield from (("author", value) for value in (author.person or "", *author.institutions, *author.roles))
        yield from (("author", value) for value in (*author.specialties, *author.telecommunications))
        yield from (("author", value) for values in author.extra.values() for value in values)
    if isinstance(item, SubmissionSet):
        yield from (("intendedRecipient", value) for value in item.intended_recipients)
    if isinstance(item, DocumentEntry):
        yield from (("sourcePatientInfo", value) for value in item.source_patient_info)
        yield from (("referenceIdList", value) for value in item.reference_id_list)
        yield from (("URI", value) for value in item.uri)
        yield "legalAuthenticator", item.legal_authenticator or ""


def _identities(submission: Submission) -> Iterator[Finding]:
    for item in submission.objects:
        if not item.id:
            yield _finding(item, "entryUUID", "is missing")
        elif not datatypes.is_symbolic(item.id) and not datatypes.is_uuid(item.id):
            yield _finding(item, "entryUUID", f"{_shown(item.id)} is no UUID")
    ids = Counter(item.id for item in submission.objects if item.id)
    for value, count in ids.items():
        if count > 1:
            context = f"the id {_shown(value)} is given to {count} objects of the submission"
            yield Finding(METADATA_ERROR, context, value)
    unique_ids = Counter(item.unique_id for item in submission.described if item.unique_id)
    for value, count in unique_ids.items():
        if count > 1:
            context = f"the uniqueId {_shown(value)} stands on {count} objects of the submission"
            yield Finding("XDSRegistryDuplicateUniqueIdInMessage", context, value)


def _one_patient(submission: Submission) -> Iterator[Finding]:
    expected = submission.submission_set.patient_id
    for item in submission.described:
        found = item.patient_id
        if expected is None or found is None:
            continue
        if (found.value, found.authority.oid) != (expected.value, expected.authority.oid):
            where = name_of(item)
            context = f"{where}: patientId {found.xds_cx} is not the patientId of the SubmissionSet, {expected.xds_cx}"
            yield Finding("XDSPatientIdDoesNotMatch", context, f"{where}/patientId")


def _as_codes(value: Any) -> tuple[Code, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _finding(item: RegistryObject, attribute: str, problem: str) -> Finding:
    where = name_of(item)
    return Finding(METADATA_ERROR, f"{where}: {attribute} {problem}", f"{where}/{attribute}")


def _shown(value: str) -> str:
    """A value as error texts quote it, cut at 100 characters."""
    return f"'{value[:100]}…'" if len(value) > 100 else f"'{value}'"

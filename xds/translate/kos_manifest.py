"""Key object selection documents → :class:`~xds.domain.imaging.Manifest`; the way back is :mod:`.kos_writer`.

Liberal where sources differ: with or without a content template, issuer, content items or retrieval address; modality
and region from an image library, from the national text items, else from the SOP classes.

Source: DICOM PS3.3 A.35.4, C.17.6; PS3.16 TID 2010; RAD TF-3: 4.68.4.1.2.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, tzinfo
from typing import Any

from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import data_element_generator, read_preamble
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ihe.errors import MalformedRequest, TooLarge
from ihe.values import AssigningAuthority, Code, Oid
from xds.domain.imaging import (
    KEY_OBJECT_SELECTION,
    ImagingSeries,
    ImagingStudy,
    Instance,
    IssuedId,
    Manifest,
    ManifestPatient,
    fixed_zone,
    instant,
    is_uid,
)

MAX_BYTES = 64 * 1024 * 1024
"""Largest manifest that is read: some 300,000 instances."""

_IMAGE_LIBRARY_GROUP = "126200"
_MODALITY = "121139"
_TARGET_REGION = "123014"
_SERIES_UID = "112002"

_SERIES_LINE = re.compile(
    r"(?:Serie-)?\b([0-9]+(?:\.[0-9]+)+)\s*:\s*([A-Z][A-Z0-9_]{1,15})\s*[:@]\s*(.*)$", re.MULTILINE
)
_OFFSET = re.compile(r"^([+-])(\d{2})(\d{2})$")
_TIME = re.compile(r"^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?$")

# Values that break their own type are common in archives; they are judged below, not by warnings that quote them.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE


def read_kos(data: bytes, zone: tzinfo) -> Manifest:
    """Read a manifest from the bytes of a DICOM file.

    Args:
        zone: of dates and times where the manifest doesn't say (DICOM writes local time).

    Raises:
        TooLarge: more than :data:`MAX_BYTES`.
        MalformedRequest: no DICOM file, no key object selection document, or a UID that is missing or no UID.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"a manifest of more than {MAX_BYTES} bytes is not read")
    dataset = _read_file(data)
    try:
        if _text(dataset, "SOPClassUID") != KEY_OBJECT_SELECTION:
            raise MalformedRequest("the document is no key object selection document", "(0008,0016)")
        return _manifest(dataset, zone)
    except MalformedRequest:
        raise
    except Exception:
        # pydicom decodes late and fails in many ways on damaged elements.
        raise MalformedRequest("the manifest has an element that cannot be decoded") from None


def _read_file(data: bytes) -> Dataset:
    try:
        source = io.BytesIO(data)
        read_preamble(source, force=False)
        header = data_element_generator(source, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
        for element in header:
            if bytes(element.value or b"").rstrip(b"\0") == DeflatedExplicitVRLittleEndian.encode():
                # Inflating is not bounded by the size of the document.
                raise MalformedRequest("a deflated manifest is not read", "(0002,0010)")
        return dcmread(io.BytesIO(data))
    except MalformedRequest:
        raise
    except InvalidDicomError:
        raise MalformedRequest("the document is no DICOM file") from None
    except (Exception, RecursionError):
        raise MalformedRequest("the document cannot be read as a DICOM file") from None


def _manifest(dataset: Dataset, zone: tzinfo) -> Manifest:
    study_uid = _uid(dataset, "StudyInstanceUID", "(0020,000D)")
    described = _described_series(dataset)
    offset = _offset_minutes(dataset)
    studies = tuple(_studies(dataset, study_uid, described))
    listed = {each.sop_instance_uid for study in studies for series in study.series for each in series.instances}
    return Manifest(
        uid=_uid(dataset, "SOPInstanceUID", "(0008,0018)"),
        series_uid=_uid(dataset, "SeriesInstanceUID", "(0020,000E)"),
        study_uid=study_uid,
        patient=_patient(dataset),
        studies=studies,
        title=_code(dataset.get("ConceptNameCodeSequence")) or Code("", ""),
        created_at=_created_at(dataset, zone if offset is None else fixed_zone(offset)),
        utc_offset_minutes=offset,
        institution=_text(dataset, "InstitutionName"),
        manufacturer=_text(dataset, "Manufacturer"),
        unlisted=len(set(_referenced(dataset)) - listed),
    )


def _referenced(dataset: Dataset) -> Iterator[str]:
    """SOP instance UIDs that the items of the content refer to."""
    for item in dataset.get("ContentSequence") or ():
        for reference in item.get("ReferencedSOPSequence") or ():
            if (uid := _text(reference, "ReferencedSOPInstanceUID")) is not None:
                yield uid


def _studies(dataset: Dataset, own_uid: str, described: dict[str, ImagingSeries]) -> Iterator[ImagingStudy]:
    by_uid: dict[str, list[ImagingSeries]] = {}
    for item in dataset.get("CurrentRequestedProcedureEvidenceSequence") or ():
        uid = _uid(item, "StudyInstanceUID", "(0040,A375).(0020,000D)")
        by_uid.setdefault(uid, []).extend(
            _series(found, described) for found in item.get("ReferencedSeriesSequence") or ()
        )
    for uid, series in (by_uid or {own_uid: []}).items():
        is_own = uid == own_uid or len(by_uid) == 1
        yield ImagingStudy(
            uid=uid,
            series=tuple(series),
            date=_date(dataset, "StudyDate") if is_own else None,
            time=_time(dataset, "StudyTime") if is_own else None,
            description=_text(dataset, "StudyDescription") if is_own else None,
            accessions=tuple(dict.fromkeys(_accessions(dataset, uid, is_own=is_own))),
            regions=tuple(dict.fromkeys(found.region for found in series if found.region is not None)),
        )


def _series(item: Dataset, described: dict[str, ImagingSeries]) -> ImagingSeries:
    uid = _uid(item, "SeriesInstanceUID", "(0008,1115).(0020,000E)")
    about = described.get(uid)
    instances = tuple(
        Instance(
            _uid(found, "ReferencedSOPClassUID", "(0008,1199).(0008,1150)"),
            _uid(found, "ReferencedSOPInstanceUID", "(0008,1199).(0008,1155)"),
        )
        for found in item.get("ReferencedSOPSequence") or ()
    )
    return ImagingSeries(
        uid=uid,
        instances=instances,
        modality=(about.modality if about else None) or _text(item, "Modality"),
        description=(about.description if about else None) or _text(item, "SeriesDescription"),
        region=about.region if about else None,
        retrieve_url=_text(item, "RetrieveURL"),
        retrieve_location_uid=_text(item, "RetrieveLocationUID"),
        retrieve_ae_title=_text(item, "RetrieveAETitle"),
    )


def _described_series(dataset: Dataset) -> dict[str, ImagingSeries]:
    """What the content says of series, by their UID: an image library, or lines of text."""
    found: dict[str, ImagingSeries] = {}
    for text in _texts(dataset):
        for uid, modality, description in _SERIES_LINE.findall(text):
            found[uid] = ImagingSeries(uid=uid, modality=modality, description=description.strip() or None)
    for group in _library_groups(dataset.get("ContentSequence") or (), depth=0):
        about = _library_group(group)
        if about is not None:
            found[about.uid] = about
    return found


def _texts(dataset: Dataset) -> Iterator[str]:
    if text := _text(dataset, "TextValue"):
        yield text
    for item in dataset.get("ContentSequence") or ():
        if item.get("ValueType") == "TEXT" and (text := _text(item, "TextValue")):
            yield text


def _library_groups(items: Iterable[Dataset], depth: int) -> Iterator[Dataset]:
    for item in items:
        if item.get("ValueType") != "CONTAINER":
            continue
        if _concept(item) == _IMAGE_LIBRARY_GROUP:
            yield item
        elif depth < 4:
            yield from _library_groups(item.get("ContentSequence") or (), depth + 1)


def _library_group(group: Dataset) -> ImagingSeries | None:
    uid = modality = description = region = None
    for item in group.get("ContentSequence") or ():
        concept, kind = _concept(item), item.get("ValueType")
        if concept == _SERIES_UID and kind == "UIDREF":
            uid = _text(item, "UID")
        elif concept == _MODALITY and kind == "CODE":
            code = _code(item.get("ConceptCodeSequence"))
            modality = code.code if code else None
        elif concept == _TARGET_REGION and kind == "CODE":
            region = _code(item.get("ConceptCodeSequence"))
        elif kind == "TEXT" and _concept_meaning(item) == "Series Description":
            description = _text(item, "TextValue")
    if uid is None:
        return None
    return ImagingSeries(uid=uid, modality=modality, description=description, region=region)


def _accessions(dataset: Dataset, study_uid: str, *, is_own: bool) -> Iterator[IssuedId]:
    for request in dataset.get("ReferencedRequestSequence") or ():
        if _text(request, "StudyInstanceUID") in (study_uid, None):
            yield from _issued(request, "AccessionNumber", "IssuerOfAccessionNumberSequence")
    if is_own and not dataset.get("ReferencedRequestSequence"):
        yield from _issued(dataset, "AccessionNumber", "IssuerOfAccessionNumberSequence")


def _patient(dataset: Dataset) -> ManifestPatient:
    ids = list(_issued(dataset, "PatientID", "IssuerOfPatientIDQualifiersSequence", "IssuerOfPatientID"))
    for other in dataset.get("OtherPatientIDsSequence") or ():
        ids.extend(_issued(other, "PatientID", "IssuerOfPatientIDQualifiersSequence", "IssuerOfPatientID"))
    return ManifestPatient(
        ids=tuple(dict.fromkeys(ids)),
        name=_text(dataset, "PatientName"),
        birth_date=_date(dataset, "PatientBirthDate"),
        sex=_text(dataset, "PatientSex"),
    )


def _issued(dataset: Dataset, value: str, qualifiers: str, namespace: str | None = None) -> Iterator[IssuedId]:
    text = _text(dataset, value)
    if text is None:
        return
    name = _text(dataset, namespace) if namespace else None
    oid = None
    for item in dataset.get(qualifiers) or ():
        name = name or _text(item, "LocalNamespaceEntityID")
        if _text(item, "UniversalEntityIDType") == "ISO" and (entity := _text(item, "UniversalEntityID")):
            try:
                oid = Oid(entity)
            except ValueError:
                name = name or entity
    yield IssuedId(text, AssigningAuthority(name, oid) if name or oid else None)


def _created_at(dataset: Dataset, zone: tzinfo) -> datetime | None:
    for prefix in ("InstanceCreation", "Content"):
        day = _date(dataset, f"{prefix}Date")
        if day is not None:
            return instant(day, _time(dataset, f"{prefix}Time"), zone)
    return None


def _offset_minutes(dataset: Dataset) -> int | None:
    found = _OFFSET.match(_text(dataset, "TimezoneOffsetFromUTC") or "")
    if not found:
        return None
    sign, hours, minutes = found.groups()
    total = int(hours) * 60 + int(minutes)
    if total > 14 * 60:
        return None
    return -total if sign == "-" else total


def _date(dataset: Dataset, name: str) -> date | None:
    text = (_text(dataset, name) or "").replace(".", "")
    try:
        return date.fromisoformat(text) if len(text) == 8 else None
    except ValueError:
        return None


def _time(dataset: Dataset, name: str) -> time | None:
    found = _TIME.match(_text(dataset, name) or "")
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups()
    try:
        return time(int(hours), int(minutes or 0), min(int(seconds or 0), 59), int((fraction or "0").ljust(6, "0")))
    except ValueError:
        return None


def _uid(dataset: Dataset, name: str, tag: str) -> str:
    text = _text(dataset, name)
    if text is None or not is_uid(text):
        raise MalformedRequest("a UID is missing or malformed", tag)
    return text


def _text(dataset: Dataset, name: str) -> str | None:
    """The element's text without padding; the first value of several; ``None`` when absent or empty."""
    value: Any = dataset.get(name)
    if value is None:
        return None
    if not isinstance(value, str) and isinstance(value, Sequence):
        value = value[0] if value else ""
    return str(value).replace("\0", "").strip() or None


def _code(sequence: Any) -> Code | None:
    for item in sequence or ():
        value = _text(item, "CodeValue") or _text(item, "LongCodeValue") or _text(item, "URNCodeValue")
        if value:
            return Code(value, _text(item, "CodingSchemeDesignator") or "", _text(item, "CodeMeaning"))
    return None


def _concept(item: Dataset) -> str | None:
    code = _code(item.get("ConceptNameCodeSequence"))
    return code.code if code else None


def _concept_meaning(item: Dataset) -> str | None:
    code = _code(item.get("ConceptNameCodeSequence"))
    return code.display if code else None

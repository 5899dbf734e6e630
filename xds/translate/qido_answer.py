"""What an archive says of a study over DICOMweb → the study and its patient, for a manifest.

Source: DICOM PS3.18 F.2, 10.6.3.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, time
from typing import Any

from ihe.values import AssigningAuthority, Oid
from xds.domain.body_parts import region_of
from xds.domain.imaging import ImagingSeries, ImagingStudy, Instance, IssuedId, ManifestPatient

Json = dict[str, Any]


def text_of(item: Json, tag: str) -> str | None:
    """The first value of an attribute as text, or ``None``."""
    values = item.get(tag, {}).get("Value") or [None]
    found = values[0]
    if isinstance(found, dict):
        found = found.get("Alphabetic")
    return str(found).strip() or None if found is not None else None


def number_of(item: Json, tag: str) -> int | None:
    """The first value of an attribute as a whole number, or ``None``."""
    found = text_of(item, tag)
    return int(found) if found and found.isascii() and found.isdigit() else None


def read_study(
    uid: str,
    instances: Iterable[Json],
    header: Json,
    accession_authority: Oid | None,
    location_uid: Oid | None,
    root: str,
) -> ImagingStudy:
    """The study that instances of a QIDO-RS answer make up.

    Args:
        header: metadata of one of them.
        accession_authority: of accession numbers without an issuer.
        root: DICOMweb address of the archive.
    """
    series: dict[str, ImagingSeries] = {}
    for item in instances:
        series_uid = text_of(item, "0020000E") or ""
        known = series.get(series_uid) or ImagingSeries(
            uid=series_uid,
            modality=text_of(item, "00080060"),
            description=text_of(item, "0008103E"),
            retrieve_url=f"{root}/studies/{uid}/series/{series_uid}",
            retrieve_location_uid=str(location_uid) if location_uid else None,
        )
        found = Instance(text_of(item, "00080016") or "", text_of(item, "00080018") or "")
        series[series_uid] = replace(known, instances=(*known.instances, found))
    accession = text_of(header, "00080050")
    authority = AssigningAuthority(oid=accession_authority) if accession_authority else None
    region = region_of(text_of(header, "00180015"))
    return ImagingStudy(
        uid=uid,
        series=tuple(series.values()),
        date=_day(text_of(header, "00080020")),
        time=_moment(text_of(header, "00080030")),
        description=text_of(header, "00081030"),
        accessions=(IssuedId(accession[:16], authority),) if accession else (),
        regions=(region,) if region else (),
    )


def read_patient(header: Json) -> ManifestPatient:
    """The patient as the header names it; an id without issuer has none."""
    value = text_of(header, "00100020")
    namespace = text_of(header, "00100021")
    qualifiers = header.get("00100024", {}).get("Value") or [{}]
    oid = text_of(qualifiers[0], "00400032") if text_of(qualifiers[0], "00400033") == "ISO" else None
    try:
        issuer = AssigningAuthority(namespace, Oid(oid) if oid else None) if namespace or oid else None
    except ValueError:
        issuer = AssigningAuthority(namespace) if namespace else None
    sex = text_of(header, "00100040")
    return ManifestPatient(
        ids=(IssuedId(value, issuer),) if value else (),
        name=text_of(header, "00100010"),
        birth_date=_day(text_of(header, "00100030")),
        sex=sex if sex in ("M", "F", "O") else None,
    )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text and len(text) == 8 else None
    except ValueError:
        return None


def _moment(text: str | None) -> time | None:
    digits = (text or "").partition(".")[0]
    try:
        return time(int(digits[:2]), int(digits[2:4] or 0), int(digits[4:6] or 0)) if digits else None
    except ValueError:
        return None

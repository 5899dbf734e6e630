"""Imaging studies as key object manifests describe them: what was done, of whom, and where it can be fetched.

UIDs are kept as text: archives hold many that are not strictly well formed, and they must be found again as written.

Source: DICOM PS3.3 C.17.6 (key object selection), PS3.16 TID 2010; RAD TF-3: 4.68.4.1.2.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from ihe.values import AssigningAuthority, Code
from xds.domain.model import DocumentEntry

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
"""SOP class of a manifest; also the ``formatCode`` of its document entry."""

DICOM_UID_REGISTRY = "1.2.840.10008.2.6.1"
"""Coding scheme of that ``formatCode``."""

UID_REGISTRY_DESIGNATOR = "DCMUID"
"""As some sources write that scheme (Source: PS3.16 Table 8-1)."""

MANIFEST_TITLE = Code("113030", "DCM", "Manifest")
"""Document title of a manifest (Source: PS3.16 CID 7010)."""

_MANIFEST_TITLES = frozenset({"113030", "MADOTEMP001"})
"""The second is the draft title of manifests with a description of each series (RAD MADO)."""

_UID = re.compile(r"^[0-9]+(\.[0-9]+)*$")

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_MODALITY_OF_CLASS = {
    "1": "CR",
    "1.1": "DX",
    "1.2": "MG",
    "1.3": "IO",
    "2": "CT",
    "3": "US",
    "4": "MR",
    "5": "NM",
    "6": "US",
    "7": "OT",
    "9.1": "ECG",
    "9.2": "HD",
    "9.3": "EPS",
    "9.4": "AU",
    "9.6": "RESP",
    "9.7": "EEG",
    "11": "PR",
    "12.1": "XA",
    "12.2": "RF",
    "12.3": "XA",
    "13.1.1": "XA",
    "13.1.3": "MG",
    "13.1.4": "MG",
    "14": "IVOCT",
    "20": "NM",
    "66.1": "REG",
    "66.3": "REG",
    "66.4": "SEG",
    "66.5": "SEG",
    "67": "RWV",
    "77.1.1": "ES",
    "77.1.2": "GM",
    "77.1.3": "SM",
    "77.1.4": "XC",
    "77.1.5": "OP",
    "77.1.5.4": "OPT",
    "77.1.6": "SM",
    "88": "SR",
    "88.59": "KO",
    "104.1": "DOC",
    "104.2": "DOC",
    "128": "PT",
    "130": "PT",
    "481.1": "RTIMAGE",
    "481.2": "RTDOSE",
    "481.3": "RTSTRUCT",
    "481.5": "RTPLAN",
    "481.8": "RTPLAN",
}

NOT_PICTURES = frozenset({"PR", "KO", "SR", "DOC", "REG", "SEG", "RWV", "AU"})
"""Modalities of what goes with the pictures; they do not name a study's kind."""


def is_uid(text: str) -> bool:
    """Whether the text can be a DICOM UID: digits and dots, at most 64 characters; leading zeros are tolerated."""
    return len(text) <= 64 and bool(_UID.match(text))


def modality_of_class(sop_class_uid: str) -> str | None:
    """The modality that a storage SOP class implies, or ``None`` where it implies none."""
    if not sop_class_uid.startswith(_STORAGE):
        return None
    parts = sop_class_uid.removeprefix(_STORAGE).split(".")
    for length in range(len(parts), 0, -1):
        if found := _MODALITY_OF_CLASS.get(".".join(parts[:length])):
            return found
    return None


@dataclass(frozen=True, slots=True)
class IssuedId:
    """An identifier as DICOM carries it: the value, and who issued it if the sender says so.

    Attributes:
        value: patient id or accession number, verbatim, not empty.
        issuer: ``None`` when the header names no issuer.
    """

    value: str
    issuer: AssigningAuthority | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """Reference to one SOP instance."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Where pictures can be fetched; each part is ``None`` when the manifest doesn't say.

    Attributes:
        url: DICOMweb address of the study (RAD-107).
        location_uid: repositoryUniqueId of the imaging document source (RAD-69).
        ae_title: for C-MOVE.
    """

    url: str | None = None
    location_uid: str | None = None
    ae_title: str | None = None


def study_url(retrieve_url: str, study_uid: str) -> str:
    """The DICOMweb address of a study, from that of one of its series, of itself, or of the service."""
    head, _, tail = retrieve_url.partition("/studies/")
    if tail:
        return f"{head}/studies/{tail.partition('/')[0]}"
    return f"{head.rstrip('/')}/studies/{study_uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingSeries:
    """One series of a study as a manifest lists it.

    Attributes:
        instances: in the order of the manifest; the same instance may be listed twice.
        modality: as the manifest says, else what the SOP classes imply, else ``None``.
        retrieve_url: DICOMweb address (0008,1190), of the series or only of the service; or ``None``.
        retrieve_location_uid: repositoryUniqueId of the imaging document source (0040,E011), or ``None``.
        retrieve_ae_title: (0008,0054), or ``None``.
    """

    uid: str
    instances: tuple[Instance, ...] = ()
    modality: str | None = None
    description: str | None = None
    region: Code | None = None
    retrieve_url: str | None = None
    retrieve_location_uid: str | None = None
    retrieve_ae_title: str | None = None

    @property
    def kind(self) -> str | None:
        """The stated modality, else that of most instances."""
        if self.modality:
            return self.modality
        implied = Counter(filter(None, (modality_of_class(found.sop_class_uid) for found in self.instances)))
        return implied.most_common(1)[0][0] if implied else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingStudy:
    """One imaging study as a manifest lists it.

    Attributes:
        date: (0008,0020), the local date where the study was made.
        time: (0008,0030), local.
        accessions: accession numbers of the requests, each once.
        regions: anatomic regions, coded.
    """

    uid: str
    series: tuple[ImagingSeries, ...] = ()
    date: date | None = None
    time: time | None = None
    description: str | None = None
    accessions: tuple[IssuedId, ...] = ()
    regions: tuple[Code, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of the pictures, each once, in series order; of anything else only if there is no picture."""
        found = dict.fromkeys(filter(None, (series.kind for series in self.series)))
        pictures = tuple(kind for kind in found if kind not in NOT_PICTURES)
        return pictures or tuple(found)

    @property
    def retrieval(self) -> Retrieval:
        """Where the study as a whole can be fetched, as far as its first series that says so tells."""
        urls = (study_url(series.retrieve_url, self.uid) for series in self.series if series.retrieve_url)
        locations = (series.retrieve_location_uid for series in self.series if series.retrieve_location_uid)
        titles = (series.retrieve_ae_title for series in self.series if series.retrieve_ae_title)
        return Retrieval(next(urls, None), next(locations, None), next(titles, None))

    @property
    def instance_count(self) -> int:
        """References, over all series."""
        return sum(len(series.instances) for series in self.series)

    def started_at(self, zone: tzinfo) -> datetime | None:
        """The instant the study began (UTC); midnight when only its date is known, ``None`` when not even that.

        Args:
            zone: zone of the study's date and time.
        """
        return instant(self.date, self.time, zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPatient:
    """The patient as a manifest's header names it.

    Attributes:
        ids: the patient id first, then the other ids, each once.
        name: DICOM person name, ``FAMILY^Given``.
        sex: ``M``, ``F``, ``O`` or ``None``.
    """

    ids: tuple[IssuedId, ...] = ()
    name: str | None = None
    birth_date: date | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A key object selection document that lists what there is of a study.

    Attributes:
        uid: SOP instance UID, the uniqueId of its document entry.
        series_uid: the manifest's own series.
        study_uid: the study the manifest itself belongs to.
        title: document title; :data:`MANIFEST_TITLE` unless the source uses another.
        created_at: when the manifest was made (UTC), or ``None``.
        utc_offset_minutes: zone of its dates and times (0008,0201), or ``None`` when it doesn't say.
        studies: what it lists; one, except where a source puts several into one manifest. Empty lists are legal:
            every instance may have been rejected.
        unlisted: how many references its content makes that its evidence doesn't list.
    """

    uid: str
    series_uid: str
    study_uid: str
    patient: ManifestPatient = ManifestPatient()
    studies: tuple[ImagingStudy, ...] = ()
    title: Code = MANIFEST_TITLE
    created_at: datetime | None = None
    utc_offset_minutes: int | None = None
    institution: str | None = None
    manufacturer: str | None = None
    unlisted: int = 0

    @property
    def lists_study(self) -> bool:
        """Whether it says what there is of a study; a rejection note or a choice of key images doesn't."""
        return self.title.code in _MANIFEST_TITLES

    def zone(self, local: tzinfo) -> tzinfo:
        """The zone of the manifest's dates and times, ``local`` when it doesn't say."""
        if self.utc_offset_minutes is None:
            return local
        return fixed_zone(self.utc_offset_minutes)


def instant(day: date | None, moment: time | None, zone: tzinfo) -> datetime | None:
    """The instant (UTC) that a date and a time mean; ``None`` without a date, or when UTC has no such instant."""
    if day is None:
        return None
    try:
        return datetime.combine(day, moment or time(), zone).astimezone(UTC)
    except OverflowError:
        return None


def fixed_zone(offset_minutes: int) -> tzinfo:
    """The zone that many minutes east of UTC."""
    return timezone(timedelta(minutes=offset_minutes))


def with_canonical_format(entry: DocumentEntry) -> DocumentEntry:
    """The entry with the OID of DICOM's UID registry as the scheme of its ``formatCode`` where its source wrote the
    designator, so that a query finds both.

    Source: PS3.16 Table 8-1 (DCMUID); RAD TF-3: 4.68.4.1.2.3.2.
    """
    code = entry.format_code
    if code is None or code.scheme != UID_REGISTRY_DESIGNATOR:
        return entry
    return replace(entry, format_code=replace(code, scheme=DICOM_UID_REGISTRY))


def is_manifest_entry(entry: DocumentEntry) -> bool:
    """Whether a document entry announces a key object manifest (Source: RAD TF-3: 4.68.4.1.2.3.2)."""
    return (
        (entry.mime_type or "").lower() == "application/dicom"
        and entry.format_code is not None
        and entry.format_code.code == KEY_OBJECT_SELECTION
    )

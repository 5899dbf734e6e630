"""From what manifests say to the studies of a person: each study once, with every place that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import NamedTuple

from ihe.values import Code
from xds.domain.imaging import IssuedId, ManifestPatient
from xds.domain.imaging_sources import ImagingSource

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ManifestedStudy(NamedTuple):
    """What one approved manifest says of one study; a tuple, because a person may have hundreds.

    Attributes:
        row_id: key of its series in the store.
        document_unique_id: of the manifest.
        entry_id: of the document entry, a UUID.
        anchor: CX of the identifier that the entry follows.
        patient_id, source_patient_id: CX as submitted; the second may be ``None``.
        confidentiality_codes: ``code^^scheme``, of the entry.
        header: the patient as the manifest's own header names it.
        date, time: as the modality wrote them, local.
    """

    row_id: int
    uid: str
    document_unique_id: str
    repository_unique_id: str
    entry_id: str
    anchor: str
    patient_id: str
    source_patient_id: str | None
    confidentiality_codes: tuple[str, ...]
    manifest_created_at: datetime
    started_at: datetime | None
    date: date | None
    time: time | None
    description: str | None
    modalities: tuple[str, ...]
    regions: tuple[Code, ...]
    accessions: tuple[IssuedId, ...]
    header: ManifestPatient
    retrieve_url: str | None
    retrieve_location_uid: str | None
    retrieve_ae_title: str | None
    series_count: int
    instance_count: int


@dataclass(frozen=True, slots=True)
class StudyCopy:
    """One place that has a study, according to the newest manifest of that place.

    Attributes:
        source: the establishment, or ``None`` when it is none of the region's.
        manifest: the newest manifest of that place.
    """

    source: ImagingSource | None
    manifest: ManifestedStudy

    @property
    def retrieve_url(self) -> str | None:
        """DICOMweb address of the study: as the manifest says, else below the source's own address."""
        if self.manifest.retrieve_url or self.source is None or self.source.pacs_url is None:
            return self.manifest.retrieve_url
        return f"{self.source.pacs_url}/studies/{self.manifest.uid}"

    @property
    def retrieve_location_uid(self) -> str | None:
        """Where RAD-69 fetches it: as the manifest says, else the source's own."""
        own = self.source.location_uid if self.source else None
        return self.manifest.retrieve_location_uid or own


@dataclass(frozen=True, slots=True)
class PriorStudy:
    """One study of a person.

    Attributes:
        copies: where it can be fetched, at least one, the newest manifest first; the study is described by the first.
    """

    uid: str
    copies: tuple[StudyCopy, ...]

    @property
    def facts(self) -> ManifestedStudy:
        """The newest manifest's word."""
        return self.copies[0].manifest


def prior_studies(
    found: Iterable[ManifestedStudy], source_of: Callable[[ManifestedStudy], ImagingSource | None]
) -> list[PriorStudy]:
    """Each study once, latest first; those without a date last.

    Of several manifests of one place the newest counts, whether or not the place said that it replaces the others. A
    place whose newest manifest is empty has the study no longer.
    """
    by_place: dict[tuple[str, str], StudyCopy] = {}
    for manifest in sorted(found, key=lambda manifest: (manifest.manifest_created_at, manifest.row_id), reverse=True):
        source = source_of(manifest)
        by_place.setdefault((manifest.uid, _place(manifest, source)), StudyCopy(source, manifest))
    by_study: dict[str, list[StudyCopy]] = {}
    for copy in by_place.values():
        if copy.manifest.instance_count:
            by_study.setdefault(copy.manifest.uid, []).append(copy)
    studies = [PriorStudy(uid, tuple(copies)) for uid, copies in by_study.items()]
    return sorted(studies, key=lambda study: (study.facts.started_at or _LONG_AGO, study.uid), reverse=True)


def _place(manifest: ManifestedStudy, source: ImagingSource | None) -> str:
    if source is not None:
        return source.site
    return manifest.retrieve_location_uid or (manifest.retrieve_url or "").partition("/studies/")[0]

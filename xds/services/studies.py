"""Prior studies: what was done with this patient, anywhere in the region, and where it can be fetched.

Whose a study is, is asked at every question: a link, unlink or merge in the index moves studies at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ihe.errors import UnknownAuthority, UnknownPatient
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.archive.client import Archives
from xds.domain.imaging import ImagingSeries
from xds.domain.imaging_sources import ImagingSource, ImagingSources
from xds.domain.priors import ManifestedStudy, PriorStudy, prior_studies
from xds.ports import PatientDirectory, Person
from xds.services.access import DocumentFacts
from xds.services.find import anchors_of
from xds.services.registry import Registry
from xds.store import imaging


@dataclass(frozen=True, slots=True)
class Studies:
    """What the answers about studies need beside a unit of work.

    Attributes:
        registry: tells who a patient identifier designates, and which manifest may be read; one that may not is
            answered as if it were not there.
        sources: the establishments' archives.
        archives: asks them for pictures.
        coerces: whether pictures are shown under the asker's patient id.
    """

    registry: Registry
    sources: ImagingSources
    archives: Archives = field(default_factory=lambda: Archives(()))
    coerces: bool = True

    @property
    def directory(self) -> PatientDirectory:
        """Tells who a patient identifier designates."""
        return self.registry.directory


def priors(uow: UnitOfWork, patient_id: PatientId, studies: Studies) -> list[PriorStudy]:
    """The studies of the person whom ``patient_id`` designates now, latest first.

    Args:
        patient_id: the asker's own number, or any other identifier of the person.

    Raises:
        UnknownAuthority: the identifier is of no domain of the region.
        UnknownPatient: it designates nobody.
    """
    return studies_of(uow, person_of(uow, patient_id, studies), studies)


def person_of(uow: UnitOfWork, patient_id: PatientId, studies: Studies) -> Person:
    """The person whom an identifier designates now.

    Raises:
        UnknownAuthority: the identifier is of no domain of the region.
        UnknownPatient: it designates nobody.
    """
    if not studies.directory.knows_authority(patient_id):
        raise UnknownAuthority("the assigning authority of the patient identifier is no domain of the region")
    person = studies.directory.answered(uow, patient_id)
    if person is None:
        raise UnknownPatient("the patient identifier designates no active patient")
    return person


def studies_of(uow: UnitOfWork, person: Person, studies: Studies) -> list[PriorStudy]:
    """The studies of a person, latest first."""
    return current_studies(uow, imaging.find_by_anchors(uow.connection, anchors_of(person)), studies)


def current_studies(uow: UnitOfWork, found: Iterable[ManifestedStudy], studies: Studies) -> list[PriorStudy]:
    """The studies that manifests list, each once, latest first, as far as the caller may see them."""
    return list(_readable(uow, prior_studies(found, lambda each: _source_of(each, studies.sources)), studies))


def series_of(uow: UnitOfWork, found: Iterable[PriorStudy]) -> Mapping[str, tuple[ImagingSeries, ...]]:
    """The series of studies, by study UID, as the newest manifest of each lists them."""
    rows = {study.facts.row_id: study.uid for study in found}
    return {rows[row_id]: series for row_id, series in imaging.find_series(uow.connection, rows).items()}


def _readable(uow: UnitOfWork, found: Iterable[PriorStudy], studies: Studies) -> Iterator[PriorStudy]:
    """The studies without the copies whose newest manifest may not be read: an older one must not stand in for it."""
    for study in found:
        copies = tuple(copy for copy in study.copies if studies.registry.may_read(uow, _facts(copy.manifest)))
        if copies:
            yield PriorStudy(study.uid, copies)


def _facts(manifest: ManifestedStudy) -> DocumentFacts:
    return DocumentFacts(
        manifest.document_unique_id, manifest.anchor, manifest.patient_id, manifest.confidentiality_codes
    )


def _source_of(found: ManifestedStudy, sources: ImagingSources) -> ImagingSource | None:
    return sources.find(found.retrieve_location_uid, found.retrieve_url, found.source_patient_id)

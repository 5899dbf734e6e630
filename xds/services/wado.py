"""Fetch a study, or a part of one, from the archive that has it, under the asker's own patient id.

Who may see it and where it is, is decided inside the unit of work; the archive is asked after its commit, when no
database connection is held. Only what a manifest lists is asked for, and only at the address of the table of domains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ihe.errors import NotAcceptable, NotFound, Unavailable
from ihe.unit_of_work import UnitOfWork
from ihe.values import AssigningAuthority
from xds.archive.client import Archive, ArchiveAnswer
from xds.domain.imaging import NOT_PICTURES, is_uid
from xds.domain.study_query import StudyQuery
from xds.services.studies import Studies, series_of
from xds.services.study_search import FoundStudy, search_studies
from xds.store import imaging
from xds.translate.dicom_coercion import ShownPatient


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which objects.

    Attributes:
        series, instance: ``None`` for all of the level above.
    """

    study: str
    series: str | None = None
    instance: str | None = None

    @property
    def path(self) -> str:
        """Below a DICOMweb root."""
        series = f"/series/{self.series}" if self.series else ""
        return f"/studies/{self.study}{series}{f'/instances/{self.instance}' if self.instance else ''}"


@dataclass(frozen=True, slots=True)
class Place:
    """An archive that has the study.

    Attributes:
        home: authority of its patient ids.
    """

    archive: Archive
    home: AssigningAuthority


@dataclass(frozen=True, slots=True)
class Located:
    """Objects that the asker may see, and where they are.

    Attributes:
        found: their study, and the id under which the asker knows the patient.
        places: archives that have it, those that answer first.
        coerce: whether the patient is shown under the asker's id.
    """

    wanted: Wanted
    found: FoundStudy
    places: tuple[Place, ...]
    coerce: bool

    def shown_by(self, place: Place) -> ShownPatient | None:
        """How the patient of that archive's objects is shown; ``None``: as they say."""
        return ShownPatient(self.found.shown_id, place.home) if self.coerce else None


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive's answer that has begun.

    Attributes:
        missed: sites that have it too, and did not answer.
    """

    located: Located
    place: Place
    answer: ArchiveAnswer
    missed: tuple[str, ...] = ()


def locate(uow: UnitOfWork, wanted: Wanted, studies: Studies, shown_in: str | None = None) -> Located:
    """Find objects, as far as the asker may see them.

    Args:
        shown_in: code of the domain under whose ids the patient is shown; ``None``: the asker's own.

    Raises:
        NotFound: no manifest lists them, or the asker may not know.
        Unavailable: no archive of the region has them.
    """
    if not all(is_uid(uid) for uid in (wanted.study, wanted.series, wanted.instance) if uid is not None):
        raise NotFound("no such object can be seen here")
    query = StudyQuery(study_uids=frozenset({wanted.study}))
    found = search_studies(uow, query, studies, shown_in).studies
    if not found or not _lists(uow, found[0], wanted):
        raise NotFound("no such object can be seen here")
    places = places_of(found[0], studies)
    if not places:
        raise Unavailable("no archive of the region is known to have it")
    return Located(wanted, found[0], places, studies.coerces)


def locate_picture(uow: UnitOfWork, wanted: Wanted, studies: Studies, shown_in: str | None = None) -> Located:
    """As :func:`locate`, of the one picture that stands for a study or a series: the middle of its first pictures.

    Raises:
        NotFound: as :func:`locate`, or there is no picture among the objects.
    """
    located = locate(uow, wanted, studies, shown_in)
    if wanted.instance is not None:
        return located
    study = located.found.study
    for series in series_of(uow, [study]).get(study.uid, ()):
        if wanted.series in (None, series.uid) and series.instances and series.kind not in NOT_PICTURES:
            middle = series.instances[len(series.instances) // 2]
            return replace(located, wanted=Wanted(study.uid, series.uid, middle.sop_instance_uid))
    raise NotFound("there is no picture among these objects")


def places_of(found: FoundStudy, studies: Studies) -> tuple[Place, ...]:
    """The archives of the region that have a study, those that answer first."""
    places = [
        Place(archive, AssigningAuthority(copy.source.site, copy.source.patient_authority))
        for copy in found.study.copies
        if copy.source and (archive := studies.archives.of(copy.source.site))
    ]
    return tuple(sorted(places, key=lambda place: place.archive.breaker.is_open))


def open_first(located: Located, rest: str, accept: str) -> Opened:
    """Ask the archives in turn until one begins to answer; outside a unit of work.

    Args:
        rest: further path below the objects: ``""``, ``/metadata``, ``/frames/1``…

    Raises:
        NotFound: the archives have no such object.
        NotAcceptable: not in this form.
        Unavailable: no archive that has it answers; names the sites.
    """
    missed: list[str] = []
    refusal: NotFound | NotAcceptable | None = None
    for place in located.places:
        try:
            answer = place.archive.get(located.wanted.path + rest, accept)
        except Unavailable:
            missed.append(place.archive.site)
        except (NotFound, NotAcceptable) as error:
            refusal = error
        else:
            return Opened(located, place, answer, tuple(missed))
    if missed:
        sites = ", ".join(missed)
        raise Unavailable(f"the pictures cannot be fetched now: the archive of {sites} does not answer", sites)
    raise refusal or NotFound("no such object can be seen here")


def _lists(uow: UnitOfWork, found: FoundStudy, wanted: Wanted) -> bool:
    """Whether the newest manifest lists the series and the instance."""
    if wanted.series is None:
        return True
    return imaging.is_listed(uow, found.study.facts.row_id, wanted.series, wanted.instance)

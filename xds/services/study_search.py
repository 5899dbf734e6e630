"""Search studies for a viewer, and say under which patient id it knows them.

The answer carries the asker's own id: the one it asked with, else the person's id in the domain of its site. What the
archives call the patient stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ihe.errors import MissingElement, UnknownPatient
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.imaging import ImagingSeries
from xds.domain.priors import ManifestedStudy, PriorStudy
from xds.domain.study_query import StudyQuery
from xds.ports import Person
from xds.services.studies import Studies, current_studies, priors, series_of
from xds.store import imaging


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study as it is answered to one asker.

    Attributes:
        study: with every place that has it.
        shown_id: the id under which the asker knows the patient.
    """

    study: PriorStudy
    shown_id: PatientId


@dataclass(frozen=True, slots=True)
class FoundStudies:
    """The wanted part of an answer.

    Attributes:
        studies: latest first.
        has_more: whether some were left out because of the limit.
    """

    studies: tuple[FoundStudy, ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """The series of one study as the newest manifest lists them."""

    found: FoundStudy
    series: tuple[ImagingSeries, ...]


def search_studies(uow: UnitOfWork, query: StudyQuery, studies: Studies, shown_in: str | None = None) -> FoundStudies:
    """The studies that answer a query, as far as the asker may see them.

    Args:
        shown_in: code of the domain under whose ids patients are shown, unless the query names one; ``None``: the
            asker's own.

    Raises:
        MissingElement: the query names neither patient nor study nor accession number.
        UnknownAuthority: the patient id is of no domain of the region.
    """
    if not query.names_something:
        raise MissingElement("name a patient with its issuer, a study or an accession number", "PatientID")
    found = [each for each in _candidates(uow, query, studies, shown_in) if query.matches(each.study)]
    wanted = found[query.offset :]
    if query.limit is not None and len(wanted) > query.limit:
        return FoundStudies(tuple(wanted[: query.limit]), has_more=True)
    return FoundStudies(tuple(wanted))


def list_series(
    uow: UnitOfWork, query: StudyQuery, studies: Studies, shown_in: str | None = None
) -> FoundSeries | None:
    """The series of the one study that a query names, or ``None`` when the asker can't see it."""
    found = search_studies(uow, query, studies, shown_in).studies
    if not found:
        return None
    study = found[0]
    return FoundSeries(study, series_of(uow, [study.study]).get(study.study.uid, ()))


def _candidates(uow: UnitOfWork, query: StudyQuery, studies: Studies, shown_in: str | None) -> Iterator[FoundStudy]:
    if query.patient_id is not None:
        try:
            history = priors(uow, query.patient_id, studies)
        except UnknownPatient:
            return
        for study in history:
            yield FoundStudy(study, query.patient_id)
        return
    for study in current_studies(uow, _named(uow, query), studies):
        yield FoundStudy(study, own_id(uow, study.facts, studies, shown_in))


def _named(uow: UnitOfWork, query: StudyQuery) -> Iterable[ManifestedStudy]:
    if query.study_uids:
        return imaging.find_by_studies(uow.connection, query.study_uids)
    return imaging.find_by_accession(uow.connection, query.accession_number or "")


def own_id(uow: UnitOfWork, facts: ManifestedStudy, studies: Studies, shown_in: str | None) -> PatientId:
    """The person's id in the asker's own domain; without one, the id that the study came with.

    Args:
        shown_in: code of the domain; ``None``: the asker's own.
    """
    anchor = PatientId.from_xds_cx(facts.anchor)
    source = studies.sources.by_site(shown_in or uow.caller.site or "")
    person = studies.directory.resolve(uow, anchor)
    if source is None or person is None:
        return anchor
    return _id_in(person, str(source.patient_authority)) or anchor


def _id_in(person: Person, authority: str) -> PatientId | None:
    own = sorted((each for each in person.identifiers if each.authority.oid == authority), key=lambda each: each.value)
    return own[0] if own else None

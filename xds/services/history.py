"""A person's imaging history for a viewer: every study, the most relevant first, with its reports, the places that have
it, and why it is there.

The viewer names its own patient id, or a study or an accession number that it has open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ihe.errors import InvalidElement, MissingElement, NotFound
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId, unescape_hl7
from xds.domain.imaging import IssuedId
from xds.domain.model import DocumentEntry
from xds.domain.priors import PriorStudy
from xds.domain.relevance import NO_INTEREST, Interest, Relevance
from xds.domain.study_query import StudyQuery
from xds.ports import Person
from xds.services.find import anchors_of
from xds.services.studies import Studies, person_of, studies_of
from xds.services.study_search import FoundStudy, own_id, search_studies
from xds.services.visibility import readable
from xds.store import reports
from xds.translate.ebxml_stored import entry_of

_STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"
_ACCESSION = "urn:ihe:iti:xds:2013:accession"


@dataclass(frozen=True, slots=True)
class HistoryQuestion:
    """Whose history is wanted: of a patient, or of the patient of a study or of an accession number; just one.

    Attributes:
        patient_id: the viewer's own number, or any other identifier of the person.
        accession: with its issuer's OID.
        interest: what is being read; :data:`NO_INTEREST`: the study that is named, if one is.
        shown_in: code of the domain under whose ids the patient is shown when no id is named; ``None``: the asker's.
    """

    patient_id: PatientId | None = None
    study_uid: str | None = None
    accession: IssuedId | None = None
    interest: Interest = NO_INTEREST
    shown_in: str | None = None


@dataclass(frozen=True, slots=True)
class HistoricStudy:
    """One study of the history.

    Attributes:
        joined_by: why it is there: the identifier asked with, that of the person, and the one that the study follows,
            each once.
        reports: documents that refer to it, latest first.
    """

    study: PriorStudy
    relevance: Relevance
    joined_by: tuple[PatientId, ...]
    reports: tuple[DocumentEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """The answer.

    Attributes:
        shown_id: the id under which the asker knows the patient.
        interest: by which the studies are ordered.
        unreachable: sites whose archives are known not to answer now.
    """

    shown_id: PatientId
    interest: Interest
    studies: tuple[HistoricStudy, ...]
    unreachable: tuple[str, ...] = ()


def history(uow: UnitOfWork, question: HistoryQuestion, studies: Studies) -> History:
    """The history that a viewer asks for, as far as the caller may see it.

    Raises:
        MissingElement: nothing is named.
        UnknownAuthority: the patient id is of no domain of the region.
        UnknownPatient: it designates nobody.
        NotFound: no such study can be seen.
        InvalidElement: the studies named are several patients'.
    """
    interest = question.interest
    if question.patient_id is not None:
        asked = shown = question.patient_id
    else:
        opened = _opened(uow, question, studies)
        asked = PatientId.from_xds_cx(opened.facts.anchor)
        shown = own_id(uow, opened.facts, studies, question.shown_in)
        interest = Interest.in_study(opened) if interest == NO_INTEREST else interest
    person = person_of(uow, shown if question.patient_id is None else asked, studies)
    found = studies_of(uow, person, studies)
    speaking = _reports(uow, person, studies)
    sites = [copy.source.site for study in found for copy in study.copies if copy.source]
    joined_by = {anchor: _joined_by(shown, person, anchor) for anchor in {study.facts.anchor for study in found}}
    return History(
        shown,
        interest,
        tuple(
            HistoricStudy(study, relevance, joined_by[study.facts.anchor], tuple(_about(study, speaking)))
            for study, relevance in interest.ordered(found)
        ),
        studies.archives.unreachable(sites),
    )


def _opened(uow: UnitOfWork, question: HistoryQuestion, studies: Studies) -> PriorStudy:
    """The study that the viewer has open.

    Raises:
        MissingElement: it names none.
        NotFound: there is none that the caller may see.
        InvalidElement: it is several patients'.
    """
    if question.study_uid is not None:
        query = StudyQuery(study_uids=frozenset({question.study_uid}))
    elif question.accession is not None:
        query = StudyQuery(accession_number=question.accession.value)
    else:
        raise MissingElement("name a patient, a study or an accession number", "patient")
    found = [each for each in search_studies(uow, query, studies).studies if _is_meant(each, question.accession)]
    if not found:
        raise NotFound("no such study can be seen here")
    anchors = {copy.manifest.anchor for each in found for copy in each.study.copies}
    persons = {studies.directory.resolve(uow, PatientId.from_xds_cx(anchor)) for anchor in anchors}
    if len({person.regional_id for person in persons if person is not None}) > 1:
        raise InvalidElement("the studies that have it are several patients'; name the patient", "patient")
    return found[0].study


def _is_meant(found: FoundStudy, accession: IssuedId | None) -> bool:
    """Whether a study with that accession number has it of that issuer: the number alone is every hospital's."""
    if accession is None:
        return True
    issuer = accession.issuer.oid if accession.issuer else None
    return any(
        each.value == accession.value and each.issuer is not None and each.issuer.oid == issuer
        for each in found.study.facts.accessions
    )


def _joined_by(shown: PatientId, person: Person, anchor: str) -> tuple[PatientId, ...]:
    chain = (shown, person.regional_id, PatientId.from_xds_cx(anchor))
    return tuple({each.xds_cx: each for each in chain}.values())


def _reports(uow: UnitOfWork, person: Person, studies: Studies) -> list[tuple[DocumentEntry, frozenset[str]]]:
    """The person's documents that refer to something, each with what it refers to."""
    found = reports.find_referring(uow.connection, anchors_of(person))
    allowed = {each.id for each in readable(uow, studies.registry, [entry for entry, _ in found])}
    return [
        (entry_of(entry), frozenset(map(_reference, references))) for entry, references in found if entry.id in allowed
    ]


def _about(study: PriorStudy, speaking: Iterable[tuple[DocumentEntry, frozenset[str]]]) -> Iterable[DocumentEntry]:
    names = {f"{study.uid}^{_STUDY}"} | {
        f"{accession.value}&{accession.issuer.oid}^{_ACCESSION}"
        for accession in study.facts.accessions
        if accession.issuer and accession.issuer.oid
    }
    return (entry for entry, references in speaking if not names.isdisjoint(references))


def _reference(cxi: str) -> str:
    """A reference in a form that can be compared: value, OID of its issuer where a number alone says little, type.

    Source: ITI TF-3: 4.2.3.1.7 (CXi).
    """
    value, _, _, issuer, kind, *_ = (*cxi.split("^"), "", "", "", "")
    within = f"&{issuer.split('&')[1] if '&' in issuer else ''}" if kind == _ACCESSION else ""
    return f"{unescape_hl7(value)}{within}^{kind}"

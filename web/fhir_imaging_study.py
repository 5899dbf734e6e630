"""FHIR ImagingStudy: search and read of a person's studies, from the same manifests as QIDO-RS and ``/priors``.

Source: FHIR R4: ImagingStudy (no IHE transaction).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ihe.errors import NotFound
from ihe.fhir.formats import answer_format, render
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import Endpoint, HttpBinding, Transaction
from web.application import WebApplication
from xds.domain.imaging import ImagingSeries
from xds.domain.study_query import StudyQuery
from xds.services.studies import series_of
from xds.services.study_search import FoundStudy, search_studies
from xds.translate.dicom_web import unreachable, warning_header
from xds.translate.fhir_imaging_study import PARAMETERS, StudySearch, imaging_study, read_study_search
from xds.translate.fhir_search import RESULT_PARAMETERS, searchset

_PATH = "/fhir/ImagingStudy"


@dataclass(frozen=True, slots=True)
class Question:
    """One study, or a search."""

    search: StudySearch
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One study with what its resource says beside it.

    Attributes:
        patient: ``Patient/<id>``, or ``None``.
        domain: code of the domain under whose ids the patient is shown, or ``None``.
    """

    found: FoundStudy
    series: Sequence[ImagingSeries]
    patient: str | None
    domain: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One page.

    Attributes:
        total: studies that match in all.
        unreachable: sites whose archives are known not to answer now.
    """

    question: Question
    studies: tuple[Shown, ...]
    total: int
    unreachable: tuple[str, ...]


def decode(request: HttpRequest) -> Question:
    """Read the parameters.

    Raises:
        InvalidElement: a parameter is unknown or its value malformed.
        MissingElement: nothing is named.
        NotAcceptable: a format that is not offered.
    """
    answer_format(request)
    uid = request.path_parameters.get("id")
    if uid is not None:
        return Question(StudySearch(uids=frozenset({uid})), uid)
    return Question(read_study_search(request))


def serve(question: Question, context: Context[WebApplication]) -> Answer:
    """Search or read, as far as the caller may see.

    Raises:
        NotFound: no such study that the caller may see.
    """
    uow, app = context.uow, context.application.xds
    search = question.search
    context.trail.query("ImagingStudy")
    matching = [each for each in _candidates(search, context) if search.admits(each.study)]
    if question.uid is not None and not matching:
        raise NotFound("there is no such ImagingStudy")
    page = search.page
    chosen = matching[page.offset : page.offset + page.count]
    series = series_of(uow, [each.study for each in chosen])
    patients = {each.shown_id: app.patients.resource_id_of(uow, each.shown_id) for each in chosen}
    for patient_id in patients:
        context.trail.patient(patient_id.xds_cx)
    shown = []
    for each in chosen:
        resource_id = patients[each.shown_id]
        source = app.studies.sources.by_authority(each.shown_id)
        patient = f"Patient/{resource_id}" if resource_id else None
        shown.append(Shown(each, series.get(each.study.uid, ()), patient, source.site if source else None))
    missing = app.studies.archives.unreachable(_sites(chosen))
    return Answer(question, tuple(shown), len(matching), missing)


def _candidates(search: StudySearch, context: Context[WebApplication]) -> Sequence[FoundStudy]:
    uow, app = context.uow, context.application.xds
    if search.is_nothing:
        return ()
    query = StudyQuery(
        study_uids=search.uids or frozenset(), accession_number=search.accession.value if search.accession else None
    )
    if search.patient is not None:
        patient_id = search.patient.identifier
        if search.patient.resource_id is not None:
            patient_id = app.patients.identifier_of(uow, search.patient.resource_id)
        if patient_id is None or not app.studies.directory.knows_authority(patient_id):
            return ()
        context.trail.patient(patient_id.xds_cx)
        query = StudyQuery(patient_id=patient_id)
    elif not query.names_something:
        return ()
    return search_studies(uow, query, app.studies).studies


def _sites(found: Iterable[FoundStudy]) -> Iterable[str]:
    return (copy.source.site for each in found for copy in each.study.copies if copy.source)


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """The ImagingStudy, or a searchset Bundle with links to this page and the next."""
    media_type = answer_format(request)
    headers = warning_header(request.base_url, unreachable(answer.unreachable))
    resources = [
        imaging_study(each.found.study, each.series, each.found.shown_id, each.patient, _root(request, each.domain))
        for each in answer.studies
    ]
    if answer.question.uid is not None:
        return HttpReply(200, media_type, render(resources[0], media_type), headers)
    bundle = searchset(request, "ImagingStudy", resources, answer.question.search.page, answer.total)
    return HttpReply(200, media_type, render(bundle, media_type), headers)


def _root(request: HttpRequest, domain: str | None) -> str:
    return f"{request.base_url}/dicom-web{f'/domains/{domain}' if domain else ''}"


ENDPOINT = Endpoint(
    Transaction(
        number="TDU-6",
        name="Imaging Studies",
        actor="Server",
        profile="FHIR",
        bindings=(
            HttpBinding(
                "GET",
                _PATH,
                interaction="search-type",
                search_parameters=PARAMETERS,
                result_parameters=RESULT_PARAMETERS,
            ),
            HttpBinding("POST", f"{_PATH}/_search", interaction="search-type", body="form"),
            HttpBinding("GET", f"{_PATH}/{{id}}", interaction="read"),
        ),
        writes=False,
        event_code="110112",
        event_action="E",
    ),
    decode,
    serve,
    encode,
    None,
    __name__,
)
"""The interactions, for the pipeline."""

"""RAD-129 QIDO-RS Query: the studies of a person over the whole region, under the asker's own patient id.

What is asked is answered from manifests, in one question to the database; no archive is asked.

Source: RAD TF-2: 4.129; DICOM PS3.18 10.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from ihe.errors import InvalidElement, MissingElement, NotFound
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import PatientId
from xds.application import XdsApplication
from xds.domain.imaging import is_uid
from xds.domain.study_query import StudyQuery
from xds.services.studies import Studies
from xds.services.study_search import FoundSeries, FoundStudies, FoundStudy, list_series, search_studies
from xds.translate import dicom_json
from xds.translate.dicom_json import JsonObject
from xds.translate.dicom_web import ROOTS, root_of, unreachable, warning_header
from xds.translate.qido_query import QidoQuery, issued_patient_id, read_qido

TRANSACTION = Transaction(
    number="RAD-129",
    name="QIDO-RS Query",
    actor="Imaging Document Responder",
    profile="WIA",
    bindings=tuple(
        HttpBinding("GET", f"{root}/studies{rest}")
        for root in ROOTS
        for rest in ("", "/{study}/series", "/{study}/instances", "/{study}/series/{series}/instances")
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "studies are found by patient id with issuer, by study UID or by accession number; never without",
        "PatientID and IssuerOfPatientID are the asker's own; the archives' ids are in OtherPatientIDsSequence",
        "InstanceAvailability says whether the archive is known to answer; a Warning names those that do not",
        "matching: StudyDate with ranges, ModalitiesInStudy, StudyDescription with wildcards; limit and offset",
    ),
    source="RAD TF-2: 4.129; DICOM PS3.18 10.6",
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the region.

    Attributes:
        asked: the parameters.
        level: ``studies``, ``series`` or ``instances``.
        series_uid: the one series whose instances are asked for, or ``None``.
        domain: code of the domain below whose root is asked, or ``None``.
    """

    asked: QidoQuery
    level: str
    series_uid: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; the address of this service is known only to the request.

    Attributes:
        unreachable: sites whose archives are known not to answer now.
        coerces: whether patients are shown under the asker's id.
    """

    question: Question
    found: FoundStudies | FoundSeries
    unreachable: tuple[str, ...] = ()
    coerces: bool = True


def decode(request: HttpRequest) -> Question:
    """The parameters, with the study and series that the address names."""
    asked = read_qido(request.query)
    level = request.path.rstrip("/").rpartition("/")[2]
    study, series = request.path_parameters.get("study"), request.path_parameters.get("series")
    for uid in filter(None, (study, series)):
        if not is_uid(uid):
            raise InvalidElement("a UID has digits and dots, at most 64 characters", "StudyInstanceUID")
    if study is not None:
        only = StudyQuery(study_uids=frozenset({study}))
        asked = replace(asked, query=only)
    return Question(asked, level, series, request.path_parameters.get("domain"))


def serve(question: Question, context: Context[XdsApplication]) -> Answer:
    """Search, as far as the asker may see."""
    studies = context.application.studies
    query = replace(question.asked.query, patient_id=_patient_id(question, context))
    context.trail.query("QIDO-RS", level=question.level)
    if query.patient_id is not None:
        context.trail.patient(_label(query.patient_id))
    if question.level == "studies":
        found = search_studies(context.uow, query, studies, question.domain)
        if query.patient_id is None:
            for patient in sorted({each.study.facts.anchor for each in found.studies}):
                context.trail.patient(patient)
        return Answer(question, found, _unreachable(found.studies, studies), studies.coerces)
    series = list_series(context.uow, query, studies, question.domain)
    if series is None:
        raise NotFound("no such study can be seen here")
    if query.patient_id is None:
        context.trail.patient(series.found.study.facts.anchor)
    return Answer(question, series, _unreachable([series.found], studies))


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """DICOM JSON; what was not matched, and that there is more, is said in warnings."""
    root = root_of(request)
    warnings = unreachable(answer.unreachable)
    if answer.question.asked.ignored:
        warnings.append(f"not matched here: {', '.join(answer.question.asked.ignored)}")
    if isinstance(answer.found, FoundStudies):
        writer = dicom_json.StudyWriter(root, answer.unreachable)
        items = [writer.write(each.study, each.shown_id if answer.coerces else None) for each in answer.found.studies]
        if answer.found.has_more:
            warnings.append("there are more studies; ask with offset")
    else:
        state = dicom_json.availability(answer.found.found.study, answer.unreachable)
        items = [{**each, **state} for each in _below_study(answer.question, answer.found, root)]
    headers = {"Cache-Control": "no-store", **warning_header(request.base_url, warnings)}
    return HttpReply(200, "application/dicom+json", orjson.dumps(items), headers)


def _below_study(question: Question, found: FoundSeries, root: str) -> Iterable[JsonObject]:
    study = found.found.study
    for series in found.series:
        if question.level == "series":
            yield dicom_json.series_json(study, series, root)
        elif question.series_uid in (None, series.uid):
            for instance in series.instances:
                yield dicom_json.instance_json(study, series, instance, root)


def _unreachable(found: Iterable[FoundStudy], studies: Studies) -> tuple[str, ...]:
    copies = (copy for each in found for copy in each.study.copies)
    return studies.archives.unreachable(copy.source.site for copy in copies if copy.source)


def _patient_id(question: Question, context: Context[XdsApplication]) -> PatientId | None:
    """The patient id asked for; without an issuer it is one of the root's domain, else of the asker's own site."""
    asked = question.asked
    if asked.patient is None:
        return None
    sources = context.application.studies.sources
    source = sources.by_site(asked.issuer or question.domain or context.uow.caller.site or "")
    if source is not None:
        return issued_patient_id(asked.patient, str(source.patient_authority))
    if asked.issuer is None:
        raise MissingElement("a patient id needs its issuer", "IssuerOfPatientID")
    return issued_patient_id(asked.patient, asked.issuer)


def _label(patient_id: PatientId) -> str:
    return patient_id.xds_cx if patient_id.authority.oid else f"{patient_id.value}^^^{patient_id.authority.namespace}"

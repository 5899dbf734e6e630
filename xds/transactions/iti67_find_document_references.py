"""ITI-67 Find Document References: search and read of FHIR DocumentReference.

Answers what ITI-18 answers, by the same services and the same reading policy.

Source: ITI TF-2: 3.67 (MHD 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ihe.errors import NotFound
from ihe.fhir.formats import answer_format, render
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from xds.application import XdsApplication
from xds.domain.answers import Returned
from xds.domain.datatypes import is_uuid
from xds.domain.registered import RegisteredEntry
from xds.services import find, get
from xds.services.described import Surroundings, surroundings
from xds.services.get import Named
from xds.services.patient_resources import patient_references
from xds.translate.ebxml_stored import entry_of
from xds.translate.fhir_document import document_reference
from xds.translate.fhir_document_search import DOCUMENT_PARAMETERS, DocumentSearch, read_document_search
from xds.translate.fhir_search import RESULT_PARAMETERS, searchset
from xds.translate.fhir_terms import Json

_PATH = "/fhir/DocumentReference"
TRANSACTION = Transaction(
    number="ITI-67",
    name="Find Document References",
    actor="Document Responder",
    profile="MHD",
    bindings=(
        HttpBinding(
            "GET",
            _PATH,
            interaction="search-type",
            search_parameters=tuple((name, kind) for name, kind, _ in DOCUMENT_PARAMETERS),
            result_parameters=RESULT_PARAMETERS,
        ),
        HttpBinding("POST", f"{_PATH}/_search", interaction="search-type", body="form"),
        HttpBinding("GET", f"{_PATH}/{{id}}", interaction="read"),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "a patient is named by any identifier of the region, or by the Patient of this service",
        "JSON and XML; paging by _count and _offset",
    ),
    source="ITI TF-2: 3.67",
)


@dataclass(frozen=True, slots=True)
class Question:
    """One resource by its logical id, or a search."""

    search: DocumentSearch
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The entries of one page, and what their resources say beside their metadata.

    Attributes:
        references: ``Patient/<id>`` of each, or ``None``.
        total: entries that match in all.
    """

    question: Question
    found: Sequence[tuple[Returned, RegisteredEntry, str | None]]
    around: Surroundings
    total: int


def decode(request: HttpRequest) -> Question:
    """Read the search parameters.

    Raises:
        InvalidElement: a parameter is unknown or its value malformed.
        MissingElement: no patient.
        NotAcceptable: a format that is not offered.
    """
    answer_format(request)
    if "id" in request.path_parameters:
        return Question(DocumentSearch(), request.path_parameters["id"])
    return Question(read_document_search(request))


def serve(question: Question, context: Context[XdsApplication]) -> Answer:
    """Search or read, as far as the caller may see.

    Raises:
        NotFound: no such resource that the caller may read.
        TooMany: more entries than the registry answers at once.
    """
    uow, registry = context.uow, context.application.registry
    if question.resource_id is None:
        context.trail.query(TRANSACTION.name)
        matching = _search(question.search, context)
        page = question.search.page
    else:
        matching = _by_ids([f"urn:uuid:{question.resource_id.lower()}"], context)
        if not matching:
            raise NotFound("there is no such DocumentReference")
        page = question.search.page
    shown = matching[page.offset : page.offset + page.count]
    references = patient_references(uow, context.application.patients, shown)
    for patient_id in references:
        context.trail.patient(patient_id.xds_cx)
    found = [
        (each, each.object, references[each.patient_id] if each.patient_id else None)
        for each in shown
        if isinstance(each.object, RegisteredEntry)
    ]
    for _, entry, _ in found:
        context.trail.document(entry.unique_id)
    return Answer(question, found, surroundings(uow, registry, shown), len(matching))


def _search(search: DocumentSearch, context: Context[XdsApplication]) -> list[Returned]:
    uow, app = context.uow, context.application
    if search.patient is None:
        found = _named(search, context)
    else:
        patient_id = search.patient.identifier
        if search.patient.resource_id is not None:
            patient_id = app.patients.identifier_of(uow, search.patient.resource_id)
        if patient_id is None or not search.criteria.statuses:
            return []
        context.trail.patient(patient_id.xds_cx)
        found = find.find_documents(uow, app.registry, patient_id, search.criteria)
    matching = [each for each in found if _matches(search, each)]
    return matching[::-1] if search.page.newest_first else matching


def _matches(search: DocumentSearch, found: Returned) -> bool:
    if not isinstance(found.object, RegisteredEntry) or not search.admits(found.object):
        return False
    if not search.tests:
        return True
    entry = entry_of(found.object)
    return all(test(entry) for test in search.tests)


def _named(search: DocumentSearch, context: Context[XdsApplication]) -> list[Returned]:
    """Entries by ``_id`` or ``identifier``, without a patient: as GetDocuments of ITI-18."""
    if search.ids is not None:
        return _by_ids(sorted(search.ids), context)
    named = sorted(search.identifiers[0])
    unique = get.entries(context.uow, Named(unique_ids=named))
    known = {each.id for each in unique}
    by_id = [each for each in get.entries(context.uow, Named(ids=_uuids(named))) if each.id not in known]
    return get.returned(context.uow, context.application.registry, [*unique, *by_id], leaf_class=False)


def _by_ids(ids: Sequence[str], context: Context[XdsApplication]) -> list[Returned]:
    entries = get.entries(context.uow, Named(ids=_uuids(ids))) if _uuids(ids) else []
    return get.returned(context.uow, context.application.registry, entries, leaf_class=False)


def _uuids(ids: Sequence[str]) -> list[str]:
    return [each for each in ids if is_uuid(each)]


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """The DocumentReference, or a searchset Bundle with links to this page and the next."""
    media_type = answer_format(request)
    resources = [_resource(answer, each, request.base_url) for each in answer.found]
    if answer.question.resource_id is not None:
        headers = {"ETag": f'W/"{resources[0]["meta"]["versionId"]}"'}
        return HttpReply(200, media_type, render(resources[0], media_type), headers)
    bundle = searchset(request, "DocumentReference", resources, answer.question.search.page, answer.total)
    return HttpReply(200, media_type, render(bundle, media_type))


def _resource(answer: Answer, found: tuple[Returned, RegisteredEntry, str | None], base_url: str) -> Json:
    returned, registered, reference = found
    return document_reference(
        entry_of(registered, returned.patient_id),
        subject_reference=reference,
        relations=answer.around.relations.get(registered.id, ()),
        registered_at=registered.registered_at,
        base_url=f"{base_url}/fhir",
    )

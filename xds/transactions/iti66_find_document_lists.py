"""ITI-66 Find Document Lists: search and read of FHIR List, that is of submission sets and folders.

Source: ITI TF-2: 3.66 (MHD 4.2).
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
from xds.domain.registered import RegisteredEntry, RegisteredFolder, RegisteredSet
from xds.services import find, get
from xds.services.described import Surroundings, surroundings
from xds.services.get import Named
from xds.services.patient_resources import patient_references
from xds.translate.ebxml_stored import folder_of, set_of
from xds.translate.fhir_document import resource_id
from xds.translate.fhir_list import folder_list, submission_set_list
from xds.translate.fhir_list_search import LIST_PARAMETERS, ListSearch, read_list_search
from xds.translate.fhir_search import RESULT_PARAMETERS, searchset
from xds.translate.fhir_terms import Json

_PATH = "/fhir/List"
TRANSACTION = Transaction(
    number="ITI-66",
    name="Find Document Lists",
    actor="Document Responder",
    profile="MHD",
    bindings=(
        HttpBinding(
            "GET",
            _PATH,
            interaction="search-type",
            search_parameters=tuple((name, kind) for name, kind, _ in LIST_PARAMETERS),
            result_parameters=RESULT_PARAMETERS,
        ),
        HttpBinding("POST", f"{_PATH}/_search", interaction="search-type", body="form"),
        HttpBinding("GET", f"{_PATH}/{{id}}", interaction="read"),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=("submission sets and folders", "JSON and XML; paging by _count and _offset"),
    source="ITI TF-2: 3.66",
)


@dataclass(frozen=True, slots=True)
class Question:
    """One resource by its logical id, or a search."""

    search: ListSearch
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The sets and folders of one page, with ``Patient/<id>`` of each, and their members.

    Attributes:
        total: lists that match in all.
    """

    question: Question
    found: Sequence[tuple[Returned, str | None]]
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
        return Question(ListSearch(), request.path_parameters["id"])
    return Question(read_list_search(request))


def serve(question: Question, context: Context[XdsApplication]) -> Answer:
    """Search or read.

    Raises:
        NotFound: no such resource.
        TooMany: more lists than the registry answers at once.
    """
    uow, app = context.uow, context.application
    if question.resource_id is None:
        context.trail.query(TRANSACTION.name)
        matching = _search(question.search, context)
    else:
        matching = _named([f"urn:uuid:{question.resource_id.lower()}"], (), context)
        if not matching:
            raise NotFound("there is no such List")
    page = question.search.page
    shown = matching[page.offset : page.offset + page.count]
    references = patient_references(uow, app.patients, shown)
    for patient_id in references:
        context.trail.patient(patient_id.xds_cx)
    found = [(each, references[each.patient_id] if each.patient_id else None) for each in shown]
    return Answer(question, found, surroundings(uow, app.registry, shown), len(matching))


def _search(search: ListSearch, context: Context[XdsApplication]) -> list[Returned]:
    uow, app = context.uow, context.application
    if search.patient is None:
        named = sorted(search.ids if search.ids is not None else search.identifiers[0])
        found = _named(named, named, context)
    else:
        patient_id = search.patient.identifier
        if search.patient.resource_id is not None:
            patient_id = app.patients.identifier_of(uow, search.patient.resource_id)
        if patient_id is None or not search.statuses:
            return []
        context.trail.patient(patient_id.xds_cx)
        found = []
        if "submissionset" in search.kinds:
            found += find.find_submission_sets(uow, app.registry, patient_id, search.set_criteria)
        if "folder" in search.kinds:
            found += find.find_folders(uow, app.registry, patient_id, search.folder_criteria)
    matching = [each for each in found if _matches(search, each)]
    if search.page.newest_first:
        matching.sort(key=lambda each: each.object.registered_at, reverse=True)
    return matching


def _matches(search: ListSearch, found: Returned) -> bool:
    item = found.object
    if not isinstance(item, (RegisteredSet, RegisteredFolder)) or not search.admits(item):
        return False
    if not search.tests:
        return True
    read = set_of(item) if isinstance(item, RegisteredSet) else folder_of(item)
    return all(test(read) for test in search.tests)


def _named(ids: Sequence[str], unique_ids: Sequence[str], context: Context[XdsApplication]) -> list[Returned]:
    """Sets and folders by their own identifiers, as GetFolders and GetSubmissionSetAndContents of ITI-18."""
    uuids = [each for each in ids if is_uuid(each)]
    found = get.lists(context.uow, Named(ids=uuids, unique_ids=unique_ids))
    return get.returned(context.uow, context.application.registry, found, leaf_class=False)


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """The List, or a searchset Bundle with links to this page and the next."""
    media_type = answer_format(request)
    resources = [_resource(answer, returned, reference) for returned, reference in answer.found]
    if answer.question.resource_id is not None:
        headers = {"ETag": f'W/"{resources[0]["meta"]["versionId"]}"'}
        return HttpReply(200, media_type, render(resources[0], media_type), headers)
    bundle = searchset(request, "List", resources, answer.question.search.page, answer.total)
    return HttpReply(200, media_type, render(bundle, media_type))


def _resource(answer: Answer, returned: Returned, reference: str | None) -> Json:
    item = returned.object
    members = [
        f"{'DocumentReference' if isinstance(each, RegisteredEntry) else 'List'}/{resource_id(each.id)}"
        for each in answer.around.members.get(item.id, ())
    ]
    if isinstance(item, RegisteredSet):
        return submission_set_list(
            set_of(item, returned.patient_id),
            subject_reference=reference,
            members=members,
            registered_at=item.registered_at,
        )
    assert isinstance(item, RegisteredFolder)
    return folder_list(
        folder_of(item, returned.patient_id),
        subject_reference=reference,
        members=members,
        registered_at=item.registered_at,
    )

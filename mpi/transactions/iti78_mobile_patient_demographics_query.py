"""ITI-78 Mobile Patient Demographics Query: search and read of FHIR Patient.

A search finds the Patients of records; the Patient of a person is read by its id, to which every record's refers.

Source: ITI TF-2: 3.78 (PDQm).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from ihe.errors import InvalidElement, NotFound, UnsupportedMediaType
from ihe.fhir.formats import answer_format, render
from ihe.fhir.outcome import warnings_outcome
from ihe.fhir.subset import WHOLE, Subset
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.domain.match_quality import match_quality
from mpi.domain.person import Person
from mpi.domain.query import Page, QueryTag
from mpi.domain.record import Record
from mpi.domain.search import PatientSearch
from mpi.services.demographics import PatientPage, all_identifiers, search_page, show_page
from mpi.services.find_patients import read_patient
from mpi.services.identifiers import find, ins_ids, patient_id_of, regional_patient_id
from mpi.services.page_answer import next_page
from mpi.services.read_person import read_person
from mpi.translate.fhir_patient import (
    patient_resource,
    person_of_resource_id,
    person_resource,
    record_of_resource_id,
)
from mpi.translate.fhir_search import RESULT_PARAMETERS, SEARCH_PARAMETERS, PatientQuery, read_query

TRANSACTION = Transaction(
    number="ITI-78",
    name="Mobile Patient Demographics Query",
    actor="Patient Demographics Supplier",
    profile="PDQm",
    bindings=(
        HttpBinding(
            "GET",
            "/fhir/Patient",
            interaction="search-type",
            search_parameters=SEARCH_PARAMETERS,
            result_parameters=RESULT_PARAMETERS,
        ),
        HttpBinding("POST", "/fhir/Patient/_search", interaction="search-type", body="form"),
        HttpBinding("GET", "/fhir/Patient/{id}", interaction="read"),
    ),
    writes=False,
    is_brief=True,
    event_code="110112",
    event_action="E",
    options=(
        "JSON and XML",
        "modifiers :exact and :contains, prefixes of birthdate, alternatives and repetitions",
        "phonetic, and modifier :phonetic: names that sound the same; :fuzzy: or are written nearly so; with scores",
        "restriction to domains by identifier=system|",
        "Prefer: handling=strict (also without Prefer) or lenient",
        "_count, _summary, _elements, _total; pages over a snapshot by next links, kept 15 minutes",
        "ETag and If-None-Match on read",
    ),
    source="ITI TF-2: 3.78",
)

_KEPT_ON_NEXT_PAGES = ("_count", "_format", "_summary", "_elements", "_total")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class PdqmQuery:
    """The question: either one resource or a search.

    Attributes:
        resource_id: logical id to read, or ``None`` for a search.
    """

    resource_id: str | None
    search: PatientQuery
    subset: Subset = WHOLE


Shown = tuple[Record | Person, tuple[PatientId, ...]]


@dataclass(frozen=True, slots=True)
class PdqmAnswer:
    """Patients found, each with the identifiers to show.

    Attributes:
        total: how many there are on all pages.
        pointer: asks for the next page; ``None`` on the last one.
        scored_by: the search by likeness that each is scored by; ``None`` for another.
    """

    query: PdqmQuery
    patients: tuple[Shown, ...]
    total: int = 0
    pointer: str | None = None
    scored_by: PatientSearch | None = None


def decode(request: HttpRequest) -> PdqmQuery:
    """Read the search parameters.

    Raises:
        InvalidElement: a parameter is unknown or its value malformed.
        UnsupportedMediaType: a search that is sent as something else than a form.
        NotFound: a domain asked for is no OID.
        NotAcceptable: a format that is not offered.
    """
    answer_format(request)
    lenient = "handling=lenient" in request.headers.get("prefer", "").replace(" ", "")
    if "id" in request.path_parameters:
        controls = [(n, v) for n, v in request.query if n in ("_summary", "_elements")]
        query = read_query(controls)
        return PdqmQuery(request.path_parameters["id"], query, query.subset)
    query = read_query(_parameters(request), lenient=lenient)
    return PdqmQuery(None, query, query.subset)


def _parameters(request: HttpRequest) -> list[tuple[str, str]]:
    found = list(request.query)
    if request.method == "POST" and request.body:
        media_type = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
        if media_type != _FORM:
            raise UnsupportedMediaType(f"a search is sent as {_FORM}", "Content-Type")
        try:
            found += parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=100)
        except ValueError as error:
            raise InvalidElement(f"the body is not {_FORM}") from error
    return found


def serve(query: PdqmQuery, context: Context[MpiApplication]) -> PdqmAnswer:
    """Find or read.

    Raises:
        NotFound: no such resource, or a domain asked for is none of the region.
        MissingElement: the search has no criterion that bounds it.
        TooMany: more Patients than one search may find.
        InvalidElement: there is no such page.
    """
    context.trail.query(TRANSACTION.name)
    if query.resource_id is not None:
        resource = _read(query.resource_id, context)
        if resource is None:
            raise NotFound("there is no such Patient")
        return PdqmAnswer(query, (resource,))
    asked = query.search
    domains = _domain_codes(asked, context)
    if asked.finds_nothing:
        return PdqmAnswer(query, ())
    persons = [_read_person(person_id, context) for person_id in asked.persons]
    shown = [person for person in persons if person is not None]
    if asked.persons and not asked.search.record_ids:
        return PdqmAnswer(query, tuple(shown), len(shown))
    found = _search(asked, domains, context)
    for record, _ in found.patients:
        context.trail.patient(patient_id_of(context.application, record.key).xds_cx)
    patients: tuple[Shown, ...] = (*shown, *found.patients)
    likeness = orjson.loads(found.page.question) if found.page.question is not None else asked.likeness
    return PdqmAnswer(
        query,
        patients,
        found.page.total + len(shown),
        found.page.pointer if asked.count else None,
        read_query(likeness).search if likeness else None,
    )


def _search(asked: PatientQuery, domains: tuple[str, ...], context: Context[MpiApplication]) -> PatientPage:
    """The page asked for; with a count of zero the first one without its patients."""
    uow, app = context.uow, context.application
    question = orjson.dumps(asked.likeness).decode() if asked.likeness else None
    tag = QueryTag(uow.caller.label, "", TRANSACTION.number, question)
    if asked.page is not None:
        page = next_page(uow, tag, asked.page, asked.count, "_page")
        return show_page(uow, app, page if asked.count else replace(page, ids=()), domains)
    search = replace(asked.search, domains=domains, limit=app.search_limit)
    if asked.identifiers:
        keys = _keys(asked, context)
        if not keys:
            return PatientPage((), Page((), 0, None, 0))
        search = replace(search, keys=keys)
    found = search_page(uow, app, search, tag, max(1, asked.count), domains)
    return found if asked.count else PatientPage((), found.page)


def _read(resource_id: str, context: Context[MpiApplication]) -> Shown | None:
    app = context.application
    person_id = person_of_resource_id(resource_id)
    if person_id is not None:
        return _read_person(person_id, context)
    record_id = record_of_resource_id(resource_id)
    record = read_patient(context.uow, app, record_id) if record_id is not None else None
    if record is None:
        return None
    context.trail.patient(patient_id_of(app, record.key).xds_cx)
    return record, all_identifiers(context.uow, app, [record])[0]


def _read_person(person_id: int, context: Context[MpiApplication]) -> Shown | None:
    app = context.application
    person = read_person(context.uow, app, person_id)
    if person is None:
        return None
    own = regional_patient_id(app, person.id)
    context.trail.patient(own.xds_cx)
    if not person.is_current:
        return person, (own,)
    local = sorted(person.records, key=lambda r: r.key)
    return person, (own, *ins_ids(app, local), *(patient_id_of(app, r.key) for r in local))


def _domain_codes(asked: PatientQuery, context: Context[MpiApplication]) -> tuple[str, ...]:
    codes = []
    for authority in asked.domains:
        domain = context.application.domains.by_authority(authority)
        if domain is None:
            raise NotFound("the domain asked for is no domain of the region", "identifier")
        codes.append(domain.code)
    return tuple(codes)


def _keys(asked: PatientQuery, context: Context[MpiApplication]) -> tuple[RecordKey, ...]:
    """The records that an identifier of each group designates; one of another region's domain designates none."""
    app = context.application
    groups = [
        {r.key for i in group if app.domains.by_authority(i.authority) is not None for r in find(context.uow, app, i)}
        for group in asked.identifiers
    ]
    return tuple(sorted(set.intersection(*groups)))


def _resource(shown: Shown) -> dict[str, Any]:
    found, identifiers = shown
    return person_resource(found, identifiers) if isinstance(found, Person) else patient_resource(found, identifiers)


def encode(answer: PdqmAnswer, request: HttpRequest) -> HttpReply:
    """The Patient (304 when the client has it already), or a searchset Bundle with links to this page and the next."""
    media_type = answer_format(request)
    subset = answer.query.subset
    if answer.query.resource_id is not None:
        resource = _resource(answer.patients[0])
        headers = {"ETag": f'W/"{resource["meta"]["versionId"]}"'}
        if headers["ETag"] in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
            return HttpReply(304, media_type, b"", headers)
        return HttpReply(200, media_type, render(subset.of(resource), media_type), headers)
    asked = answer.query.search
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if asked.with_total:
        bundle["total"] = answer.total
    bundle["link"] = _links(answer, request)
    entries: list[dict[str, Any]] = []
    if not subset.only_count:
        for shown in answer.patients:
            resource = subset.of(_resource(shown))
            url = f"{request.base_url}/fhir/Patient/{resource['id']}"
            found: dict[str, Any] = {"mode": "match"}
            if answer.scored_by is not None and isinstance(shown[0], Record):
                found["score"] = match_quality(answer.scored_by, shown[0].traits) / 100
            entries.append({"fullUrl": url, "resource": resource, "search": found})
    if asked.ignored:
        outcome = warnings_outcome([("the search parameter was left out of account", name) for name in asked.ignored])
        entries.append({"resource": outcome, "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    return HttpReply(200, media_type, render(bundle, media_type))


def _links(answer: PdqmAnswer, request: HttpRequest) -> list[dict[str, str]]:
    asked = answer.query.search
    url = f"{request.base_url}/fhir/Patient"
    links = [{"relation": "self", "url": f"{url}?{urlencode(_told(request, asked))}"}]
    if answer.pointer is not None:
        kept = [(n, v) for n, v in _parameters(request) if _is_kept(n, v)]
        links.append({"relation": "next", "url": f"{url}?{urlencode([('_page', answer.pointer), *kept])}"})
    return links


def _is_kept(name: str, value: str) -> bool:
    """Whether later pages need a parameter: how to answer, and of which domains."""
    return name in _KEPT_ON_NEXT_PAGES or (name == "identifier" and value.endswith("|") and value.count("|") == 1)


def _told(request: HttpRequest, asked: PatientQuery) -> list[tuple[str, str]]:
    """The parameters that were taken into account; of a form only the controls, to keep traits out of addresses."""
    if request.method == "POST":
        return [(n, v) for n, v in _parameters(request) if _is_kept(n, v)]
    return [(n, v) for n, v in request.query if n not in asked.ignored]

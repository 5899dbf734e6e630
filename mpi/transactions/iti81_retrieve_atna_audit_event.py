"""ITI-81 Retrieve ATNA Audit Event: the audit trail by FHIR search, for auditors.

Source: ITI TF-2: 3.81 (RESTful ATNA); IHE BALP.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from ihe.audit import AuditEvent
from ihe.audit_message import AuditSource
from ihe.errors import NotFound
from ihe.fhir.audit_event import audit_event
from ihe.fhir.formats import answer_format, render
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.store import audit_search
from ihe.store.audit_search import AuditSearch
from ihe.transaction import HttpBinding, Transaction
from mpi.application import MpiApplication
from mpi.translate.fhir_audit_search import PARAMETERS, RESULT_PARAMETERS, AuditQuery, read_audit_query

TRANSACTION = Transaction(
    number="ITI-81",
    name="Retrieve ATNA Audit Event",
    actor="Audit Record Repository",
    profile="ATNA",
    bindings=(
        HttpBinding(
            "GET",
            "/fhir/AuditEvent",
            interaction="search-type",
            search_parameters=PARAMETERS,
            result_parameters=RESULT_PARAMETERS,
        ),
        HttpBinding("GET", "/fhir/AuditEvent/{id}", interaction="read"),
    ),
    writes=False,
    event_code="110101",
    event_action="R",
    options=(
        "Retrieve Audit Message",
        "the search is bounded by date; latest first, further pages by the link next",
        "AuditEvents of FHIR interactions in the patterns of BALP, of others with their DICOM codes",
        "JSON and XML",
    ),
    source="ITI TF-2: 3.81",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of events with their ids; ``more`` says whether others follow."""

    query: AuditQuery
    events: tuple[tuple[int, AuditEvent], ...]
    more: bool
    source: AuditSource


def decode(request: HttpRequest) -> AuditQuery:
    """Read the search.

    Raises:
        InvalidElement: a parameter is unknown or malformed.
        MissingElement: no date bounds the search.
        NotFound: the id is none of ours.
    """
    answer_format(request)
    text = request.path_parameters.get("id")
    if text is None:
        return read_audit_query(request.query)
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound("there is no such AuditEvent")
    return AuditQuery(AuditSearch(ids=(int(text),)), 1)


def serve(query: AuditQuery, context: Context[MpiApplication]) -> Answer:
    """Search the trail; that is audited, too.

    Raises:
        NotFound: there is no such event.
    """
    found = audit_search.find(context.uow.connection, query.search, query.count + 1)
    if query.search.ids and not found:
        raise NotFound("there is no such AuditEvent")
    context.trail.query(TRANSACTION.name)
    for each in query.search.patients:
        context.trail.patient(each)
    return Answer(query, tuple(found[: query.count]), len(found) > query.count, context.application.audit_source)


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """The AuditEvent, or a searchset Bundle."""
    media_type = answer_format(request)
    resources = [audit_event(event_id, event, answer.source) for event_id, event in answer.events]
    if answer.query.search.ids:
        return HttpReply(200, media_type, render(resources[0], media_type))
    base = f"{request.base_url}/fhir/AuditEvent"
    asked = [(name, value) for name, value in request.query if name != "_before"]
    links = [{"relation": "self", "url": f"{base}?{urlencode(request.query)}"}]
    if answer.more:
        last = str(answer.events[-1][0])
        links.append({"relation": "next", "url": f"{base}?{urlencode([*asked, ('_before', last)])}"})
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": links,
        "entry": [
            {"fullUrl": f"{base}/{each['id']}", "resource": each, "search": {"mode": "match"}} for each in resources
        ],
    }
    if not resources:
        del bundle["entry"]
    return HttpReply(200, media_type, render(bundle, media_type))

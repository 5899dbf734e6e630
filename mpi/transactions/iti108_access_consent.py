"""ITI-108 Access Consent: FHIR Consent, written down, read, searched and changed.

Source: ITI TF-2: 3.108 (PCF).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ihe.errors import Conflict, InvalidElement, MissingElement, NotFound, PreconditionFailed
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.consent import Consent, Statement, Way
from mpi.services.consents import consent_in_sight, consents_in_sight, state
from mpi.translate.fhir_consent import consent_resource, read_consent
from mpi.translate.fhir_patient import parse_token

TRANSACTION = Transaction(
    number="ITI-108",
    name="Access Consent",
    actor="Consent Registry",
    profile="PCF",
    bindings=(
        HttpBinding("POST", "/fhir/Consent", interaction="create", body="Consent"),
        HttpBinding(
            "GET",
            "/fhir/Consent",
            interaction="search-type",
            search_parameters=(("patient.identifier", "token"), ("status", "token")),
            result_parameters=(("_format", "string"),),
        ),
        HttpBinding("GET", "/fhir/Consent/{id}", interaction="read"),
        HttpBinding("PUT", "/fhir/Consent/{id}", interaction="update", body="Consent"),
    ),
    writes=True,
    event_code="110110",
    event_action="R",
    options=(
        "Explicit Basic Consent, one for each matter",
        "actions collect (standing in the index), disclose (feeding), access (consultation; with an actor: by one)",
        "a site reads and writes what its own patients say",
        "what is said no more is inactive; nothing is deleted",
        "JSON and XML",
    ),
    source="ITI TF-2: 3.108",
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be done.

    Attributes:
        status: only those of a search that have it.
        only_versions: as ``If-Match`` says; empty means any.
    """

    method: str
    id: int | None = None
    patient_id: PatientId | None = None
    statement: Statement | None = None
    status: str | None = None
    only_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What holds."""

    question: Question
    consents: tuple[Consent, ...]


def decode(request: HttpRequest) -> Question:
    """Read the request.

    Raises:
        NotFound: the id is none of ours.
        MissingElement: a search names no patient, or the Consent lacks something.
        InvalidElement: something is malformed or not offered.
    """
    answer_format(request)
    text = request.path_parameters.get("id")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound("there is no such Consent")
    number = int(text) if text is not None else None
    if request.method in ("POST", "PUT"):
        patient_id, statement = read_consent(read_resource(request, "Consent"))
        return Question(request.method, number, patient_id, statement, None, request.if_match)
    if number is not None:
        return Question("GET", number)
    unknown = [name for name, _ in request.query if name not in ("patient.identifier", "status", "_format")]
    if unknown:
        raise InvalidElement("the parameter is not supported", unknown[0][:60])
    try:
        patient_id = parse_token(request.one("patient.identifier") or "")
    except (LookupError, ValueError) as error:
        raise MissingElement("name the patient: patient.identifier=system|value", "patient.identifier") from error
    return Question("GET", None, patient_id, status=request.one("status"))


def serve(question: Question, context: Context[MpiApplication]) -> Answer:
    """Do it.

    Raises:
        NotFound: there is no such consent that concerns the caller.
        UnknownPatient: the identifier designates nobody.
        AccessDenied: it is another site's patient.
        Conflict: an update is about another matter.
        PreconditionFailed: it is in another version.
    """
    uow, app, trail = context.uow, context.application, context.trail
    if question.statement is None and question.id is None:
        assert question.patient_id is not None
        trail.action = "E"
        trail.patient(question.patient_id.xds_cx)
        found = consents_in_sight(uow, app, question.patient_id)
        wanted = [c for c in found if question.status in (None, consent_resource(c)["status"])]
        return Answer(question, tuple(wanted))
    if question.statement is None:
        kept = consent_in_sight(uow, app, question.id or 0)
    else:
        trail.action = "C" if question.id is None else "U"
        kept = _state(question, question.statement, context)
    trail.patient(kept.patient_id)
    trail.objects.append({"kind": "consent", "id": str(kept.first_id)})
    return Answer(question, (kept,))


def _state(question: Question, said: Statement, context: Context[MpiApplication]) -> Consent:
    uow, app, patient_id = context.uow, context.application, question.patient_id
    assert patient_id is not None
    if said.since is not None:
        said = replace(said, since=min(said.since, uow.now))
    if question.id is not None:
        present = consent_in_sight(uow, app, question.id)
        if question.only_versions and str(present.id) not in question.only_versions:
            raise PreconditionFailed("the consent is not in that version any more", "If-Match")
        if (said.subject, said.professional) != (present.subject, present.professional):
            raise Conflict("another matter is another Consent", "Consent.provision")
        patient_id = PatientId.from_xds_cx(present.patient_id)
    return state(uow, app, patient_id, said, Way.FHIR)


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """201 with its address for a new one, 200 for one that is there; a searchset Bundle for a search."""
    media_type = answer_format(request)
    base = f"{request.base_url}/fhir/Consent"
    resources = [consent_resource(each) for each in answer.consents]
    if answer.question.statement is None and answer.question.id is None:
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(resources)}
        entries = [
            {"fullUrl": f"{base}/{each['id']}", "resource": each, "search": {"mode": "match"}} for each in resources
        ]
        return HttpReply(200, media_type, render({**bundle, **({"entry": entries} if entries else {})}, media_type))
    (resource,) = resources
    headers = {"ETag": f'W/"{resource["meta"]["versionId"]}"'}
    is_new = answer.question.method == "POST"
    if is_new:
        headers["Location"] = f"{base}/{resource['id']}"
    return HttpReply(201 if is_new else 200, media_type, render(resource, media_type), headers)

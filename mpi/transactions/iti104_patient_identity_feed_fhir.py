"""ITI-104 Patient Identity Feed FHIR: create, update, merge and delete by conditional requests.

Source: ITI TF-2: 3.104 (PIXm).
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import InvalidElement, MissingElement, PreconditionFailed
from ihe.fhir.formats import answer_format, render
from ihe.fhir.outcome import done_outcome
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.feed import Feed, FeedKind
from mpi.domain.record import Record, RecordState
from mpi.services.demographics import all_identifiers
from mpi.services.identifiers import own_key, patient_id_of
from mpi.services.receive_feed import receive_feed
from mpi.store import locks, records
from mpi.translate.fhir_patient import (
    identifiers_of,
    parse_token,
    patient_resource,
    patient_resource_id,
    record_version,
    traits,
    withdrawn_resource,
)

TRANSACTION = Transaction(
    number="ITI-104",
    name="Patient Identity Feed FHIR",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIXm",
    bindings=(
        HttpBinding(
            "PUT", "/fhir/Patient", interaction="update", result_parameters=(("identifier", "token"),), body="Patient"
        ),
        HttpBinding("DELETE", "/fhir/Patient", interaction="delete", result_parameters=(("identifier", "token"),)),
    ),
    writes=True,
    event_code="110110",
    event_action="U",
    options=(
        "Remove Patient",
        "merge: the subsumed patient is sent inactive, replaced by the survivor",
        "JSON and XML",
        "If-Match and If-None-Match: *",
        "Prefer: return=minimal, return=representation (also without Prefer) or return=OperationOutcome",
    ),
    source="ITI TF-2: 3.104",
)


@dataclass(frozen=True, slots=True)
class FhirFeed:
    """What the request says.

    Attributes:
        condition: the patient it is about.
        only_versions: versions of the record of which one must be the present one; empty means any.
        only_new: the patient must not be known.
        is_inactive: the source says that the record is not in use any more.
    """

    feed: Feed
    condition: PatientId
    is_delete: bool = False
    only_versions: tuple[str, ...] = ()
    only_new: bool = False
    is_inactive: bool = False


@dataclass(frozen=True, slots=True)
class Fed:
    """The record afterwards; ``None`` when it was deleted."""

    record: Record | None
    created: bool
    identifiers: tuple[PatientId, ...] = ()


def decode(request: HttpRequest) -> FhirFeed:
    """Read the condition and, for PUT, the Patient.

    Raises:
        MissingElement: no ``identifier=system|value``, or a merge that names no survivor by identifier.
        InvalidElement: the condition or the resource is malformed, or they name different patients.
    """
    condition = _condition(request)
    if request.method == "DELETE":
        withdrawal = Feed(FeedKind.WITHDRAW, (condition,), (), traits({}), None)
        return FhirFeed(withdrawal, condition, True, _versions(request))
    answer_format(request)
    resource = read_resource(request, "Patient")
    named = identifiers_of(resource)
    if not any((i.value, i.authority) == (condition.value, condition.authority) for i in named):
        raise InvalidElement("the Patient does not carry the identifier of the condition", "Patient.identifier")
    try:
        said = traits(resource)
    except ValueError as error:
        raise InvalidElement(f"a date or code is malformed: {error}", "Patient") from error
    survivors = [link.get("other", {}) for link in resource.get("link", ()) if link.get("type") == "replaced-by"]
    if survivors:
        if resource.get("active") is True:
            raise InvalidElement("a Patient that is replaced by another is not active", "Patient.active")
        survivor = identifiers_of({"identifier": [s["identifier"] for s in survivors if "identifier" in s]})
        if not survivor:
            raise MissingElement("the survivor is named by other.identifier: system and value", "Patient.link.other")
        merge = Feed(FeedKind.MERGE, tuple(survivor), (condition,), traits({}), None)
        return FhirFeed(merge, condition, False, _versions(request))
    if resource.get("active") is False:
        withdrawal = Feed(FeedKind.WITHDRAW, (condition,), (), traits({}), None)
        return FhirFeed(withdrawal, condition, is_inactive=True, only_versions=_versions(request))
    only_new = request.headers.get("if-none-match", "").strip() == "*"
    feed = Feed(FeedKind.IDENTITY, (condition, *named), (), said, None)
    return FhirFeed(feed, condition, False, _versions(request), only_new)


def _versions(request: HttpRequest) -> tuple[str, ...]:
    """The versions of ``If-Match``, without the part that tells the person: who feeds answers for the traits only."""
    return tuple(tag.partition(".")[0] for tag in request.if_match)


def _condition(request: HttpRequest) -> PatientId:
    tokens = request.all("identifier")
    if len(tokens) != 1:
        raise MissingElement("the request is conditional: identifier=system|value, once", "identifier")
    try:
        return parse_token(tokens[0])
    except (LookupError, ValueError) as error:
        raise InvalidElement(f"identifier is malformed: {error}", "identifier") from error


def serve(question: FhirFeed, context: Context[MpiApplication]) -> Fed:
    """Take it in.

    Raises:
        UnknownAuthority: the domain is none of the region.
        Conflict: the identifier was merged into another.
        PreconditionFailed: the record is not as ``If-Match`` or ``If-None-Match`` wants it.
    """
    app, connection = context.application, context.uow.connection
    if question.only_versions or question.only_new:
        _check_state(question, context)
    if question.is_inactive and (withdrawn := _withdrawn(question.condition, context)) is not None:
        return withdrawn  # told twice
    key = receive_feed(context.uow, app, question.feed)
    context.trail.patient(patient_id_of(app, key).xds_cx)
    record = records.by_key(connection, key)
    if question.is_delete or record is None:
        return Fed(None, created=False)
    if question.is_inactive:
        return Fed(record, False, (patient_id_of(app, key),))
    shown = all_identifiers(context.uow, app, [record])[0]
    return Fed(record, record.version == 1 and record.created_at == context.uow.now, shown)


def _withdrawn(condition: PatientId, context: Context[MpiApplication]) -> Fed | None:
    key = own_key(context.uow, context.application, condition, "identifier")
    record = records.by_key(context.uow.connection, key)
    is_withdrawn = record is not None and record.state is RecordState.WITHDRAWN
    return Fed(record, False, (patient_id_of(context.application, key),)) if is_withdrawn else None


def _check_state(question: FhirFeed, context: Context[MpiApplication]) -> None:
    key = own_key(context.uow, context.application, question.condition, "identifier")
    locks.lock_records(context.uow.connection, [key])
    known = records.by_key(context.uow.connection, key)
    version = str(known.version) if known is not None and known.is_active else None
    if question.only_new and version is not None:
        raise PreconditionFailed("the patient is already known", "If-None-Match")
    if question.only_versions and version not in question.only_versions:
        raise PreconditionFailed("the patient is not in that version any more", "If-Match")


def encode(fed: Fed, request: HttpRequest) -> HttpReply:
    """200 or 201 with the Patient; 204 after a deletion. ``Prefer`` chooses the body."""
    if fed.record is None:
        return HttpReply(204, "application/fhir+json")
    media_type = answer_format(request)
    headers = {
        "Location": f"{request.base_url}/fhir/Patient/{patient_resource_id(fed.record)}",
        "ETag": f'W/"{record_version(fed.record, fed.identifiers)}"',
    }
    status = 201 if fed.created else 200
    is_withdrawn = fed.record.state is RecordState.WITHDRAWN
    shown = (withdrawn_resource if is_withdrawn else patient_resource)(fed.record, fed.identifiers)
    wanted = request.headers.get("prefer", "").replace(" ", "")
    if "return=OperationOutcome" in wanted:
        said = done_outcome("the patient was taken in")
        return HttpReply(status, media_type, render(said, media_type), headers)
    if "return=minimal" in wanted:
        return HttpReply(status, media_type, b"", headers)
    return HttpReply(status, media_type, render(shown, media_type), headers)

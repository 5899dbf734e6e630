"""ITI-104 Patient Identity Feed FHIR: create, update, merge and delete by conditional requests.

Source: ITI TF-2: 3.104 (PIXm).
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import InvalidElement, MissingElement
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.feed import Feed, FeedKind
from mpi.domain.record import Record
from mpi.services.identifiers import patient_id_of, regional_patient_id
from mpi.services.receive_feed import receive_feed
from mpi.store import records
from mpi.translate.fhir_patient import identifiers_of, parse_token, patient_resource, patient_resource_id, traits

TRANSACTION = Transaction(
    number="ITI-104",
    name="Patient Identity Feed FHIR",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIXm",
    bindings=(
        HttpBinding("PUT", "/fhir/Patient", interaction="update"),
        HttpBinding("DELETE", "/fhir/Patient", interaction="delete"),
    ),
    writes=True,
    event_code="110110",
    event_action="U",
    options=(
        "Remove Patient",
        "merge: the subsumed patient is sent inactive, replaced by the survivor",
        "JSON and XML",
    ),
    source="ITI TF-2: 3.104",
)


@dataclass(frozen=True, slots=True)
class FhirFeed:
    """What the request says."""

    feed: Feed
    is_delete: bool = False


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
        return FhirFeed(Feed(FeedKind.WITHDRAW, (condition,), (), traits({}), None), is_delete=True)
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
    if resource.get("active") is False and survivors:
        survivor = identifiers_of({"identifier": [s["identifier"] for s in survivors if "identifier" in s]})
        if not survivor:
            raise MissingElement("the survivor is named by other.identifier: system and value", "Patient.link.other")
        return FhirFeed(Feed(FeedKind.MERGE, tuple(survivor), (condition,), traits({}), None))
    return FhirFeed(Feed(FeedKind.IDENTITY, (condition, *named), (), said, None))


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
    """
    app, connection = context.application, context.uow.connection
    key = receive_feed(context.uow, app, question.feed)
    context.trail.patient(patient_id_of(app, key).xds_cx)
    record = records.by_key(connection, key)
    if question.is_delete or record is None:
        return Fed(None, created=False)
    shown = (patient_id_of(app, key), regional_patient_id(app, record.person_id))
    return Fed(record, record.version == 1 and record.created_at == context.uow.now, shown)


def encode(fed: Fed, request: HttpRequest) -> HttpReply:
    """200 or 201 with the Patient; 204 after a deletion. ``Prefer: return=minimal`` leaves the body out."""
    if fed.record is None:
        return HttpReply(204, "application/fhir+json")
    media_type = answer_format(request)
    headers = {
        "Location": f"{request.base_url}/fhir/Patient/{patient_resource_id(fed.record)}",
        "ETag": f'W/"{fed.record.version}"',
    }
    status = 201 if fed.created else 200
    if "return=minimal" in request.headers.get("prefer", ""):
        return HttpReply(status, media_type, b"", headers)
    return HttpReply(status, media_type, render(patient_resource(fed.record, fed.identifiers), media_type), headers)

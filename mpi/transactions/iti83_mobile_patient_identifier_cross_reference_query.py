"""ITI-83 Mobile Patient Identifier Cross-reference Query: ``Patient/$ihe-pix``.

Source: ITI TF-2: 3.83 (PIXm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ihe.errors import InvalidElement, MissingElement, UnknownAuthority, UnknownPatient, UnknownTargetAuthority
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import AssigningAuthority, PatientId
from mpi.application import MpiApplication
from mpi.services.cross_reference import CrossReference, cross_reference
from mpi.services.identifiers import target_domains
from mpi.translate.fhir_patient import identifier, parse_system, parse_token, record_resource_id

TRANSACTION = Transaction(
    number="ITI-83",
    name="Mobile Patient Identifier Cross-reference Query",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIXm",
    bindings=(
        HttpBinding(
            "GET",
            "/fhir/Patient/$ihe-pix",
            interaction="operation:ihe-pix",
            result_parameters=(("sourceIdentifier", "token"), ("targetSystem", "uri"), ("_format", "string")),
        ),
        HttpBinding("POST", "/fhir/Patient/$ihe-pix", interaction="operation:ihe-pix", body="Parameters"),
    ),
    writes=False,
    is_brief=True,
    event_code="110112",
    event_action="E",
    options=("JSON and XML", "GET, or POST of Parameters"),
    source="ITI TF-2: 3.83",
)

_SOURCE = "sourceIdentifier"
_TARGET = "targetSystem"


@dataclass(frozen=True, slots=True)
class PixmQuery:
    """The question.

    Attributes:
        targets: each authority asked for, with its location; empty asks for all domains.
    """

    source: PatientId
    targets: tuple[tuple[AssigningAuthority, str], ...]


@dataclass(frozen=True, slots=True)
class PixmAnswer:
    """The identifiers, and for each record behind them the id of its Patient resource."""

    reference: CrossReference
    resource_ids: tuple[str, ...]


def decode(request: HttpRequest) -> PixmQuery:
    """Read the parameters.

    Raises:
        MissingElement: no ``sourceIdentifier``.
        InvalidElement: it is no ``system|value``, or is given twice.
        NotAcceptable: a format that is not offered.
    """
    answer_format(request)
    asked = _parameters(request)
    sources = [value for name, value in asked if name == _SOURCE]
    if not sources:
        raise MissingElement("sourceIdentifier is missing", _SOURCE)
    if len(sources) > 1:
        raise InvalidElement("sourceIdentifier is given more than once", _SOURCE)
    targets = []
    for text in (value for name, value in asked if name == _TARGET):
        try:
            targets.append((parse_system(text), _TARGET))
        except ValueError:
            # A system that is no OID is no domain of ours; the standard's answer is the same as for an unknown OID.
            raise UnknownTargetAuthority("targetSystem not found", (_TARGET,)) from None
    try:
        return PixmQuery(parse_token(sources[0]), tuple(targets))
    except LookupError:
        raise UnknownAuthority("sourceIdentifier Assigning Authority not found", _SOURCE) from None
    except ValueError as error:
        raise InvalidElement(f"sourceIdentifier is malformed: {error}", _SOURCE) from error


def _parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """Of the address, or of a Parameters resource, in which an identifier may stand as such or as text."""
    if request.method != "POST":
        return list(request.query)
    found = []
    for parameter in read_resource(request, "Parameters").get("parameter", ()):
        text = next((str(v) for n, v in parameter.items() if n in ("valueString", "valueUri")), None)
        named = parameter.get("valueIdentifier")
        if named is not None:
            text = f"{named.get('system', '')}|{named.get('value', '')}"
        if text is not None:
            found.append((str(parameter["name"]), text))
    return found


def serve(query: PixmQuery, context: Context[MpiApplication]) -> PixmAnswer:
    """Ask the index, and say what is unknown in the words of the profile.

    Raises:
        UnknownAuthority: the source's system is no domain of the region (400).
        UnknownPatient: nothing active carries the identifier (404).
        UnknownTargetAuthority: a target is no domain of the region (403).
    """
    app = context.application
    try:
        targets = target_domains(app, query.targets)
    except UnknownTargetAuthority:
        raise UnknownTargetAuthority("targetSystem not found", (_TARGET,)) from None
    try:
        answer = cross_reference(context.uow, app, query.source, targets, _SOURCE)
    except UnknownAuthority:
        raise UnknownAuthority("sourceIdentifier Assigning Authority not found", _SOURCE) from None
    except UnknownPatient:
        raise UnknownPatient("sourceIdentifier Patient Identifier not found", _SOURCE) from None
    context.trail.query(TRANSACTION.name)
    context.trail.patient(answer.regional_id.xds_cx)
    return PixmAnswer(answer, tuple(map(record_resource_id, answer.record_ids)))


def encode(answer: PixmAnswer, request: HttpRequest) -> HttpReply:
    """A Parameters resource; empty when the patient has no other identifier."""
    parameters: list[dict[str, Any]] = [
        {"name": "targetIdentifier", "valueIdentifier": identifier(i)} for i in answer.reference.identifiers
    ]
    parameters += [
        {"name": "targetId", "valueReference": {"reference": f"Patient/{rid}"}} for rid in answer.resource_ids
    ]
    resource: dict[str, Any] = {"resourceType": "Parameters"}
    if parameters:
        resource["parameter"] = parameters
    media_type = answer_format(request)
    return HttpReply(200, media_type, render(resource, media_type))

"""ITI-119 Patient Demographics Match: ``Patient/$match``.

Source: ITI TF-2: 3.119 (PDQm); FHIR R4: Patient-operation-match.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ihe.errors import InvalidElement, MissingElement
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource, valid
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, Transaction
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import Traits
from mpi.services.demographics import all_identifiers
from mpi.services.identifiers import patient_id_of
from mpi.services.match_patient import Match, match_patient
from mpi.translate.fhir_patient import patient_resource, traits

TRANSACTION = Transaction(
    number="ITI-119",
    name="Patient Demographics Match",
    actor="Patient Demographics Supplier",
    profile="PDQm",
    bindings=(HttpBinding("POST", "/fhir/Patient/$match", interaction="operation:match", body="Parameters"),),
    writes=False,
    event_code="110112",
    event_action="E",
    options=("onlyCertainMatches", "count", "JSON and XML"),
    source="ITI TF-2: 3.119",
)

_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_MAX_COUNT = 100


@dataclass(frozen=True, slots=True)
class MatchQuestion:
    """Whom to look for, and how many at most."""

    described: Traits
    only_certain: bool
    count: int


Answer = list[tuple[Match, tuple[PatientId, ...]]]


def decode(request: HttpRequest) -> MatchQuestion:
    """Read the Parameters.

    Raises:
        MissingElement: no ``resource``.
        InvalidElement: a parameter is not of its kind.
    """
    answer_format(request)
    parameters = {p["name"]: p for p in read_resource(request, "Parameters").get("parameter", ())}
    if "resource" not in parameters.get("resource", {}):
        raise MissingElement("the parameter resource holds the Patient to look for", "Parameters.parameter")
    patient = valid(parameters["resource"]["resource"], "Patient")
    count = parameters.get("count", {}).get("valueInteger", 10)
    if not isinstance(count, int) or not 1 <= count <= _MAX_COUNT:
        raise InvalidElement(f"count is a whole number from 1 to {_MAX_COUNT}", "count")
    try:
        described = traits(patient)
    except ValueError as error:
        raise InvalidElement(f"a date or code is malformed: {error}", "Patient") from error
    only_certain = parameters.get("onlyCertainMatches", {}).get("valueBoolean", False)
    return MatchQuestion(described, only_certain is True, count)


def serve(question: MatchQuestion, context: Context[MpiApplication]) -> Answer:
    """Score the candidates."""
    app = context.application
    found = match_patient(
        context.uow, app, question.described, only_certain=question.only_certain, limit=question.count
    )
    context.trail.query(TRANSACTION.name)
    for match in found:
        context.trail.patient(patient_id_of(app, match.record.key).xds_cx)
    return list(zip(found, all_identifiers(context.uow, app, [m.record for m in found]), strict=True))


def encode(answer: Answer, request: HttpRequest) -> HttpReply:
    """A searchset, the likeliest first, each with score and grade."""
    media_type = answer_format(request)
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(answer)}
    entries = []
    for match, identifiers in answer:
        resource = patient_resource(match.record, identifiers)
        search = {
            "extension": [{"url": _GRADE, "valueCode": str(match.grade)}],
            "mode": "match",
            "score": round(min(1.0, max(0.0, match.probability)), 6),
        }
        entries.append(
            {"fullUrl": f"{request.base_url}/fhir/Patient/{resource['id']}", "resource": resource, "search": search}
        )
    if entries:
        bundle["entry"] = entries
    return HttpReply(200, media_type, render(bundle, media_type))

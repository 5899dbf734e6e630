"""ITI-55 Cross Gateway Patient Discovery: another community asks whether a patient is known here.

Source: ITI TF-2: 3.55.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ihe.errors import IheError, Unavailable, UnsupportedRequest
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from ihe.values import Oid
from ihe.xml import Element
from mpi.application import MpiApplication
from mpi.services.discover_patient import Discovery, discover_patient
from mpi.translate.hl7v3_discovery import DiscoveryQuery, add_reason, add_requests, decode_discovery
from mpi.translate.hl7v3_message import action, element_name, query_answer, refused_message, refused_query
from mpi.translate.hl7v3_patient import add_patient
from mpi.translate.hl7v3_registration import add_registration

_QUESTION = "PRPA_IN201305UV02"
_ANSWER = "PRPA_IN201306UV02"

TRANSACTION = Transaction(
    number="ITI-55",
    name="Cross Gateway Patient Discovery",
    actor="Responding Gateway",
    profile="XCPD",
    bindings=(
        SoapBinding(
            path="/ihe/xcpd",
            action=f"{action(_QUESTION)}:CrossGatewayPatientDiscovery",
            response_action=f"{action(_ANSWER)}:CrossGatewayPatientDiscovery",
            request_element=element_name(_QUESTION),
            response_element=element_name(_ANSWER),
        ),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "Named by an identifier of the region or a national one, or described",
        "Asks for more attributes where several patients come near",
        "Deferred answers are refused as an unsupported processing mode",
    ),
    source="ITI TF-2: 3.55",
)


@dataclass(frozen=True, slots=True)
class DiscoveryAnswer:
    """What was found, on behalf of which community, and what is asked for in return."""

    found: Discovery
    community: Oid
    requested: tuple[str, ...]


def decode(request: SoapRequest) -> DiscoveryQuery:
    """Read the question.

    Raises:
        UnsupportedRequest: a deferred answer is wanted.
        MissingElement: the patient is neither named nor described.
        InvalidElement: a parameter is malformed.
    """
    return decode_discovery(request.body_element)


def serve(query: DiscoveryQuery, context: Context[MpiApplication]) -> DiscoveryAnswer:
    """Find the patient.

    Raises:
        Unavailable: the region has no home community id.
    """
    app = context.application
    if app.home_community_id is None:
        raise Unavailable("this community has no id by which it could answer")
    context.trail.query(TRANSACTION.name)
    found = discover_patient(context.uow, app, query.described, query.identifiers, can_say_more=bool(query.unsaid))
    for patient in found.patients:
        context.trail.patient(patient.identifiers[0].xds_cx)
    return DiscoveryAnswer(found, app.home_community_id, query.unsaid if found.wants_more else ())


def encode(answer: DiscoveryAnswer, request: SoapRequest) -> SoapReply:
    """A registration for each person, kept by this community; or what should be said; or ``NF``."""
    message = request.body_element

    def add_subjects(act: Element) -> None:
        for patient in answer.found.patients:
            subject = add_registration(act, answer.community, is_community=True)
            add_patient(subject, patient.identifiers, patient.traits, match_quality=patient.quality)

    status = "OK" if answer.found.patients or answer.requested else "NF"
    return SoapReply(
        query_answer(
            message,
            _ANSWER,
            status,
            add_subjects=add_subjects,
            add_reasons=partial(add_requests, codes=answer.requested),
        )
    )


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """The answer that refuses the question; where a deferred one was wanted, an acknowledgement."""
    if isinstance(error, UnsupportedRequest):
        return refused_message(request.body_element, error)
    return refused_query(request.body_element, _ANSWER, error, partial(add_reason, error=error))

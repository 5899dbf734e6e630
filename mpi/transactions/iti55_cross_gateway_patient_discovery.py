"""ITI-55 Cross Gateway Patient Discovery: another community asks whether a patient is known here.

Source: ITI TF-2: 3.55.
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import AccessDenied, IheError, Unavailable, UnsupportedRequest
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from ihe.unit_of_work import UnitOfWork
from ihe.values import Oid
from ihe.xml import Element, serialize
from mpi.application import MpiApplication
from mpi.services.discover_patient import Discovery, discover_patient
from mpi.translate.hl7v3_discovery import DiscoveryQuery, decode_discovery, deferred_place, reason_text, requests_text
from mpi.translate.hl7v3_inquiry import correlation_lifetime
from mpi.translate.hl7v3_interaction import read_interaction
from mpi.translate.hl7v3_message import (
    ACKNOWLEDGEMENT,
    acknowledge,
    action,
    element_name,
    query_answer,
    refused_message,
    refused_query,
)
from mpi.translate.hl7v3_patient import patient_text
from mpi.translate.hl7v3_registration import registration_text

_QUESTION = "PRPA_IN201305UV02"
_ANSWER = "PRPA_IN201306UV02"

DEFERRED = "discovery.deferred"
"""Kind of the event under which a question waits for its deferred answer."""

DEFERRED_ACTION = f"{action(_ANSWER)}:Deferred:CrossGatewayPatientDiscovery"

LIFETIME = "P1D"
"""How long an answer may be remembered: what the index believes may change any day."""

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
        SoapBinding(
            path="/ihe/xcpd",
            action=f"{action(_QUESTION)}:Deferred:CrossGatewayPatientDiscovery",
            response_action=action(ACKNOWLEDGEMENT),
            request_element=element_name(_QUESTION),
            response_element=element_name(ACKNOWLEDGEMENT),
        ),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "Named by an identifier of the region or a national one, or described",
        "Asks for more attributes where several patients come near",
        "Answers may be remembered for a day (CorrelationTimeToLive)",
        "Deferred Response: acknowledged, answered later at the address in respondTo (see TRAITDUNION_CALLBACK_URLS)",
    ),
    source="ITI TF-2: 3.55",
)


@dataclass(frozen=True, slots=True)
class DiscoveryAnswer:
    """What was found, on behalf of which community, and what is asked for in return."""

    found: Discovery
    community: Oid
    requested: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        message: as it came, for an answer that is made later.
    """

    query: DiscoveryQuery
    message: Element


def decode(request: SoapRequest) -> Question:
    """Read the question.

    Raises:
        UnsupportedRequest: a deferred answer is wanted, and nothing says where.
        MissingElement: the patient is neither named nor described.
        InvalidElement: a parameter is malformed.
    """
    return Question(decode_discovery(request.body_element), request.body_element)


def serve(question: Question, context: Context[MpiApplication]) -> DiscoveryAnswer | None:
    """Find the patient, or take the question for later (``None``).

    Raises:
        Unavailable: the region has no home community id.
        UnsupportedRequest: the address for the deferred answer may not be written to.
    """
    app, uow = context.application, context.uow
    context.trail.query(TRANSACTION.name)
    respond_to = question.query.respond_to
    if respond_to is None:
        found = discover(question.query, uow, app)
        for patient in found.found.patients:
            context.trail.patient(patient.identifiers[0].xds_cx)
        return found
    try:
        app.callbacks.check(respond_to)
    except AccessDenied as error:
        raise UnsupportedRequest(error.message, deferred_place(question.message)) from error
    message = serialize(question.message).decode()
    uow.publish(DEFERRED, respond_to, {"message": message, "node": uow.caller.node, "site": uow.caller.site})
    return None


def discover(query: DiscoveryQuery, uow: UnitOfWork, app: MpiApplication) -> DiscoveryAnswer:
    """Find the patient.

    Raises:
        Unavailable: the region has no home community id.
    """
    if app.home_community_id is None:
        raise Unavailable("this community has no id by which it could answer")
    found = discover_patient(uow, app, query.described, query.identifiers, can_say_more=bool(query.unsaid))
    return DiscoveryAnswer(found, app.home_community_id, query.unsaid if found.wants_more else ())


def encode(answer: DiscoveryAnswer | None, request: SoapRequest) -> SoapReply:
    """A registration for each person, kept by this community; or what should be said; or ``NF``. The acknowledgement
    of a question that is answered later.
    """
    message = request.body_element
    if answer is None:
        return SoapReply(body_text=acknowledge(message), action=action(ACKNOWLEDGEMENT))
    return SoapReply(body_text=answer_message(answer, message), headers=(correlation_lifetime(LIFETIME),))


def answer_message(answer: DiscoveryAnswer, message: Element) -> bytes:
    """``PRPA_IN201306UV02``."""
    status = "OK" if answer.found.patients or answer.requested else "NF"
    interaction = read_interaction(message)
    return query_answer(
        interaction, _ANSWER, status, subjects=own_subjects(answer), reasons=requests_text(answer.requested)
    )


def own_subjects(answer: DiscoveryAnswer) -> str:
    """A registration of each person found here, kept by this community."""
    keeper = f'<id root="{answer.community}"/>'
    patients = (patient_text(p.identifiers, p.traits, match_quality=p.quality) for p in answer.found.patients)
    return "".join(registration_text(patient, keeper, is_community=True) for patient in patients)


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """The answer that refuses the question; where a deferred one was wanted, an acknowledgement."""
    if isinstance(error, UnsupportedRequest):
        return refused_message(request.body_element, error)
    return refused_query(request.body_element, _ANSWER, error, reason_text(error))

"""ITI-55 Cross Gateway Patient Discovery at the Initiating Gateway: which communities know a patient, and by which id.

A consumer of this community asks as one community asks another. The question goes to every community of the region's
table at once, each with a time limit; a patient whom an identifier of the region names is described to them as the
index knows the person. What they answer is remembered as long as they allow, for the queries of documents (ITI-38) and
for those who ask where the patient is known (ITI-56).

Source: ITI TF-2: 3.55.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ihe.errors import IheError, UnsupportedRequest
from ihe.serving import AfterCommit, Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import OutboundBinding, SoapBinding, Transaction
from ihe.xml import Element
from mpi.application import MpiApplication
from mpi.domain.community import CommunityAnswer, Inquiry
from mpi.ports import OtherCommunities
from mpi.services.ask_communities import inquire
from mpi.transactions.iti55_cross_gateway_patient_discovery import DiscoveryAnswer, discover, own_subjects
from mpi.translate.hl7v3_discovery import DiscoveryQuery, decode_discovery, deferred_place, reason_text, requests_text
from mpi.translate.hl7v3_interaction import read_interaction
from mpi.translate.hl7v3_message import action, element_name, query_answer, refused_query
from mpi.translate.hl7v3_patient import patient_text
from mpi.translate.hl7v3_registration import registration_text

_QUESTION = "PRPA_IN201305UV02"
_ANSWER = "PRPA_IN201306UV02"
ACTION = f"{action(_QUESTION)}:CrossGatewayPatientDiscovery"

TRANSACTION = Transaction(
    number="ITI-55",
    name="Cross Gateway Patient Discovery",
    actor="Initiating Gateway",
    profile="XCPD",
    bindings=(
        SoapBinding(
            path="/ihe/xcpd/initiating",
            action=ACTION,
            response_action=f"{action(_ANSWER)}:CrossGatewayPatientDiscovery",
            request_element=element_name(_QUESTION),
            response_element=element_name(_ANSWER),
        ),
        OutboundBinding("SOAP", "to the gateways of the communities in the region's table"),
    ),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "A registration of each community that knows the patient, this one among them; its custodian is the community",
        "A community without answer is named in an acknowledgement detail (RTWDEST)",
        "Started also by `traitdunion communities find`",
    ),
    source="ITI TF-2: 3.55",
    waits=True,
)


@dataclass(frozen=True, slots=True)
class Asking:
    """The question, ready to be asked; and what this community answers to it."""

    own: DiscoveryAnswer
    inquiry: Inquiry
    communities: OtherCommunities


def decode(request: SoapRequest) -> DiscoveryQuery:
    """Read the question.

    Raises:
        UnsupportedRequest: a deferred answer is wanted.
        MissingElement: the patient is neither named nor described.
        InvalidElement: a parameter is malformed.
    """
    query = decode_discovery(request.body_element)
    if query.respond_to is not None:
        raise UnsupportedRequest("the gateway answers at once", deferred_place(request.body_element))
    return query


def serve(query: DiscoveryQuery, context: Context[MpiApplication]) -> Asking:
    """What is known here, and what the others are to be asked.

    Raises:
        Unavailable: the region has no home community id.
        Conflict: the identifiers name several persons.
    """
    app, uow = context.application, context.uow
    context.trail.query(TRANSACTION.name)
    own = discover(query, uow, app)
    for patient in own.found.patients:
        context.trail.patient(patient.identifiers[0].xds_cx)
    return Asking(own, inquire(uow, app, query.described, query.identifiers), app.communities)


def encode(asking: Asking, request: SoapRequest) -> AfterCommit[SoapReply]:
    """The others are asked when the database connection is given back: they may take their time."""
    return AfterCommit(partial(_ask, asking, request.body_element))


def _ask(asking: Asking, message: Element) -> SoapReply:
    answers = asking.communities.ask(asking.inquiry)
    return SoapReply(body_text=answer_message(asking.own, answers, message))


def answer_message(own: DiscoveryAnswer, answers: Sequence[CommunityAnswer], message: Element) -> bytes:
    """``PRPA_IN201306UV02`` of everything found."""
    subjects = [own_subjects(own)]
    for each in (patient for answer in answers for patient in answer.patients):
        patient = patient_text((each.patient_id,), each.traits, match_quality=each.quality)
        subjects.append(registration_text(patient, f'<id root="{each.home}"/>'))
    requested = tuple(dict.fromkeys((*own.requested, *(code for answer in answers for code in answer.requested))))
    is_found = bool(own.found.patients) or any(answer.patients for answer in answers)
    return query_answer(
        read_interaction(message),
        _ANSWER,
        "OK" if is_found or requested else "NF",
        subjects="".join(subjects),
        reasons=requests_text(requested),
        unreached=[
            f"community {answer.community.name} ({answer.community.home_community_id.urn}): {answer.failure}"
            for answer in answers
            if answer.failure is not None
        ],
    )


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """The answer that refuses the question."""
    return refused_query(request.body_element, _ANSWER, error, reason_text(error))

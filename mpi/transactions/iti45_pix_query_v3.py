"""ITI-45 PIXV3 Query: the identifiers of one patient in other domains, over HL7 v3.

Source: ITI TF-2: 3.45.
"""

from __future__ import annotations

from typing import NamedTuple

from ihe.errors import IheError, InvalidElement, MissingElement
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from ihe.values import AssigningAuthority, PatientId
from ihe.xml import Element
from mpi.application import MpiApplication
from mpi.services.cross_reference import cross_reference
from mpi.services.identifiers import target_domains
from mpi.translate.hl7v3_elements import authority_of, every, required_patient_id
from mpi.translate.hl7v3_interaction import Interaction, parameter_list, parameter_location, read_interaction
from mpi.translate.hl7v3_message import (
    action,
    element_name,
    query_answer,
    refused_query,
)
from mpi.translate.hl7v3_patient import patient_text
from mpi.translate.hl7v3_registration import receiver_id, registration_text

_QUESTION = "PRPA_IN201309UV02"
_ANSWER = "PRPA_IN201310UV02"

TRANSACTION = Transaction(
    number="ITI-45",
    name="PIXV3 Query",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIXV3",
    bindings=(
        SoapBinding(
            path="/ihe/pix",
            action=action(_QUESTION),
            response_action=action(_ANSWER),
            request_element=element_name(_QUESTION),
            response_element=element_name(_ANSWER),
        ),
    ),
    writes=False,
    is_brief=True,
    event_code="110112",
    event_action="E",
    source="ITI TF-2: 3.45",
)


class PixQuery(NamedTuple):
    """The question.

    Attributes:
        interaction: what was read.
        source: the one ``patientIdentifier``.
        targets: each ``dataSource`` with its location; empty asks for all domains.
    """

    interaction: Interaction
    source: PatientId
    targets: tuple[tuple[AssigningAuthority, str], ...]


class PixAnswer(NamedTuple):
    """The identifiers in other domains, and who asked for them."""

    interaction: Interaction
    identifiers: tuple[PatientId, ...]


def decode(request: SoapRequest) -> PixQuery:
    """Read the query.

    Raises:
        MissingElement: the query, its identifier or a part of these is missing.
        InvalidElement: more than one identifier, or a root that is not an OID.
    """
    interaction = read_interaction(request.body_element)
    parameters = parameter_list(interaction)
    sources = every(parameters, "patientIdentifier/value")
    if not sources:
        raise MissingElement("the query names no patient", parameter_location(interaction, "patientIdentifier"))
    if len(sources) > 1:
        raise InvalidElement("a query names one patient", parameter_location(interaction, "patientIdentifier", 2))
    source = required_patient_id(sources[0], parameter_location(interaction, "patientIdentifier"))
    return PixQuery(interaction, source, tuple(_targets(interaction, parameters)))


def _targets(interaction: Interaction, parameters: Element) -> list[tuple[AssigningAuthority, str]]:
    targets = []
    for number, value in enumerate(every(parameters, "dataSource/value"), 1):
        place = parameter_location(interaction, "dataSource", number)
        authority = authority_of(value, place)
        if authority is None:
            raise MissingElement("a data source is named by a root", place)
        targets.append((authority, place))
    return targets


def serve(query: PixQuery, context: Context[MpiApplication]) -> PixAnswer:
    """Ask the index.

    Raises:
        UnknownAuthority: the domain of the identifier is none of the region.
        UnknownTargetAuthority: data sources are none of the region.
        UnknownPatient: nothing active carries the identifier.
    """
    app = context.application
    targets = target_domains(app, query.targets)
    place = "/PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList/patientIdentifier[1]/value"
    answer = cross_reference(context.uow, app, query.source, targets, place)
    context.trail.query(TRANSACTION.name)
    context.trail.patient(answer.regional_id.xds_cx)
    return PixAnswer(query.interaction, answer.identifiers)


def encode(answer: PixAnswer, request: SoapRequest) -> SoapReply:
    """One patient with all identifiers, or ``NF`` when the patient has no other one."""
    interaction = answer.interaction
    if not answer.identifiers:
        return SoapReply(body_text=query_answer(interaction, _ANSWER, "NF"))
    subject = registration_text(patient_text(answer.identifiers), receiver_id(interaction))
    return SoapReply(body_text=query_answer(interaction, _ANSWER, "OK", subjects=subject))


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """The answer that refuses the query."""
    return refused_query(request.body_element, _ANSWER, error)

"""ITI-47 Patient Demographics Query HL7 V3, with continuation and cancellation.

Source: ITI TF-2: 3.47.
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.transaction import SoapBinding, Transaction
from ihe.values import PatientId
from ihe.xml import local_name, parse_xml, serialize
from mpi.application import MpiApplication
from mpi.domain.match_quality import match_quality
from mpi.domain.query import Page
from mpi.domain.record import Record
from mpi.services.demographics import search_patients, show_page
from mpi.services.identifiers import patient_id_of, target_domains
from mpi.services.page_answer import cancel_pages, numbered_page
from mpi.translate.hl7v3_demographics_query import (
    CANCEL,
    CONTINUE,
    Cancellation,
    Continuation,
    DemographicsQuery,
    decode_continuation,
    decode_demographics_query,
)
from mpi.translate.hl7v3_interaction import Interaction
from mpi.translate.hl7v3_message import (
    ACKNOWLEDGEMENT,
    Quantities,
    acknowledge,
    action,
    element_name,
    query_answer,
    refused_message,
    refused_query,
)
from mpi.translate.hl7v3_patient import patient_text
from mpi.translate.hl7v3_registration import receiver_id, registration_text

_QUESTION = "PRPA_IN201305UV02"
_ANSWER = "PRPA_IN201306UV02"


def _binding(name: str, element: str, answer: str) -> SoapBinding:
    return SoapBinding(
        path="/ihe/pdq",
        action=action(name),
        response_action=action(answer),
        request_element=element_name(element),
        response_element=element_name(answer),
    )


TRANSACTION = Transaction(
    number="ITI-47",
    name="Patient Demographics Query HL7 V3",
    actor="Patient Demographics Supplier",
    profile="PDQV3",
    bindings=(
        _binding(_QUESTION, _QUESTION, _ANSWER),
        _binding(f"{CONTINUE}_Continue", CONTINUE, _ANSWER),
        _binding(CANCEL, CANCEL, ACKNOWLEDGEMENT),
    ),
    writes=False,
    is_brief=True,
    event_code="110112",
    event_action="E",
    options=(
        "Pediatric Demographics: mother's maiden name, telephone, multiple birth",
        "Continuation (QUQI_IN000003UV01_Continue) over a snapshot, kept 15 minutes; cancel",
        "First letters of names by use SRCH or an asterisk at the end",
        "Names like those asked for (matchAlgorithm PHONETIC or FUZZY), the likest first; minimumDegreeMatch",
        "Match quality: less than 100 where a name only begins like the one asked for, or is only like it",
    ),
    source="ITI TF-2: 3.47",
)

Question = DemographicsQuery | Continuation | Cancellation


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient with the identifiers to show, and how well it fits (0 to 100)."""

    record: Record
    identifiers: tuple[PatientId, ...]
    quality: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """One page of patients.

    Attributes:
        interaction: what asks for this page.
        asked: what asked for the patients in the first place.
    """

    patients: tuple[Candidate, ...]
    page: Page
    interaction: Interaction
    asked: Interaction


def decode(request: SoapRequest) -> Question:
    """Read the query, its continuation or its cancellation.

    Raises:
        MissingElement: the query, every criterion, or what is to be continued is missing.
        InvalidElement: a part is malformed or cannot be searched.
    """
    message = request.body_element
    return decode_demographics_query(message) if local_name(message) == _QUESTION else decode_continuation(message)


def serve(question: Question, context: Context[MpiApplication]) -> Candidates | None:
    """Find the patients, or go on with those found before, or forget them.

    Raises:
        UnknownTargetAuthority: domains asked for are none of the region.
        MissingElement: no criterion bounds the search.
        InvalidElement: there is nothing to continue.
        TooMany: more patients than can be answered.
    """
    uow, app = context.uow, context.application
    context.trail.query(TRANSACTION.name)
    if isinstance(question, Cancellation):
        cancel_pages(uow, question.name.owner(uow.caller), question.name.query_id)
        return None
    if isinstance(question, Continuation):
        place = f"/{CONTINUE}/controlActProcess/queryContinuation/queryId"
        tag = question.name.tag(uow.caller, TRANSACTION.number)
        kept = numbered_page(uow, tag, question.start, question.quantity, place)
        asked = decode_demographics_query(parse_xml(kept.question.encode()))
        found = show_page(uow, app, kept.page, target_domains(app, asked.domains))
    else:
        asked = question
        domains = target_domains(app, asked.domains)
        text = serialize(asked.message, declaration=False).decode() if asked.quantity is not None else None
        tag = asked.name.tag(uow.caller, TRANSACTION.number, text)
        found = search_patients(uow, app, asked.criteria(domains), tag)
    for record, _ in found.patients:
        context.trail.patient(patient_id_of(app, record.key).xds_cx)
    patients = (
        Candidate(record, identifiers, match_quality(asked.patients, record.traits))
        for record, identifiers in found.patients
    )
    return Candidates(tuple(patients), found.page, question.interaction, asked.interaction)


def encode(found: Candidates | None, request: SoapRequest) -> SoapReply:
    """One patient for each record, and how many follow; ``NF`` when there is none."""
    if found is None:
        return SoapReply(body_text=acknowledge(request.body_element))
    keeper = receiver_id(found.interaction)
    subjects = (
        registration_text(patient_text(each.identifiers, each.record.traits, match_quality=each.quality), keeper)
        for each in found.patients
    )
    answer = query_answer(
        found.interaction,
        _ANSWER,
        "OK" if found.page.total else "NF",
        subjects="".join(subjects),
        asked=found.asked,
        quantities=Quantities(found.page.total, len(found.patients), found.page.remaining),
    )
    return SoapReply(body_text=answer)


def refuse(error: IheError, request: SoapRequest) -> SoapReply:
    """The answer that refuses the query or its cancellation."""
    message = request.body_element
    if local_name(message) == CANCEL:
        return refused_message(message, error)
    return refused_query(message, _ANSWER, error)

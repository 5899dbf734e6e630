"""ITI-21 Patient Demographics Query over HL7 v2, with continuation and cancellation.

Source: ITI TF-2: 3.21.
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import IheError
from ihe.hl7v2.acknowledgement import acknowledge
from ihe.hl7v2.acknowledgement import refuse as refuse_plainly
from ihe.hl7v2.building import SegmentBuilder
from ihe.hl7v2.er7 import Message
from ihe.serving import Context
from ihe.transaction import Hl7v2Binding, Transaction
from mpi.application import MpiApplication
from mpi.domain.match_quality import match_quality
from mpi.domain.search import PatientSearch
from mpi.services.demographics import PatientPage, search_patients, show_page
from mpi.services.identifiers import patient_id_of, target_domains
from mpi.services.page_answer import cancel_pages, next_page
from mpi.translate.hl7v2_demographics_query import (
    Cancellation,
    DemographicsQuery,
    continuation,
    criteria,
    decode_cancellation,
    decode_demographics_query,
    owner,
    query_tag,
)
from mpi.translate.hl7v2_patient import is_french, pid_segment
from mpi.translate.hl7v2_query import query_answer, query_refusal

_VERSIONS = ("2.5", "2.6", "2.7", "2.8", "2.9")
_STRUCTURE = "RSP_K21"

TRANSACTION = Transaction(
    number="ITI-21",
    name="Patient Demographics Query",
    actor="Patient Demographics Supplier",
    profile="PDQ",
    bindings=(Hl7v2Binding("QBP", "Q22", _VERSIONS), Hl7v2Binding("QCN", "J01", _VERSIONS)),
    writes=False,
    is_brief=True,
    event_code="110112",
    event_action="E",
    options=(
        "Pediatric Demographics: mother's name, telephone, multiple birth",
        "Continuation (DSC) over a snapshot, kept 15 minutes; cancel by QCN^J01, also of ITI-22",
        "Asterisk at the end of names, street and city",
        "Names like those asked for (QPD-5 PHONETIC or FUZZY), the likest first, from the confidence in QPD-4 on",
    ),
    source="ITI TF-2: 3.21",
)


def decode(message: Message) -> DemographicsQuery | Cancellation:
    """Read the query or its cancellation.

    Raises:
        MissingElement: QPD, every criterion, or QID is missing.
        InvalidElement: a part is malformed or cannot be searched.
    """
    if message.type_code == "QCN":
        return decode_cancellation(message)
    return decode_demographics_query(message)


@dataclass(frozen=True, slots=True)
class Candidates:
    """A page of patients, and the criteria by which each is weighed."""

    found: PatientPage
    search: PatientSearch


def serve(question: DemographicsQuery | Cancellation, context: Context[MpiApplication]) -> Candidates | None:
    """Find the patients, or go on with those found before, or forget them.

    Raises:
        UnknownTargetAuthority: domains of QPD-8 are none of the region.
        MissingElement: no criterion bounds the search.
        InvalidElement: there is nothing to continue.
        TooMany: more patients than can be answered.
    """
    uow, app = context.uow, context.application
    context.trail.query(TRANSACTION.name)
    if isinstance(question, Cancellation):
        cancel_pages(uow, owner(question, uow.caller), question.tag)
        return None
    domains = target_domains(app, question.domains)
    tag = query_tag(question, uow.caller, TRANSACTION.number)
    if question.pointer is not None:
        page = next_page(uow, tag, question.pointer, question.quantity, "DSC-1")
        found = show_page(uow, app, page, domains)
    else:
        found = search_patients(uow, app, criteria(question, domains), tag)
    for record, _ in found.patients:
        context.trail.patient(patient_id_of(app, record.key).xds_cx)
    return Candidates(found, question.patients)


def encode(candidates: Candidates | None, message: Message) -> Message:
    """PID and QRI for each patient, and DSC when more follow; ``NF`` and neither when there is none.

    QRI-1 says how much of the names asked for is the patient's, as the match quality of ITI-47 does.
    """
    if candidates is None:
        return acknowledge(message)
    found, french = candidates.found, is_french(message)
    segments = []
    for number, (record, identifiers) in enumerate(found.patients, 1):
        segments.append(pid_segment(identifiers, record.traits, set_id=number, french=french))
        segments.append(SegmentBuilder("QRI", str(match_quality(candidates.search, record.traits))))
    return query_answer(
        message,
        "K22",
        status="OK" if found.page.total else "NF",
        segments=[*segments, *continuation(found.page)],
        structure=_STRUCTURE,
        hits=(found.page.total, len(found.patients), found.page.remaining),
    )


def refuse(error: IheError, message: Message) -> Message:
    """The answer that refuses the query."""
    if message.type_code == "QCN":
        return refuse_plainly(message, error)
    return query_refusal(message, "K22", error, _STRUCTURE)

"""ITI-22 Patient Demographics and Visit Query over HL7 v2, with continuation.

Source: ITI TF-2: 3.22.
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import IheError
from ihe.hl7v2.building import SegmentBuilder
from ihe.hl7v2.er7 import Message
from ihe.serving import Context
from ihe.transaction import Hl7v2Binding, Transaction
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.query import Page
from mpi.domain.record import Record
from mpi.domain.visit import Visit
from mpi.services.demographics import all_identifiers, search_visits
from mpi.services.find_visits import read_visits
from mpi.services.identifiers import patient_id_of, target_domains
from mpi.services.page_answer import next_page
from mpi.translate.hl7v2_demographics_query import (
    DemographicsQuery,
    continuation,
    criteria,
    decode_demographics_query,
    query_tag,
)
from mpi.translate.hl7v2_patient import is_french, pid_segment
from mpi.translate.hl7v2_query import query_answer, query_refusal
from mpi.translate.hl7v2_visit import pv1_segment, visit_cx

TRANSACTION = Transaction(
    number="ITI-22",
    name="Patient Demographics and Visit Query",
    actor="Patient Demographics Supplier",
    profile="PDQ",
    bindings=(Hl7v2Binding("QBP", "ZV1", ("2.5", "2.6", "2.7", "2.8", "2.9")),),
    writes=False,
    event_code="110112",
    event_action="E",
    options=(
        "Visits as the sites tell them by ITI-31 and ITI-8; a merged patient's visits are the survivor's",
        "Continuation (DSC) over a snapshot, kept 15 minutes",
    ),
    source="ITI TF-2: 3.22",
)


@dataclass(frozen=True, slots=True)
class Visits:
    """One page of visits, each with its patient and the identifiers to show."""

    visits: tuple[tuple[Record, Visit, tuple[PatientId, ...]], ...]
    page: Page


def decode(message: Message) -> DemographicsQuery:
    """Read the query.

    Raises:
        MissingElement: QPD, or every criterion, is missing.
        InvalidElement: a part is malformed or cannot be searched.
    """
    return decode_demographics_query(message)


def serve(question: DemographicsQuery, context: Context[MpiApplication]) -> Visits:
    """Find the visits, or go on with those found before.

    Raises:
        UnknownTargetAuthority: domains of QPD-8 are none of the region.
        MissingElement: no criterion bounds the search.
        InvalidElement: there is nothing to continue.
        TooMany: more visits than can be answered.
    """
    uow, app = context.uow, context.application
    context.trail.query(TRANSACTION.name)
    domains = target_domains(app, question.domains)
    tag = query_tag(question, uow.caller, TRANSACTION.number)
    if question.pointer is not None:
        page = next_page(uow, tag, question.pointer, question.quantity, "DSC-1")
    else:
        page = search_visits(uow, app, criteria(question, domains), tag)
    found = read_visits(uow, page.ids)
    patients = [record for record, _ in found]
    for key in dict.fromkeys(record.key for record in patients):
        context.trail.patient(patient_id_of(app, key).xds_cx)
    identifiers = all_identifiers(uow, app, patients, domains)
    return Visits(tuple((r, v, ids) for (r, v), ids in zip(found, identifiers, strict=True)), page)


def encode(found: Visits, message: Message) -> Message:
    """PID and PV1 for each visit, and DSC when more follow; ``NF`` and neither when there is none."""
    french = is_french(message)
    segments: list[SegmentBuilder] = []
    for number, (record, visit, identifiers) in enumerate(found.visits, 1):
        pid = pid_segment(identifiers, record.traits, set_id=number, french=french)
        if visit.account is not None:
            pid.set(18, visit_cx(visit.account))
        segments += [pid, pv1_segment(visit, number)]
    return query_answer(
        message,
        "ZV2",
        status="OK" if found.page.total else "NF",
        segments=[*segments, *continuation(found.page)],
        hits=(found.page.total, len(found.visits), found.page.remaining),
    )


def refuse(error: IheError, message: Message) -> Message:
    """The answer that refuses the query."""
    return query_refusal(message, "ZV2", error)

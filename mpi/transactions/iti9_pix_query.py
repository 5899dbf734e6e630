"""ITI-9 PIX Query: the identifiers of one patient in other domains, over HL7 v2.

Source: ITI TF-2: 3.9.
"""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import IheError, MissingElement
from ihe.hl7v2.er7 import Message
from ihe.serving import Context
from ihe.transaction import Hl7v2Binding, Transaction
from ihe.values import AssigningAuthority, PatientId
from mpi.application import MpiApplication
from mpi.services.cross_reference import cross_reference
from mpi.services.identifiers import domain_of, target_domains
from mpi.translate.hl7v2_patient import patient_ids, pid_segment
from mpi.translate.hl7v2_query import asked_authorities, query_answer, query_refusal, required_qpd

TRANSACTION = Transaction(
    number="ITI-9",
    name="PIX Query",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIX",
    bindings=(Hl7v2Binding("QBP", "Q23", ("2.5", "2.6", "2.7", "2.8", "2.9")),),
    writes=False,
    is_brief=True,
    event_code="110112",
    event_action="E",
    source="ITI TF-2: 3.9",
)


@dataclass(frozen=True, slots=True)
class PixQuery:
    """The question.

    Attributes:
        source: QPD-3.
        targets: QPD-4: the authority and the location of each repetition; empty asks for all domains.
    """

    source: PatientId
    targets: tuple[tuple[AssigningAuthority, str], ...]


def decode(message: Message) -> PixQuery:
    """Read QPD.

    Raises:
        MissingElement: QPD, or an identifier with its authority in QPD-3, is missing.
    """
    qpd = required_qpd(message)
    source = patient_ids(qpd.field(3), "QPD-3")
    if not source:
        raise MissingElement("QPD-3 holds no identifier with an assigning authority", "QPD-3")
    return PixQuery(source[0], asked_authorities(qpd.field(4), "QPD-4"))


def serve(query: PixQuery, context: Context[MpiApplication]) -> tuple[PatientId, ...]:
    """Ask the index.

    Raises:
        UnknownAuthority: the domain of QPD-3 is none of the region.
        UnknownTargetAuthority: domains of QPD-4 are none of the region.
        UnknownPatient: nothing active carries the identifier.
    """
    app = context.application
    targets = target_domains(app, query.targets)
    domain_of(app, query.source.authority, "QPD-3[1].4")
    answer = cross_reference(context.uow, app, query.source, targets, "QPD-3[1].1")
    context.trail.query(TRANSACTION.name)
    context.trail.patient(answer.regional_id.xds_cx)
    return answer.identifiers


def encode(identifiers: tuple[PatientId, ...], message: Message) -> Message:
    """One PID with all identifiers, or ``NF`` and no PID when the patient has no other one."""
    if not identifiers:
        return query_answer(message, "K23", status="NF")
    return query_answer(message, "K23", status="OK", segments=[pid_segment(identifiers)])


def refuse(error: IheError, message: Message) -> Message:
    """The answer that refuses the query."""
    return query_refusal(message, "K23", error)

"""ITI-93 Mobile Patient Identity Feed: a FHIR message with the history of some patients, taken in whole or not at all.

Source: ITI TF-2: 3.93 (PMIR).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ihe.errors import Conflict, IheError, UnknownPatient
from ihe.fhir import outcome
from ihe.fhir.error_codes import error_code
from ihe.fhir.formats import answer_format, render
from ihe.fhir.reading import read_resource
from ihe.http import HttpReply, HttpRequest
from ihe.serving import Context
from ihe.transaction import HttpBinding, OutboundBinding, Transaction
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.feed import Feed, FeedKind
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.record import RecordState
from mpi.services.identifiers import patient_id_of
from mpi.services.receive_feed import feed_key, receive_feed
from mpi.services.unmerge_record import unmerge_record
from mpi.store import records, source_patients
from mpi.translate.fhir_message import (
    Designation,
    FeedMessage,
    MessageHead,
    Step,
    StepKind,
    acceptance,
    read_head,
    read_message,
    refusal,
)
from mpi.translate.fhir_patient import patient_resource_id, record_of_resource_id

TRANSACTION = Transaction(
    number="ITI-93",
    name="Mobile Patient Identity Feed",
    actor="Patient Identity Registry",
    profile="PMIR",
    bindings=(
        HttpBinding("POST", "/fhir/$process-message", interaction="operation:process-message", body="Bundle"),
        OutboundBinding("HTTP", "POST of a message Bundle to each subscriber (ITI-94), and to domains that ask for it"),
    ),
    writes=True,
    event_code="110110",
    event_action="U",
    options=(
        "create, update, merge (replaced-by) and delete; a message is taken in whole or not at all",
        "a patient is named by identifier, by our logical id, or by the source's own once it told an identifier",
        "unmerge by policy (sources_unmerge): taken back, or refused by 405 in the entry's response",
        "RelatedPerson is accepted with a warning and not kept",
        "JSON and XML",
    ),
    source="ITI TF-2: 3.93",
)


_UNTOLD = {"method": "POST", "url": "Patient"}
"""Stands in an answer for the request that an entry lacks, because a history needs one."""


class UnmergeRefused(Conflict):
    """The patient was merged into another; only a steward takes that back."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of each step: HTTP status, and the id of the Patient or ``None``."""

    message: FeedMessage
    answers: tuple[tuple[Step, str, str | None], ...]


def decode(request: HttpRequest) -> FeedMessage:
    """Read the message.

    Raises:
        IheError: it is not readable, not valid, or no feed.
    """
    answer_format(request)
    return read_message(read_resource(request, "Bundle"))


def serve(message: FeedMessage, context: Context[MpiApplication]) -> Accepted:
    """Do what it says, in order.

    Raises:
        IheError: what a step cannot do; the location is its entry.
    """
    return Accepted(message, tuple(_take(message, step, context) for step in message.steps))


def _take(message: FeedMessage, step: Step, context: Context[MpiApplication]) -> tuple[Step, str, str | None]:
    try:
        match step.kind:
            case StepKind.RELATION:
                return step, "202", None
            case StepKind.WITHDRAW:
                return step, _withdraw(message, step, context), None
            case StepKind.MERGE:
                return _merge(message, step, context)
            case StepKind.IDENTITY:
                return _identify(message, step, context)
    except IheError as error:
        error.location = step.location
        raise


def _identify(message: FeedMessage, step: Step, context: Context[MpiApplication]) -> tuple[Step, str, str | None]:
    app, connection = context.application, context.uow.connection
    identifiers = _named(message, step.patient, context)
    key = feed_key(context.uow, app, identifiers, step.location)
    known = records.by_key(connection, key)
    if known is not None and known.state is RecordState.SUBSUMED:
        if not app.sources_unmerge:
            raise UnmergeRefused("the patient was merged into another one; an unmerge is not taken from a feed")
        unmerge_record(context.uow, app, known)
    receive_feed(context.uow, app, Feed(FeedKind.IDENTITY, identifiers, (), step.said, step.at))
    for logical_id in step.patient.logical_ids:
        source_patients.remember(connection, message.head.source, logical_id, key)
    context.trail.patient(patient_id_of(app, key).xds_cx)
    record = records.by_key(connection, key)
    address = f"Patient/{patient_resource_id(record)}" if record is not None else None
    return step, "200" if known is not None and known.is_active else "201", address


def _merge(message: FeedMessage, step: Step, context: Context[MpiApplication]) -> tuple[Step, str, str | None]:
    app = context.application
    survivor = _named(message, step.survivor, context)
    subsumed = _named(message, step.patient, context)
    key = receive_feed(context.uow, app, Feed(FeedKind.MERGE, survivor, subsumed, Traits(), None))
    for identifier in (survivor[0], subsumed[0]):
        context.trail.patient(identifier.xds_cx)
    record = records.by_key(context.uow.connection, key)
    return step, "200", f"Patient/{patient_resource_id(record)}" if record is not None else None


def _withdraw(message: FeedMessage, step: Step, context: Context[MpiApplication]) -> str:
    app = context.application
    identifiers = _named(message, step.patient, context)
    key = feed_key(context.uow, app, identifiers, step.location)
    context.trail.patient(patient_id_of(app, key).xds_cx)
    known = records.by_key(context.uow.connection, key)
    if known is None or known.state is not RecordState.WITHDRAWN:  # a repeated deletion has nothing to do
        receive_feed(context.uow, app, Feed(FeedKind.WITHDRAW, identifiers, (), Traits(), None))
    return "204" if step.request["method"] == "DELETE" else "200"


def _named(message: FeedMessage, patient: Designation, context: Context[MpiApplication]) -> tuple[PatientId, ...]:
    """The identifiers of a patient that a message names, those it states before those of its logical ids.

    Raises:
        UnknownPatient: it is named by nothing that the index knows.
    """
    app = context.application
    found = list(patient.identifiers)
    for logical_id in patient.logical_ids:
        key = _key(message.head.source, logical_id, context)
        if key is not None:
            found.append(patient_id_of(app, key))
    if not found:
        raise UnknownPatient("the patient is named by no identifier, and by no id that was told before")
    return tuple(found)


def _key(source: str, logical_id: str, context: Context[MpiApplication]) -> RecordKey | None:
    connection = context.uow.connection
    told = source_patients.key_of(connection, source, logical_id)
    if told is not None:
        return told
    record_id = record_of_resource_id(logical_id)
    return next((r.key for r in records.by_ids(connection, [record_id])), None) if record_id is not None else None


def encode(accepted: Accepted, request: HttpRequest) -> HttpReply:
    """A message that answers: code ``ok``, and what came of each entry."""
    answers = [
        (step, status, f"{request.base_url}/fhir/{address}" if address else None)
        for step, status, address in accepted.answers
    ]
    media_type = answer_format(request)
    message = acceptance(accepted.message.head, _endpoint(request), answers, datetime.now(UTC))
    return HttpReply(200, media_type, render(message, media_type))


def refuse(error: IheError, request: HttpRequest) -> HttpReply:
    """A message that answers with the error, where there is one to answer to; else a plain OperationOutcome."""
    found = _answerable(request)
    code = error_code(error)
    if found is None or code.status >= 500 or code.status in (401, 403, 406):
        return outcome.refuse(request, error, None)
    head, requests = found
    status = 405 if isinstance(error, UnmergeRefused) else code.status
    message = refusal(head, _endpoint(request), error, status, requests, datetime.now(UTC))
    media_type = answer_format(request)
    return HttpReply(200, media_type, render(message, media_type))


def _answerable(request: HttpRequest) -> tuple[MessageHead, list[dict[str, Any]]] | None:
    try:
        answer_format(request)
        bundle = read_resource(request, "Bundle")
        head = read_head(bundle)
    except IheError:
        return None
    history = bundle["entry"][1].get("resource", {}) if len(bundle["entry"]) > 1 else {}
    return head, [e.get("request", _UNTOLD) for e in history.get("entry", ())]


def _endpoint(request: HttpRequest) -> str:
    return f"{request.base_url}/fhir/$process-message"

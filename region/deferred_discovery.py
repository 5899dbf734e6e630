"""Answers patient discovery later, where another community asked for that: one subscriber of the outbox.

What is answered is what is known at the moment of answering. An address that cannot be reached delays no other: its
questions are tried again more and more seldom, as refused ones are, and become dead letters in the end.

Source: ITI TF-2: 3.55.4.1.3, 3.55.6.2 (Deferred Response).
"""

from __future__ import annotations

from ihe.audit import AuditEvent, Outcome
from ihe.caller import Caller
from ihe.errors import Conflict, IheError, Unavailable
from ihe.soap.client import SoapClient
from ihe.soap.envelope import SoapRequest
from ihe.store import audit
from ihe.store.outbox import OutboxEvent
from ihe.unit_of_work import Database
from ihe.xml import Element, parse_xml
from mpi.application import MpiApplication
from mpi.transactions import iti55_cross_gateway_patient_discovery as iti55
from mpi.translate.hl7v3_sending import require_accepted

_TIMEOUT_SECONDS = 15.0


class DeferredDiscovery:
    """Makes and sends the answers that are due later."""

    name = "ITI-55 deferred"

    def __init__(self, database: Database, app: MpiApplication) -> None:
        self._database = database
        self._app = app

    def takes(self, event: OutboxEvent) -> bool:
        """Questions whose answer is wanted later."""
        return event.kind == iti55.DEFERRED

    def deliver(self, event: OutboxEvent) -> None:
        """Answer one question.

        Raises:
            Conflict: the asker was not reached, or did not take the answer.
            AccessDenied: its address may not be written to any more.
        """
        message = parse_xml(event.payload["message"].encode())
        answer = self._answer(event, message)
        try:
            with SoapClient(event.subject, _TIMEOUT_SECONDS, callbacks=self._app.callbacks) as client:
                require_accepted(client.send(iti55.DEFERRED_ACTION, parse_xml(answer)))
        except Unavailable as error:
            raise Conflict("the asker cannot be reached") from error

    def _answer(self, event: OutboxEvent, message: Element) -> bytes:
        request = SoapRequest(iti55.DEFERRED_ACTION, message)
        caller = Caller(node=event.payload["node"], site=event.payload["site"])
        try:
            with self._database.unit(caller) as uow:
                found = iti55.discover(iti55.decode(request).query, uow, self._app)
                shown = [{"kind": "patient", "id": p.identifiers[0].xds_cx} for p in found.found.patients]
                transaction = iti55.TRANSACTION
                audit.append(
                    uow.connection,
                    AuditEvent(
                        at=uow.now,
                        transaction=transaction.number,
                        event_code=transaction.event_code,
                        event_action=transaction.event_action,
                        outcome=Outcome.SUCCESS,
                        node=caller.node,
                        site=caller.site,
                        user=caller.named_user,
                        purpose=caller.purpose,
                        correlation_id=f"outbox-{event.id}",
                        objects=({"kind": "query", "id": transaction.name}, *shown),
                    ),
                )
                return iti55.answer_message(found, message)
        except IheError as error:
            refusal = iti55.refuse(error, request).body_text
            if refusal is None:
                raise
            return refusal

    def close(self) -> None:
        """Nothing stays open between answers."""

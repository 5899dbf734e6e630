"""Answers to SOAP requests that go to an address of their own (WS-Addressing ``ReplyTo``), for every transaction.

A change is made at once, and its answer waits in the outbox; a question waits there itself and is answered as things
are when its answer is sent, documents and all. Nothing is acknowledged before it stands in the outbox. An address that
cannot be reached delays no other: its answers are tried again more and more seldom, and become dead letters in the end.

Source: ITI TF-2: V.5 (Synchronous and Asynchronous Web Services Exchange); WS-Addressing 1.0 SOAP Binding: 5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from ihe.callbacks import CallbackRule
from ihe.caller import REGION, Caller
from ihe.errors import AccessDenied, Conflict, TooLarge, Unavailable
from ihe.peer import Peer
from ihe.serving import Context, Pipeline
from ihe.soap.answers import answer_message
from ihe.soap.client import SoapClient
from ihe.soap.envelope import SoapReply, SoapRequest, only_anonymous
from ihe.soap.mtom import OutgoingMessage
from ihe.soap.wire import SoapWire
from ihe.store.outbox import OutboxEvent
from ihe.transaction import Endpoint, SoapBinding
from ihe.xml import parse_xml, serialize

QUESTION: Final = "soap.question"
ANSWER: Final = "soap.answer"
_LONGEST_QUESTION: Final = 1024 * 1024
_TIMEOUT_SECONDS: Final = 15.0

Authenticate = Callable[[SoapRequest, Peer], Caller]
Operation = tuple[Endpoint, SoapBinding]


def operations(endpoints: Iterable[Endpoint]) -> dict[tuple[str, str], Operation]:
    """What is offered over SOAP, by path and action."""
    return {
        (binding.path, binding.action): (endpoint, binding)
        for endpoint in endpoints
        for binding in endpoint.transaction.bindings
        if isinstance(binding, SoapBinding)
    }


@dataclass(frozen=True, slots=True)
class AnsweringLater:
    """Takes requests that are answered elsewhere.

    Attributes:
        offered: by path and action.
        authenticate: who calls; asked when the request arrives, not when it is answered.
        callbacks: which addresses may be written to.
    """

    offered: Mapping[tuple[str, str], Operation]
    pipeline: Pipeline
    authenticate: Authenticate
    callbacks: CallbackRule

    def take(self, request: SoapRequest, peer: Peer, binding: SoapBinding) -> None:
        """Take a request; when this returns it will be answered.

        Raises:
            SoapFault: an address may not be written to, or the request cannot be taken now.
            TooLarge: a question is longer than 1 MiB.
        """
        for header, address in (("ReplyTo", request.answer_address), ("FaultTo", request.fault_address)):
            try:
                self.callbacks.check(address or "")
            except AccessDenied:
                raise only_anonymous(header) from None
        endpoint, _ = self.offered[request.path, request.action]
        authenticate = partial(self.authenticate, request, peer)
        if endpoint.transaction.writes:
            self._serve(request, endpoint, binding, authenticate)
        else:
            self._keep(request, endpoint, authenticate)

    def _serve(
        self, request: SoapRequest, endpoint: Endpoint, binding: SoapBinding, authenticate: Callable[[], Caller]
    ) -> None:
        """Make a change, and leave its answer in the outbox."""
        reply = self.pipeline.run(endpoint, SoapWire(), request, authenticate)
        to = _address(request, reply)
        message = answer_message(reply, binding, request.message_id, to)
        if message is None:
            return
        body = message.body if isinstance(message.body, bytes) else b"".join(message.body)
        payload = {"to": to, "content_type": message.content_type, "body": body.decode()}
        with self.pipeline.database.unit(REGION) as uow:
            uow.publish(ANSWER, str(request.message_id), payload)

    def _keep(self, request: SoapRequest, endpoint: Endpoint, authenticate: Callable[[], Caller]) -> None:
        """Leave a question in the outbox."""
        kept = _kept(request)
        taking = replace(
            endpoint,
            decode=lambda request: request,
            serve=partial(_publish, kept),
            encode=lambda _done, _request: SoapReply(),
            refuse=None,
        )
        reply = self.pipeline.run(taking, SoapWire(), request, authenticate)
        if reply.fault is not None:
            raise reply.fault


def _publish(kept: Mapping[str, Any], request: SoapRequest, context: Context[Any]) -> None:
    context.trail.query(context.transaction.name)
    context.uow.publish(QUESTION, str(request.message_id), {**kept, "caller": context.uow.caller.to_json()})


def _kept(request: SoapRequest) -> dict[str, Any]:
    """What of a question is needed to answer it later; nothing of its security header."""
    body = serialize(request.body_element).decode()
    if len(body) > _LONGEST_QUESTION:
        raise TooLarge(f"a question that is answered elsewhere holds at most {_LONGEST_QUESTION} characters")
    return {
        "path": request.path,
        "action": request.action,
        "url": request.url,
        "to": request.to,
        "message_id": request.message_id,
        "reply_to": request.answer_address,
        "fault_to": request.fault_address,
        "body": body,
    }


def _address(request: SoapRequest, reply: SoapReply) -> str | None:
    return request.answer_address if reply.fault is None else request.fault_address


class AsynchronousAnswers:
    """Sends the answers that go to an address of their own: one subscriber of the outbox."""

    name = "asynchronous answers"

    def __init__(
        self, offered: Mapping[tuple[str, str], Operation], pipeline: Pipeline, callbacks: CallbackRule
    ) -> None:
        self._offered = offered
        self._pipeline = pipeline
        self._callbacks = callbacks

    def takes(self, event: OutboxEvent) -> bool:
        """Answers, and questions that are to be answered."""
        return event.kind in (QUESTION, ANSWER)

    def deliver(self, event: OutboxEvent) -> None:
        """Send one answer.

        Raises:
            Conflict: the asker was not reached, or did not take the answer.
            AccessDenied: its address may not be written to any more.
        """
        if event.kind == ANSWER:
            body = event.payload["body"].encode()
            self._send(event.payload["to"], OutgoingMessage(event.payload["content_type"], body, len(body)))
        else:
            self._answer(event)

    def _answer(self, event: OutboxEvent) -> None:
        kept = event.payload
        operation = self._offered.get((kept["path"], kept["action"]))
        if operation is None:
            raise Conflict("the action is not offered any more")
        endpoint, binding = operation
        request = SoapRequest(
            action=kept["action"],
            body_element=parse_xml(kept["body"].encode()),
            message_id=kept["message_id"],
            to=kept["to"],
            reply_to=kept["reply_to"],
            fault_to=kept["fault_to"],
            path=kept["path"],
            url=kept["url"],
        )
        caller = Caller.from_json(kept["caller"])
        reply = self._pipeline.run(endpoint, SoapWire(), request, lambda: caller, f"outbox-{event.id}")
        to = _address(request, reply)
        message = answer_message(reply, binding, request.message_id, to)
        if message is not None and to is not None:
            self._send(to, message)

    def _send(self, to: str, message: OutgoingMessage) -> None:
        try:
            with SoapClient(to, _TIMEOUT_SECONDS, callbacks=self._callbacks) as client:
                client.deliver(message)
        except Unavailable as error:
            raise Conflict("the asker cannot be reached") from error
        finally:
            if not isinstance(message.body, bytes):
                message.body.close()

    def close(self) -> None:
        """Nothing stays open between answers."""

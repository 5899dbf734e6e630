"""HL7 v2 in the pipeline: which transaction a message is for, who sends it, and what is answered.

Source: ITI TF-2: 3.8 to 3.31; HL7 v2.5: 2.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ihe.audit import Audited
from ihe.caller import Caller
from ihe.errors import IheError, MalformedRequest, UnsupportedRequest
from ihe.hl7v2.acknowledgement import answers, refuse
from ihe.hl7v2.delimiters import Delimiters
from ihe.hl7v2.er7 import Message
from ihe.peer import Peer
from ihe.serving import Pipeline
from ihe.store.messages import MessageKey
from ihe.transaction import Endpoint, Hl7v2Binding

_MOST_KINDS: Final = 1000
"""Kinds of messages of which is kept what transaction they are for."""
_LONGEST_KEPT: Final = 1000
"""Characters of an MSH up to which that is kept."""


class Hl7v2Wire:
    """The pipeline's view of HL7 v2."""

    def refuse(self, request: Message, error: IheError, correlation_id: str) -> Message:
        """A negative acknowledgement."""
        return refuse(request, error, correlation_id)

    def audited(self, request: Message) -> Audited:
        """QPD, and the control id (Source: ITI TF-2: 3.8.5.1, 3.9.5.1)."""
        qpd = request.segment("QPD")
        return Audited((lambda: str(qpd)) if qpd else None, {"MSH-10": request.control_id})

    def message_key(self, request: Message) -> MessageKey | None:
        """Sender (MSH-3, MSH-4), control id (MSH-10) and content; ``None`` without a control id."""
        if not request.control_id:
            return None
        return MessageKey.of("|".join(request.sender), request.msh.written(10), bytes(request))

    def reply_to_bytes(self, reply: Message) -> bytes:
        """The answer as sent."""
        return bytes(reply)

    def reply_from_bytes(self, stored: bytes) -> Message:
        """The answer as it was sent."""
        return Message.parse(stored)


class Hl7v2Router:
    """Finds the transaction of a message by MSH-9 and MSH-12, and runs it.

    Args:
        endpoints: all transactions; those without a v2 binding are passed over.
        authenticate: who sends a message, from its header and the connection's peer.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        pipeline: Pipeline,
        authenticate: Callable[[Message, Peer], Caller],
    ) -> None:
        self._pipeline = pipeline
        self._authenticate = authenticate
        self._wire = Hl7v2Wire()
        self._bound: dict[tuple[str, str], list[tuple[str, Endpoint]]] = {}
        self._found: dict[tuple[str, str, Delimiters], Endpoint] = {}
        self._codes: set[str] = set()
        for endpoint in endpoints:
            for binding in endpoint.transaction.bindings:
                if isinstance(binding, Hl7v2Binding):
                    self._codes.add(binding.message_code)
                    versions = self._bound.setdefault((binding.message_code, binding.trigger_event), [])
                    versions += [(version, endpoint) for version in binding.versions]

    def handle(self, frame: bytes, peer: Peer) -> list[bytes]:
        """Answer one message: what to frame and send, nothing when the sender wants no answer."""
        try:
            if b"\0" in frame:
                raise MalformedRequest("the message holds a NUL character")
            message = Message.parse(frame)
        except IheError as error:
            return [bytes(refuse(frame, error))]
        try:
            endpoint = self._found.get(_kind(message)) or self._find(message)
        except IheError as error:
            answer = refuse(message, error)
        else:
            answer = self._pipeline.run(endpoint, self._wire, message, lambda: self._authenticate(message, peer))
        return [bytes(each) for each in answers(message, answer)]

    def _find(self, message: Message) -> Endpoint:
        code = message.type_code
        if code not in self._codes:
            raise UnsupportedRequest("this message type is not offered here", "MSH-9.1")
        versions = self._bound.get((code, message.trigger_event))
        if versions is None:
            raise UnsupportedRequest("this event is not offered here", "MSH-9.2")
        version = message.version
        for prefix, endpoint in versions:
            if version.startswith(prefix):
                if len(self._found) < _MOST_KINDS and len(message.msh.raw) <= _LONGEST_KEPT:
                    self._found[_kind(message)] = endpoint
                return endpoint
        raise UnsupportedRequest("this version is not offered for this event", "MSH-12.1")


def _kind(message: Message) -> tuple[str, str, Delimiters]:
    """What decides which transaction a message is for, as it is written: there are few kinds."""
    written = message.msh.written
    return written(9), written(12), message.delimiters

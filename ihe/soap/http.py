"""The SOAP endpoint as an ASGI application (Source: SOAP 1.2 Part 2: 7; ITI TF-2: V.3).

``async`` moves bytes and nothing else. A small request is read, served and answered in the event loop as far as it is
brief (:mod:`ihe.fibers`), else in one visit to a thread; a large one is handed on while it arrives, so that its
documents are on disk before its last byte is here. Every failure is a SOAP fault. Documents that the handler did not
take over are discarded, also when the sender goes away.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from starlette.types import Receive, Scope, Send

from ihe import fibers
from ihe.errors import IheError, MalformedRequest, TooLarge, Unavailable
from ihe.peer import Peer, peer_of
from ihe.serving import UnforeseenFailure, log_unforeseen
from ihe.soap.answers import answer_message, fault_message
from ihe.soap.envelope import SoapReply, SoapRequest, message_id_of, only_anonymous, read_envelope
from ihe.soap.error_codes import fault_for
from ihe.soap.fault import FaultCode, SoapFault, action_not_supported, addressing_fault
from ihe.soap.mtom import (
    DEFAULT_MESSAGE_LIMITS,
    MessageLimits,
    MessageReader,
    OutgoingMessage,
)
from ihe.soap.multipart import MultipartBody
from ihe.soap.sinks import SinkFactory, SpoolSink
from ihe.soap.wsdl import base_url_of
from ihe.transaction import SoapBinding

_BATCH: Final = 256 * 1024
"""Bytes handed to a thread at once, and bytes up to which an answer is sent in one piece."""


Result = TypeVar("Result")

Handler = Callable[[SoapRequest, Peer], SoapReply]
"""Serves one request, in a thread; raises ``IheError`` or ``SoapFault`` to refuse it."""


Later = Callable[[SoapRequest, Peer, SoapBinding], None]
"""Takes a request whose answer goes to an address of its own, in a thread; raises to refuse it. What it took is
answered, whatever happens afterwards."""


class SoapEndpoint:
    """The actions of one path.

    Route it, don't mount it: a mounted application is redirected to a path with a slash, and a POST is lost on the way.

    Args:
        bindings: the actions offered.
        handle: serves every one of them.
        executor: threads in which it is served; ``None`` takes those of the event loop.
        open_sink: where documents go; by default to temporary files.
        limits: what is refused.
        later: takes requests that are answered elsewhere; ``None`` refuses them.
        is_brief: whether some of the actions are brief: a small request is read in the event loop then.
    """

    def __init__(
        self,
        bindings: Iterable[SoapBinding],
        handle: Handler,
        executor: Executor | None = None,
        open_sink: SinkFactory = SpoolSink,
        limits: MessageLimits = DEFAULT_MESSAGE_LIMITS,
        later: Later | None = None,
        *,
        is_brief: bool = False,
    ) -> None:
        self._is_brief = is_brief
        self._bindings = {binding.action: binding for binding in bindings}
        self._handle = handle
        self._executor = executor
        self._open_sink = open_sink
        self._limits = limits
        self._later = later

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        exchange = _Exchange(self._bindings, self._handle, self._later, self._open_sink, self._limits, scope)
        try:
            answer = await self._answer(exchange, receive)
        finally:
            exchange.discard()
        if answer is not None:
            await self._send(answer, receive, send)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> _Answer | None:
        """The answer, or ``None`` when the sender went away before the end of its request."""
        refusal = exchange.begin()
        arrived = bytearray()
        is_whole = True
        while refusal is None:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            arrived += message.get("body", b"")
            if not message.get("more_body", False):
                if self._is_brief and is_whole and len(arrived) <= fibers.LONGEST and not exchange.has_parts:
                    return await fibers.serve(self._executor, exchange.finish, bytes(arrived))
                return await self._in_thread(exchange.finish, bytes(arrived))
            if len(arrived) >= _BATCH:
                is_whole = False
                refusal = await self._in_thread(exchange.feed, bytes(arrived))
                arrived.clear()
        return refusal

    async def _send(self, answer: _Answer, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if isinstance(answer.body, bytes):
            await send({"type": "http.response.body", "body": answer.body})
            return
        batches = _batches(answer.body)
        gone = asyncio.create_task(_disconnected(receive))
        try:
            while not gone.done() and (batch := await self._in_thread(next, batches, None)) is not None:
                await send({"type": "http.response.body", "body": batch, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except Exception as error:
            # The status has been sent: all that is left is to cut the answer off, which the server does.
            log_unforeseen(error, "SOAP answer", uuid.uuid4().hex)
        finally:
            gone.cancel()
            await self._in_thread(answer.body.close)

    async def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run in a thread to the end, also when cancelled: what is discarded afterwards must be at rest."""
        future = asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *arguments))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _batches(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces, each a visit to a thread and to the socket."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _BATCH:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


class _Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | MultipartBody


class _Exchange:
    """One request from its head to its answer. No step raises: each failure is an answer."""

    def __init__(
        self,
        bindings: Mapping[str, SoapBinding],
        handle: Handler,
        later: Later | None,
        open_sink: SinkFactory,
        limits: MessageLimits,
        scope: Scope,
    ) -> None:
        self._bindings = bindings
        self._handle = handle
        self._later = later
        self._open_sink = open_sink
        self._limits = limits
        self._method: str = scope["method"]
        self._path: str = scope["path"]
        query = scope.get("query_string", b"").decode("latin-1")
        self._url = f"{base_url_of(scope)}{self._path}{'?' * bool(query)}{query}"
        self._peer = peer_of(scope)
        self._reader: MessageReader | None = None
        self._message_id: str | None = None

    @property
    def has_parts(self) -> bool:
        """Whether the message may bring documents, which go to disk."""
        return self._peer.headers.get("content-type", "").lstrip().lower().startswith("multipart")

    def begin(self) -> _Answer | None:
        """Read the head; an answer refuses it."""
        return self._guarded(self._open)

    def feed(self, data: bytes) -> _Answer | None:
        """Read more of the body; an answer refuses it."""
        return self._guarded(self._read, data)

    def finish(self, data: bytes) -> _Answer:
        """Read the last of the body and serve the request."""
        return self._guarded(self._serve, data) or _Answer(202, [], b"")

    def discard(self) -> None:
        """Discard the documents that were not taken over."""
        if self._reader is not None:
            self._reader.discard()

    def _open(self) -> None:
        headers = self._peer.headers
        if self._method != "POST":
            raise SoapFault(FaultCode.SENDER, "a SOAP request is sent by POST", http_status=405)
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise SoapFault(FaultCode.SENDER, "a content encoding is not supported", http_status=415)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._limits.total_bytes:
            raise TooLarge(f"the message exceeds {self._limits.total_bytes} bytes")
        self._reader = MessageReader(headers.get("content-type", ""), self._open_sink, self._limits)

    def _read(self, data: bytes) -> None:
        if self._reader is not None:
            self._reader.feed(data)

    def _serve(self, data: bytes) -> _Answer | None:
        if self._reader is None:
            return None
        self._reader.feed(data)
        message = self._reader.close()
        self._message_id = message_id_of(message.root)
        request = read_envelope(message.root, message.action, message.attachments, self._path, self._url)
        binding = self._bindings.get(request.action)
        if binding is None:
            raise action_not_supported(request.action)
        if request.body_element.tag != binding.request_element:
            raise MalformedRequest("the body element is not the one of this action", "/Envelope/Body")
        if request.fault_address is not None:  # as it is wherever the answer has an address
            self._take_for_later(request, binding)
            return None
        return self._written(self._handle(request, self._peer), binding)

    def _take_for_later(self, request: SoapRequest, binding: SoapBinding) -> None:
        if request.answer_address is None:
            raise only_anonymous("FaultTo")
        if self._later is None:
            raise only_anonymous("ReplyTo")
        if request.message_id is None:
            raise addressing_fault(
                "a request that is answered elsewhere needs a wsa:MessageID",
                "MessageAddressingHeaderRequired",
                header="MessageID",
            )
        fibers.in_thread(self._later, request, self._peer, binding)

    def _written(self, reply: SoapReply, binding: SoapBinding) -> _Answer | None:
        if reply.fault is not None:
            return self._fault(reply.fault)
        message = answer_message(reply, binding, self._message_id)
        return None if message is None else _answer(200, message)

    def _fault(self, fault: SoapFault) -> _Answer:
        answer = _answer(fault.http_status, fault_message(fault, self._message_id))
        if fault.http_status == 405:
            answer.headers.append((b"allow", b"POST"))
        return answer

    def _guarded(self, step: Callable[..., _Answer | None], *arguments: bytes) -> _Answer | None:
        try:
            return step(*arguments)
        except SoapFault as fault:
            return self._fault(fault)
        except IheError as error:
            return self._fault(fault_for(error))
        except Exception as error:
            reference = uuid.uuid4().hex
            log_unforeseen(error, f"SOAP {self._path}", reference)
            if isinstance(error, OSError):
                return self._fault(fault_for(Unavailable(f"documents cannot be stored now; reference {reference}")))
            return self._fault(fault_for(UnforeseenFailure(f"internal error; reference {reference}")))


def _answer(status: int, message: OutgoingMessage) -> _Answer:
    headers = [(b"content-type", message.content_type.encode("latin-1"))]
    if message.size is not None:
        headers.append((b"content-length", str(message.size).encode()))
    body = message.body
    if isinstance(body, MultipartBody) and message.size is not None and message.size <= _BATCH:
        try:
            return _Answer(status, headers, b"".join(body))
        finally:
            body.close()
    return _Answer(status, headers, body)

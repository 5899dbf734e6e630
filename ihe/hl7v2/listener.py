"""The MLLP listener: many connections, each message answered, answers in the order of the messages.

Rules:

- One message of a connection is at work at a time; connections do not wait for each other. While one is at work the
  connection is not read further than what one read brought, so a fast sender is slowed down, not buffered.
- The handler is synchronous and runs in a bounded pool of threads, or begins in the event loop (:mod:`ihe.fibers`).
  Whatever it raises becomes an answer.
- A frame that cannot be taken is answered like a message (:mod:`ihe.hl7v2.acknowledgement`).
- A connection ends when its sender ends it, is idle too long, takes too long over a frame, or does not take its
  answers; never because of what a message says.
- Stopping accepts nothing new, finishes and answers what has come, and closes within a limit.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl as tls
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from ihe import fibers
from ihe.errors import IheError, MalformedRequest, Unavailable
from ihe.handshake import Handshaking, Refused, ignored, serve_accepted
from ihe.hl7v2.acknowledgement import answers, refuse, salvage
from ihe.hl7v2.mllp import Event, Frame, FrameDecoder, Noise, RefusedFrame, frame
from ihe.peer import Peer
from ihe.serving import log_unforeseen
from ihe.shared_listener import Accepting, SharedListener

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.5
"""How long a frame may lack its last CR before it is taken without."""


Handler = Callable[[bytes, Peer], Sequence[bytes]]
"""Takes the data of a frame, gives the messages to send back, in order: usually one, none if the sender wants none.
An :class:`~ihe.errors.IheError` is answered with its code, any other exception with a generic refusal."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a listener.

    Attributes:
        frame_bytes: longest message.
        connections: most connections open together; one more is closed at once.
        threads: handlers at work together.
        idle_seconds: how long a connection may say nothing.
        frame_seconds: how long one frame may take to come.
        write_seconds: how long a sender may leave its answers untaken.
        drain_seconds: how long stopping waits for messages at work.
    """

    frame_bytes: int = 16 * 1024 * 1024
    connections: int = 2000
    threads: int = 16
    idle_seconds: float = 600.0
    frame_seconds: float = 60.0
    write_seconds: float = 30.0
    drain_seconds: float = 15.0


class MllpListener:
    """Listens for HL7 v2 messages on one address.

    Args:
        handler: see :data:`Handler`.
        host: address to listen on, ``None`` for all.
        port: 0 for any free one, see :attr:`port`.
        limits: bounds.
        ssl: TLS context, or ``None`` for plain TCP.
        refused: hears of handshakes that failed.
        shared: the socket to accept from, which other processes have too, instead of one of its own.
        begins_in_loop: whether the handler itself hands to a thread what is not brief (:mod:`ihe.fibers`).
    """

    def __init__(
        self,
        handler: Handler,
        host: str | None = None,
        port: int = 2575,
        *,
        limits: Limits | None = None,
        ssl: tls.SSLContext | None = None,
        refused: Refused = ignored,
        shared: SharedListener | None = None,
        begins_in_loop: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self._handler = handler
        self._address = (host, port)
        self._ssl = ssl
        self._refused = refused
        self._shared = shared
        self._begins_in_loop = begins_in_loop
        self._accepting: Accepting | None = None
        self._server: asyncio.Server | None = None
        self._pool = ThreadPoolExecutor(self.limits.threads, thread_name_prefix="mllp")
        self._connections: set[_Connection] = set()
        self._all_closed = asyncio.Event()

    async def start(self) -> None:
        """Start to listen.

        Raises:
            OSError: the address is not free.
        """
        if self._shared is not None:
            self._accepting = Accepting(self._shared, lambda: len(self._connections), self._serve)
            return
        host, port = self._address
        self._server = await asyncio.get_running_loop().create_server(
            self._accept,
            host,
            port,
            backlog=1024,
        )

    def _accept(self) -> asyncio.Protocol:
        if self._ssl is None:
            return _Connection(self)
        return Handshaking(self._ssl, lambda: _Connection(self), self._refused)

    async def _serve(self, accepted: socket.socket) -> None:
        await serve_accepted(accepted, lambda: _Connection(self), self._ssl, self._refused)

    async def stop(self) -> None:
        """Stop: accept nothing new, finish what has come, close all within ``drain_seconds``."""
        if self._accepting is not None:
            self._accepting.close()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.finish()
        if self._connections:
            self._all_closed.clear()
            try:
                await asyncio.wait_for(self._all_closed.wait(), self.limits.drain_seconds)
            except TimeoutError:
                log.warning("connections aborted at stop", extra={"connections": len(self._connections)})
                for connection in list(self._connections):
                    connection.abort()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def port(self) -> int:
        """The port listened on."""
        if self._accepting is not None and self._shared is not None:
            return int(self._shared.bound.getsockname()[1])
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the listener has not been started")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connection_count(self) -> int:
        """Connections open now."""
        return len(self._connections)

    def admit(self, connection: _Connection) -> bool:
        """Take a new connection in, unless there are too many."""
        if len(self._connections) >= self.limits.connections:
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: _Connection) -> None:
        """A connection has closed."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_closed.set()

    def work(self, event: Frame | RefusedFrame, peer: Peer) -> asyncio.Future[bytes]:
        """Have a message answered; gives framed answers and never fails. A long one is read in a thread at once."""
        if self._begins_in_loop and isinstance(event, Frame) and len(event.data) <= fibers.LONGEST:
            return fibers.serve(self._pool, self._answer, event, peer)
        return asyncio.get_running_loop().run_in_executor(self._pool, self._answer, event, peer)

    def _answer(self, event: Frame | RefusedFrame, peer: Peer) -> bytes:
        if isinstance(event, RefusedFrame):
            return _refusal(event.head, event.error)
        try:
            return b"".join(map(frame, self._handler(event.data, peer)))
        except IheError as error:
            return _refusal(event.data, error)
        except Exception as error:
            reference = uuid.uuid4().hex
            log_unforeseen(error, "MLLP", reference)
            return _refusal(event.data, IheError(f"internal error; reference {reference}"), reference)


def _refusal(data: bytes, error: IheError, reference: str | None = None) -> bytes:
    question = salvage(data)
    return b"".join(frame(bytes(each)) for each in answers(question, refuse(question, error, reference)))


class _Connection(asyncio.Protocol):
    """One sender's connection."""

    def __init__(self, listener: MllpListener) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._loop = asyncio.get_running_loop()
        self._decoder = FrameDecoder(listener.limits.frame_bytes)
        self._waiting: deque[Frame | RefusedFrame] = deque()
        self._at_work = False
        self._is_ending = False
        self._is_write_paused = False
        self._deadline = 0.0
        self._frame_deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer = _peer(self._transport)
        if not self._listener.admit(self):
            log.warning("connection refused: too many", extra={"peer": self._peer.host})
            self._transport.abort()
            return
        self._expect_data()

    def data_received(self, data: bytes) -> None:
        was_inside = self._decoder.is_inside_frame
        events = self._decoder.receive(data)
        self._take(events)
        if events or not was_inside:
            self._restart_frame_clock()
        if self._at_work or self._is_write_paused:
            self._transport.pause_reading()
        self._proceed()

    def eof_received(self) -> bool:
        self._is_ending = True
        self._take(self._decoder.end())
        self._proceed()
        return self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._listener.forget(self)

    def pause_writing(self) -> None:
        self._is_write_paused = True
        self._set_deadline(self._limits.write_seconds)

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self._restart_frame_clock()
        self._proceed()

    def finish(self) -> None:
        """Answer what has come, then close."""
        if not self._is_ending:
            self._is_ending = True
            self._transport.pause_reading()
            self._take(self._decoder.end(Unavailable("the service is stopping")))
        self._proceed()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Noise):
                log.warning("bytes outside frames", extra={"peer": self._peer.host, "bytes": event.length})
            else:
                self._waiting.append(event)

    def _proceed(self) -> None:
        """Put the next message to work, or read on, or close."""
        if self._at_work or self._is_write_paused or self._transport.is_closing():
            return
        if self._waiting:
            self._at_work = True
            self._deadline = 0.0
            self._listener.work(self._waiting.popleft(), self._peer).add_done_callback(self._answered)
        elif self._is_ending:
            self._transport.close()
            self._set_deadline(self._limits.write_seconds)
        else:
            self._transport.resume_reading()
            self._expect_data()

    def _answered(self, answer: asyncio.Future[bytes]) -> None:
        self._at_work = False
        if not answer.cancelled() and not self._transport.is_closing():
            self._transport.write(answer.result())
        self._restart_frame_clock()  # the sender is not to blame for the time we did not read
        self._proceed()

    def _restart_frame_clock(self) -> None:
        self._frame_deadline = self._loop.time() + self._limits.frame_seconds

    def _expect_data(self) -> None:
        if self._decoder.awaits_final_cr:
            self._set_deadline(_SETTLE_SECONDS)
        elif self._decoder.is_inside_frame:
            self._set_deadline(max(0.001, self._frame_deadline - self._loop.time()))
        else:
            self._set_deadline(self._limits.idle_seconds)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if not self._deadline:
            return
        if self._deadline > self._loop.time():
            self._arm()
        elif self._is_write_paused or self._transport.is_closing():
            log.warning("answers not taken, connection aborted", extra={"peer": self._peer.host})
            self._transport.abort()
        elif self._decoder.awaits_final_cr:
            self._take(self._decoder.pause())
            self._proceed()
        else:
            self._is_ending = True
            self._take(self._decoder.end(MalformedRequest("the frame did not end in time")))
            self._proceed()


def _peer(transport: asyncio.Transport) -> Peer:
    address: tuple[Any, ...] = transport.get_extra_info("peername") or ("unknown", 0)
    tls_object = transport.get_extra_info("ssl_object")
    certificate = tls_object.getpeercert(binary_form=True) if tls_object is not None else None
    return Peer(str(address[0]), int(address[1]), certificate)

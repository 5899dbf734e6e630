"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may take, and with its certificate.

A head has a size and a time in which it must come; a body must keep coming. Who exceeds a bound is refused and cut off,
before a thread or the application hears of it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ihe.http import Piece
from region.streaming import LENT_SOCKET

CONNECTIONS: Final = 2000
"""Most connections open together; a request on one more is answered 503."""
HEAD_BYTES: Final = 64 * 1024
"""Longest address and header fields together."""
STALL_SECONDS: Final = 30.0
"""How long the head of a request may take, and how long a body may stand still."""
_PARTING_SECONDS: Final = 1.0
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    stall_seconds = STALL_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a first request."""
        self._watch: asyncio.TimerHandle | None = None
        self._is_in_head = True
        self._head_bytes = 0
        self._is_refused = False
        self._certificates = _certificates(transport)
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, HeadWaits(transport, self.loop))
        self._expect_within_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client says that it sends no more, and is answered no further: whoever answers hears of it now, and not
        when what the transport holds back has left, which a client that does not read prevents.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        super().eof_received()

    def shutdown(self) -> None:
        """The service stops: an idle client need not agree (over TLS it would be waited for)."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(_PARTING_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take what came; of a head that is too long, no more."""
        if self._is_refused or self.transport.is_closing():
            return
        super().data_received(data)
        if self._is_in_head:
            # A field that does not end is not told before its end: what has come is what counts.
            self._head_bytes += len(data)
            self._is_refused |= self._head_bytes > HEAD_BYTES
        if self._is_refused and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins: its head must come in time."""
        super().on_message_begin()
        extensions: dict[str, Any] = {}
        if self._certificates:
            extensions["tls"] = {"client_cert_chain": self._certificates}
        if self.transport.get_extra_info("ssl_object") is None:
            extensions[LENT_SOCKET] = ClientSocket(cast(HeadWaits, self.transport), self.flow)
        if extensions:
            self.scope["extensions"] = extensions
        self._is_in_head = True
        self._head_bytes = 0
        self._expect_within_time()

    def on_headers_complete(self) -> None:
        """The head is whole; the body must keep coming."""
        self._is_in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            self._is_refused = True
        else:
            self._expect_within_time()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._is_refused:
            self._expect_within_time()
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: now it is our turn."""
        self._expect_nothing()
        if not self._is_refused:
            super().on_message_complete()

    def _expect_within_time(self) -> None:
        self._expect_nothing()
        self._watch = self.loop.call_later(self.stall_seconds, self._cut_off)

    def _expect_nothing(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _cut_off(self) -> None:
        if self.flow.read_paused:  # it is we who do not read on
            self._expect_within_time()
        else:
            self.transport.close()


class HeadWaits:
    """A transport that sends the head of an answer with what follows at once, so that it leaves in one piece.

    All else is the transport's own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send it, or let it wait for the end of what the loop does now."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1."):
            self._head = data
            self._loop.call_soon(self.send_head)
            return
        self._transport.write(data)

    def send_head(self) -> None:
        """Send what waits."""
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        """Send what waits, then close."""
        self.send_head()
        self._transport.close()


class ClientSocket:
    """A client's socket without TLS, lent for one body (see :class:`region.streaming.LentSocket`)."""

    def __init__(self, transport: HeadWaits, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        self._socket: socket.socket | None = None

    def take(self) -> None:
        """Take it over: from now on the transport tells as soon as it holds anything back.

        The descriptor is one of its own: the transport may close its own at any moment, which then becomes another
        connection's.
        """
        self._transport.set_write_buffer_limits(high=0)
        self._socket = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))

    async def drained(self) -> None:
        """Wait until all that the transport held back has left."""
        self._transport.send_head()
        await self._flow.drain()

    def send_now(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Send what the client takes at once, and return the rest; called in a thread.

        Raises:
            OSError: the client is gone.
        """
        assert self._socket is not None, "the socket is taken first"
        try:
            sent = self._socket.sendmsg(pieces, (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        return _behind(pieces, sent)

    async def send_rest(self, pieces: Sequence[Piece]) -> None:
        """Send the rest, and wait until all has left."""
        self._transport.writelines(pieces)
        await self._flow.drain()

    def give_back(self) -> None:
        """The transport writes again."""
        if not self._transport.is_closing():
            self._transport.set_write_buffer_limits()

    def close(self) -> None:
        """Let go of the descriptor; called when no thread uses it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _behind(pieces: Sequence[Piece], sent: int) -> Sequence[Piece]:
    """What stands behind the first bytes, so many of which were sent; nothing of it is copied."""
    for at, piece in enumerate(pieces):
        if sent < len(piece):
            return (memoryview(piece)[sent:], *pieces[at + 1 :])
        sent -= len(piece)
    return ()


def _certificates(transport: asyncio.BaseTransport) -> tuple[str, ...]:
    """The client's certificate as the TLS extension of ASGI gives it, or nothing."""
    connection: Any = transport.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if connection is not None else None
    return (ssl.DER_cert_to_PEM_cert(certificate),) if certificate else ()

"""Bodies that are sent while they come, each piece read in a thread.

In the clear, and where the server lends its socket (:class:`region.http_protocol.ClientSocket`), that thread itself
writes what it has read, as long as the client takes it at once: handing each piece to the event loop and back cost more
than moving its bytes. What the client does not take at once, and everything over TLS, the event loop writes; so a slow
client holds no thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ihe.http import HttpReply, Piece

LENT_SOCKET = "traitdunion.socket"
"""The extension of ASGI by which a server lends the client's socket."""

_BATCHES_IN_A_TURN = 32


class LentSocket(Protocol):
    """The client's socket, lent for one body sent in chunks."""

    def take(self) -> None:
        """Take it over, before the head is written."""

    async def drained(self) -> None:
        """Wait until all that was written before has left."""

    def send_now(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Send what the client takes at once, and return the rest; called in a thread.

        Raises:
            OSError: the client is gone.
        """

    async def send_rest(self, pieces: Sequence[Piece]) -> None:
        """Send the rest, and wait until all has left."""

    def give_back(self) -> None:
        """The server writes again."""

    def close(self) -> None:
        """Done; called when no thread uses it."""


class StreamedReply(StreamingResponse):
    """A reply whose body is read piece by piece, and closed when it is sent or the client has left."""

    def __init__(self, reply: HttpReply, headers: Mapping[str, str]) -> None:
        self._reply = reply
        self._batches = reply.batches()
        self._reading = threading.Lock()
        self._is_over = False
        self._lent: LentSocket | None = None
        super().__init__(self._read(), reply.status, headers, reply.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if scope["method"] != "HEAD" and "content-length" not in self.headers:
            self._lent = scope.get("extensions", {}).get(LENT_SOCKET)
        try:
            await super().__call__(scope, receive, send)
        finally:
            # A client may leave before the end, or with the last byte: what the body holds open is closed all the same.
            self._is_over = True
            asyncio.get_running_loop().run_in_executor(None, self._let_go)

    async def stream_response(self, send: Send) -> None:
        """Send the head, the body and its end."""
        if self._lent is None:
            await super().stream_response(send)
            return
        self._lent.take()
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._lent.drained()
            while (rest := await asyncio.to_thread(self._write, self._lent)) is not None:
                if rest:
                    await self._lent.send_rest(rest)
        finally:
            self._lent.give_back()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(self) -> AsyncIterator[Piece]:
        while (batch := await asyncio.to_thread(self._next)) is not None:
            for piece in batch:
                yield piece

    def _next(self) -> Sequence[Piece] | None:
        with self._reading:
            return None if self._is_over else next(self._batches, None)

    def _write(self, lent: LentSocket) -> Sequence[Piece] | None:
        """Read and write as long as the client takes it at once, but so long that others get their turn.

        Returns:
            what it did not take; ``None`` at the end.
        """
        for _ in range(_BATCHES_IN_A_TURN):
            if (batch := self._next()) is None:
                return None
            if not (size := sum(map(len, batch))):
                continue  # an empty chunk would end the body
            with self._reading:
                rest = () if self._is_over else lent.send_now((b"%x\r\n" % size, *batch, b"\r\n"))
            if rest:
                return rest
        return ()

    def _let_go(self) -> None:
        with self._reading:
            if self._lent is not None:
                self._lent.close()
            close = getattr(self._reply.body, "close", None)
            if close is not None:
                close()

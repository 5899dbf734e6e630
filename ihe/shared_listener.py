"""One listening socket of several processes, which share its connections out evenly.

The system's own way (``SO_REUSEPORT``) goes by a hash of the addresses: of sixteen connections, eleven or more fall to
one of two processes in a fifth of all cases, and a sender that keeps its connection for days stays where it fell. Here
all accept from one socket, and a process that has more connections than another stands back for a moment before it
takes one more. A process that is busy or gone is not waited for beyond that moment, and loses no connection that it
had not accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import multiprocessing
import socket
from collections.abc import Callable, Coroutine, MutableSequence
from dataclasses import dataclass
from typing import Any, Final

log = logging.getLogger(__name__)

_STAND_BACK_SECONDS: Final = 0.02
_NOTHING_LEFT_SECONDS: Final = 1.0
"""How long nothing is accepted when the system has no room for one more connection."""
_COUNT_SECONDS: Final = 0.1
"""How old the count of connections may be that ended meanwhile."""


@dataclass(frozen=True, slots=True)
class SharedListener:
    """A listening socket as one of the processes has it; it can be handed to a process that is being started.

    Attributes:
        bound: the socket, listening.
        counts: connections of each process, in memory that all share.
        number: which of the processes this is.
    """

    bound: socket.socket
    counts: MutableSequence[int]
    number: int = 0

    @classmethod
    def of(cls, bound: socket.socket, processes: int) -> SharedListener:
        """Begin to listen on a bound socket."""
        bound.listen(1024)
        return cls(bound, multiprocessing.get_context("spawn").RawArray("i", processes))

    def close(self) -> None:
        """Listen no more, in none of the processes."""
        with contextlib.suppress(OSError):
            self.bound.shutdown(socket.SHUT_RDWR)
        self.bound.close()


class Accepting:
    """Accepts connections of a shared listener in the running event loop, until it is closed.

    Args:
        listener: the process's view of it.
        count: how many connections of it this process has.
        serve: makes an accepted connection one of those; a failure concerns it alone.
    """

    def __init__(
        self,
        listener: SharedListener,
        count: Callable[[], int],
        serve: Callable[[socket.socket], Coroutine[Any, Any, object]],
    ) -> None:
        self._listener = listener
        self._count = count
        self._serve = serve
        self._beginning: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._counting = self._loop.call_soon(self._keep_count)
        listener.bound.setblocking(False)
        self._loop.add_reader(listener.bound, self._knocked)

    def close(self) -> None:
        """Accept nothing more. What was accepted is served; the others go on listening."""
        self._counting.cancel()
        if self._pause is not None:
            self._pause.cancel()
        if self._listener.bound.fileno() >= 0:
            self._loop.remove_reader(self._listener.bound)
            self._listener.bound.close()

    def _knocked(self) -> None:
        self._note()
        counts = self._listener.counts
        if counts[self._listener.number] > min(counts):
            self._stand_back(_STAND_BACK_SECONDS)
        else:
            self._accept()

    def _stand_back(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.bound)
        self._pause = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._listener.bound, self._knocked)
        self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.bound.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another was faster, or the client has left
            return
        except OSError as error:
            if error.errno == errno.EINVAL:  # it listens no more
                self.close()
            else:
                log.warning(
                    "no connection can be accepted", extra={"error_type": errno.errorcode.get(error.errno or 0)}
                )
                self._stand_back(_NOTHING_LEFT_SECONDS)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._begin(connection))
        self._beginning.add(task)
        task.add_done_callback(self._begun)
        self._note()

    def _begun(self, task: asyncio.Task[None]) -> None:
        """Its connection counts by itself now; noted at once, for whoever counted meanwhile counted it twice."""
        self._beginning.discard(task)
        self._note()

    async def _begin(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it has gone
            await self._serve(connection)

    def _note(self) -> None:
        self._listener.counts[self._listener.number] = self._count() + len(self._beginning)

    def _keep_count(self) -> None:
        self._note()
        self._counting = self._loop.call_later(_COUNT_SECONDS, self._keep_count)

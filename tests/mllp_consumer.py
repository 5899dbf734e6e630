"""A hospital system that listens for HL7 v2 messages, for tests over real sockets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from ihe.hl7v2.acknowledgement import acknowledge
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.listener import MllpListener


class Consumer:
    """A hospital system that listens for notifications and keeps them."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self.code = "AA"
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener: MllpListener | None = None

    def __enter__(self) -> Consumer:
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *_error: object) -> None:
        self.hang_up()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def listen(self) -> None:
        """Listen, the second time on the same port."""
        self._listener = MllpListener(self._answer, "127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(self._listener.start(), self._loop).result(10)
        self.port = self._listener.port

    def hang_up(self) -> None:
        """Be dead for a while."""
        if self._listener is not None:
            asyncio.run_coroutine_threadsafe(self._listener.stop(), self._loop).result(20)
            self._listener = None

    def _answer(self, frame: bytes, _peer: object) -> list[bytes]:
        message = Message.parse(frame)
        if self.code == "AA":
            self.received.append(message)
        return [bytes(acknowledge(message, self.code))]

    def told(self) -> list[frozenset[str]]:
        """The identifiers of each notification, in order of arrival."""
        return [identifiers(message) for message in self.received]


def identifiers(message: Message) -> frozenset[str]:
    pid = message.segment("PID")
    assert pid is not None
    return frozenset(repetition.text(1) for repetition in pid.field(3).repetitions)


def local(ids: frozenset[str]) -> frozenset[str]:
    return frozenset(i for i in ids if not i.startswith("TDU"))


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)

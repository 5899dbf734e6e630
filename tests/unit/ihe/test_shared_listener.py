"""One socket, several processes (here: event loops in threads): even shares, nobody waited for, ended for all."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import uvloop

from ihe import shared_listener
from ihe.shared_listener import Accepting, SharedListener


class Holder:
    """Keeps what it accepts until the client leaves."""

    def __init__(self, listener, new_event_loop=uvloop.new_event_loop):
        self.held = set()
        self.refuses = False
        self.looked = 0
        self._listener = listener
        self.loop = new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def count(self):
        self.looked += 1
        return len(self.held)

    async def serve(self, connection):
        if self.refuses:
            connection.close()
            raise ConnectionResetError
        reader, writer = await asyncio.open_connection(sock=connection)
        self.held.add(writer)
        reading = asyncio.ensure_future(reader.read())
        reading.add_done_callback(lambda _: (self.held.discard(writer), writer.close()))

    @contextmanager
    def accepting(self):
        self._thread.start()

        async def begin():
            return Accepting(self._listener, self.count, self.serve)

        accepting = asyncio.run_coroutine_threadsafe(begin(), self.loop).result(10)
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(accepting.close)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
            self.loop.run_until_complete(asyncio.sleep(0))
            for writer in list(self.held):
                writer.transport.abort()
            self.loop.run_until_complete(asyncio.sleep(0.01))
            self.loop.close()


@pytest.fixture
def listener():
    shared = SharedListener.of(socket.create_server(("127.0.0.1", 0)), 2)
    yield shared
    shared.close()


def as_process(listener, number):
    return replace(listener, bound=listener.bound.dup(), number=number)


def connected(listener, opened):
    return opened.enter_context(socket.create_connection(listener.bound.getsockname(), timeout=10))


def until(is_so):
    for _ in range(500):
        if is_so():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("new_event_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_connections_are_shared_out_evenly_also_after_some_have_left(listener, new_event_loop, monkeypatch):
    monkeypatch.setattr(shared_listener, "_STAND_BACK_SECONDS", 2.0)  # however slow the machine is
    first, second = (Holder(as_process(listener, number), new_event_loop) for number in (0, 1))
    with first.accepting(), second.accepting(), ExitStack() as opened:
        for number in range(1, 9):
            connected(listener, opened)
            assert until(lambda number=number: len(first.held) + len(second.held) == number)
        assert {len(first.held), len(second.held)} == {4}
        first.loop.call_soon_threadsafe(lambda: [writer.close() for writer in list(first.held)])
        assert until(lambda: not first.held and listener.counts[0] == 0)
        for number in range(5, 9):
            connected(listener, opened)
            assert until(lambda number=number: len(first.held) + len(second.held) == number)
        assert (len(first.held), len(second.held)) == (4, 4)


def test_a_process_that_does_not_accept_is_not_waited_for(listener):
    with Holder(as_process(listener, 0)).accepting() as alone, ExitStack() as opened:
        began = time.monotonic()
        for _ in range(10):
            connected(listener, opened)
        assert until(lambda: len(alone.held) == 10)
        assert time.monotonic() - began < 5


def test_a_connection_that_fails_at_its_beginning_concerns_no_other(listener):
    with Holder(as_process(listener, 0)).accepting() as holder, ExitStack() as opened:
        holder.refuses = True
        assert connected(listener, opened).recv(1) == b""
        holder.refuses = False
        connected(listener, opened)
        assert until(lambda: len(holder.held) == 1 and listener.counts[0] == 1)


def test_one_process_ends_and_the_others_go_on(listener):
    with Holder(as_process(listener, 0)).accepting() as stays, ExitStack() as opened:
        with Holder(as_process(listener, 1)).accepting():
            pass
        connected(listener, opened)
        assert until(lambda: len(stays.held) == 1)


def test_what_is_closed_is_closed_for_all_and_is_not_asked_again_and_again(listener):
    address = listener.bound.getsockname()
    with Holder(as_process(listener, 0)).accepting() as holder, ExitStack() as opened:
        connected(listener, opened)
        assert until(lambda: len(holder.held) == 1)
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=10)
        time.sleep(0.3)
        looked = holder.looked
        time.sleep(0.5)
        assert holder.looked - looked < 10
        assert len(holder.held) == 1

"""The head of an answer leaves with what follows at once, never later than that, and never after it."""

from __future__ import annotations

import asyncio

from region.http_protocol import HeadWaits

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Transport:
    def __init__(self):
        self.sent = []
        self.is_closed = False

    def write(self, data):
        self.sent.append(data)

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.is_closed = True

    def get_extra_info(self, name):
        return name


def run(*steps):
    """What was sent after steps, each in a turn of the loop of its own."""

    async def go():
        transport = Transport()
        waits = HeadWaits(transport, asyncio.get_running_loop())
        for step in steps:
            step(waits)
            await asyncio.sleep(0)
        return transport

    return asyncio.run(go())


def both(waits):
    waits.write(HEAD)
    waits.write(b"body")


def test_head_and_body_leave_in_one_piece_and_what_follows_by_itself():
    assert run(both, lambda waits: waits.write(b"more"), both).sent == [HEAD + b"body", b"more", HEAD + b"body"]


def test_a_head_that_nothing_follows_leaves_when_the_loop_goes_on():
    assert run(lambda waits: waits.write(HEAD), lambda waits: waits.write(b"body")).sent == [HEAD, b"body"]


def test_it_leaves_before_the_connection_is_closed_and_when_it_is_asked_for():
    closed = run(lambda waits: (waits.write(HEAD), waits.close()))
    assert (closed.sent, closed.is_closed) == ([HEAD], True)
    assert run(lambda waits: (waits.write(HEAD), waits.send_head(), waits.write(b"x"))).sent == [HEAD, b"x"]


def test_to_a_client_that_is_gone_nothing_is_sent():
    assert run(lambda waits: (waits.write(HEAD), waits._transport.close())).sent == []


def test_all_else_is_the_transports_own():
    assert run(lambda waits: waits.write(waits.get_extra_info("peername").encode())).sent == [b"peername"]

"""Bounds of the HTTP listener: what a client may take of memory and time before it is heard."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from region.http_protocol import HEAD_BYTES, BoundedHttpProtocol
from region.server import Listening, bind, server_of
from tests.ports import free_port


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def dial(monkeypatch) -> Iterator:
    monkeypatch.setattr(BoundedHttpProtocol, "stall_seconds", 0.5)
    listening = Listening("127.0.0.1", free_port(), free_port())
    ready = threading.Event()
    server = server_of(application, listening, ready.set)
    thread = threading.Thread(target=server.run, args=([bind(listening)],), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield lambda: socket.create_connection(("127.0.0.1", listening.http_port), timeout=20)
    server.should_exit = True
    thread.join(20)


def read_all(connection: socket.socket) -> bytes:
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def test_a_request_is_served(dial):
    with dial() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
        assert read_all(connection).endswith(b"\r\n\r\n3")


@pytest.mark.parametrize("fields", [1, 100])
def test_a_head_that_is_too_long_is_refused(dial, fields):
    value = b"x" * (HEAD_BYTES // fields + 10)
    with dial() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A: %s\r\n" % value for _ in range(fields)))
        connection.sendall(b"\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


def test_a_field_that_does_not_end_is_not_gathered(dial):
    with dial() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nA: ")
        with pytest.raises(OSError):
            connection.sendall(b"x" * 65_536_000)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nA: "])
def test_a_head_that_does_not_end_in_time_is_cut_off(dial, sent):
    with dial() as connection:
        connection.sendall(sent)
        assert read_all(connection) == b""


def test_a_body_that_stands_still_is_cut_off(dial):
    with dial() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc")
        assert b" 200 " not in read_all(connection)

"""Bodies sent while they come: the same bytes by whichever way, as fast as the client reads, closed when it leaves."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ihe.http import HttpReply, Piece
from region.server import Listening, bind, server_of
from region.streaming import LENT_SOCKET, StreamedReply
from tests.ports import free_port
from tests.vouchers import key_and_certificate

PIECES = [b"a", b"", b"bc" * 70_000, bytes(range(256)) * 4096, b"\r\n0\r\n\r\n", b"end"]
MOST = 400_000_000
"""Bytes of a body that nobody reads to its end."""


class Body:
    """Pieces, until one is an error."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.given = 0
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.given += len(piece)
            yield piece

    def close(self) -> None:
        self.is_closed = True


class BatchedBody(Body):
    """Pieces that come several at once."""

    def batches(self) -> Iterator[Sequence[Piece]]:
        yield from ((b"ab", b"", memoryview(b"cd")), (), (b"",), (b"e",))


class Server:
    """Serves bodies by path; ``/`` has the pieces above."""

    def __init__(self, way: str, folder: Path) -> None:
        self.bodies: list[Body] = []
        self.makers: dict[str, Callable[[], Iterator[bytes]]] = {"/": lambda: iter(PIECES)}
        self.way = way
        self.ready = threading.Event()
        self.listening = Listening("127.0.0.1", free_port(), free_port())
        context = None
        if way == "over TLS":
            key, certificate = key_and_certificate("server")
            file = folder / "server.pem"
            secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            file.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await self.serve(scope, receive, send)

        self.listening = replace(self.listening, http_tls=context)
        self.server = server_of(application, self.listening, self.ready.set)  # type: ignore[arg-type]
        self.is_lent: set[bool] = set()

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if self.way == "by the event loop":
            scope.get("extensions", {}).pop(LENT_SOCKET)
        self.is_lent.add(LENT_SOCKET in scope.get("extensions", {}))
        kind = BatchedBody if scope["path"] == "/batched" else Body
        body = kind(self.makers[scope["path"]]())
        self.bodies.append(body)
        await StreamedReply(HttpReply(200, "application/dicom", body), {"X-Way": self.way})(scope, receive, send)

    def dial(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.listening.http_port), timeout=20)
        if self.way != "over TLS":
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection)

    def ask(self, path: str) -> socket.socket:
        connection = self.dial()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return connection


@pytest.fixture(params=["by the socket", "by the event loop", "over TLS"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    found = Server(request.param, tmp_path)
    thread = threading.Thread(target=found.server.run, args=([bind(found.listening)],), daemon=True)
    thread.start()
    assert found.ready.wait(20)
    yield found
    assert found.is_lent <= {request.param == "by the socket"}
    found.server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _many() -> Iterator[bytes]:
    piece = bytes(100_000)
    yield from (piece for _ in range(MOST // len(piece)))


def test_the_same_bytes_come_by_whichever_way_and_the_connection_stays(served: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", served.listening.http_port)
    client.sock = served.dial()
    for _ in range(3):
        client.request("GET", "/")
        answer = client.getresponse()
        assert (answer.status, answer.headers["X-Way"]) == (200, served.way)
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.read() == b"".join(PIECES)
    client.close()
    _wait(lambda: all(body.is_closed for body in served.bodies))
    assert len(served.bodies) == 3


def test_pieces_that_come_together_are_sent_together(served: Server) -> None:
    served.makers["/batched"] = lambda: iter(())
    with served.ask("/batched") as connection:
        found = b""
        while not found.endswith(b"0\r\n\r\n"):
            found += connection.recv(65536)
    sent = found.partition(b"\r\n\r\n")[2]
    together = b"4\r\nabcd\r\n" if served.way == "by the socket" else b"2\r\nab\r\n2\r\ncd\r\n"
    assert sent == together + b"1\r\ne\r\n0\r\n\r\n"


def test_a_reader_with_pauses_gets_every_byte_in_order(served: Server) -> None:
    served.makers["/numbered"] = lambda: (b"%08d" % number * 20_000 for number in range(100))
    client = http.client.HTTPConnection("127.0.0.1", served.listening.http_port)
    client.sock = served.dial()
    client.request("GET", "/numbered")
    answer = client.getresponse()
    for number in range(100):
        assert answer.read(160_000) == b"%08d" % number * 20_000
        if number % 10 == 0:
            time.sleep(0.1)
    assert answer.read() == b""
    client.close()


def test_slow_clients_hold_the_source_back_and_no_thread(served: Server) -> None:
    served.makers["/much"] = _many
    with ThreadPoolExecutor(1) as pool:
        slow = [served.ask("/much") for _ in range(40)]  # more than there are threads
        try:
            _wait(lambda: len(served.bodies) == 40)
            held = _given_at_rest(served)
            assert pool.submit(_whole, served).result(10).endswith(b"3\r\nend\r\n0\r\n\r\n")
            assert _given_at_rest(served)[:40] == held
            assert max(held) < 30_000_000
        finally:
            for connection in slow:
                connection.close()
    _wait(lambda: all(body.is_closed for body in served.bodies))


def _given_at_rest(served: Server) -> list[int]:
    """What was read of each body, when nothing more is read."""
    seen: list[list[int]] = []

    def rests() -> bool:
        time.sleep(0.3)
        seen.append([body.given for body in served.bodies])
        return len(seen) > 1 and seen[-1] == seen[-2]

    _wait(rests)
    return seen[-1]


def _whole(served: Server) -> bytes:
    with served.ask("/") as connection:
        found = b""
        while not found.endswith(b"end\r\n0\r\n\r\n"):
            piece = connection.recv(1 << 20)
            assert piece
            found += piece
        return found


@pytest.mark.parametrize("how", ["closes", "says it sends no more"])
def test_who_leaves_lets_the_source_go(served: Server, how: str) -> None:
    served.makers["/much"] = _many
    connection = served.ask("/much")
    assert connection.recv(100)
    if how == "closes":
        connection.close()
    else:
        connection.shutdown(socket.SHUT_WR)
    _wait(lambda: served.bodies[0].is_closed)
    assert served.bodies[0].given < 60_000_000
    connection.close()


def test_who_leaves_while_the_source_is_slow_lets_it_go(served: Server) -> None:
    held = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"first"
        held.wait(10)
        yield from _many()

    served.makers["/slow"] = slowly
    connection = served.ask("/slow")
    assert connection.recv(100)
    connection.close()
    time.sleep(0.2)
    held.set()
    _wait(lambda: served.bodies[0].is_closed)
    assert served.bodies[0].given < 1_000_000


def test_a_body_that_breaks_off_is_not_ended_as_if_it_were_whole(served: Server) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"begun"
        raise RuntimeError("the source broke off")

    served.makers["/broken"] = breaking
    with served.ask("/broken") as connection:
        found = b""
        while piece := connection.recv(65536):
            found += piece
    assert b"begun" in found
    assert not found.endswith(b"0\r\n\r\n")
    _wait(lambda: served.bodies[0].is_closed)

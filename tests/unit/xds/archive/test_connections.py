"""Answers of an archive are read in large pieces where they come fast, and at once where they come slowly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from xds.archive import connections
from xds.archive.connections import Answer, Connections

MOST = 1024 * 1024
BODY = bytes(range(256)) * 12_000
HEADS = {
    "until the connection ends": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "of a length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY),
}
Serve = Callable[[socket.socket], None]


class Archive:
    """Answers one request after the other, each by the next of some functions."""

    def __init__(self, *answers: Serve) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/root"
        self.connected = 0
        self._answers = list(answers)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._answers:
            connection, _ = self._listener.accept()
            self.connected += 1
            with connection:
                while self._answers and connection.recv(65536):
                    self._answers.pop(0)(connection)

    def stop(self) -> None:
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def archive_with() -> Iterator[Callable[..., Archive]]:
    made: list[Archive] = []

    def make(*answers: Serve) -> Archive:
        made.append(Archive(*answers))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def in_pieces(head: bytes, size: int = 16_000) -> Serve:
    def serve(client: socket.socket) -> None:
        client.sendall(head)
        for at in range(0, len(BODY), size):
            client.sendall(BODY[at : at + size])
            time.sleep(0.0002)

    return serve


def asked(archive: Archive) -> tuple[Connections, Answer]:
    found = Connections(archive.url, 5, 10, keep=2)
    return found, found.get("/studies", {})


def pieces_of(answer: Answer) -> list[bytes]:
    found = []
    while piece := answer.read_some(MOST):
        found.append(piece)
    return found


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_what_comes_fast_is_read_a_megabyte_at_once(
    archive_with: Callable[..., Archive], head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_GATHER_SECONDS", 10)
    found, answer = asked(archive_with(in_pieces(head)))
    pieces = pieces_of(answer)
    assert b"".join(pieces) == BODY
    assert len(pieces) <= 12, "of 192 that were sent"
    found.give_back(answer)
    found.close()


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_what_comes_slowly_is_not_waited_for(archive_with: Callable[..., Archive], head: bytes) -> None:
    has_come = threading.Semaphore(0)

    def serve(client: socket.socket) -> None:
        client.sendall(head)
        for at in range(5):
            client.sendall(b"%d" % at)
            assert has_come.acquire(timeout=10)
        client.sendall(BODY[5:])

    found, answer = asked(archive_with(serve))
    for at in range(5):
        assert answer.read_some(MOST) == b"%d" % at
        has_come.release()
    assert b"".join(pieces_of(answer)) == BODY[5:]
    found.give_back(answer)
    found.close()


def test_a_connection_on_which_much_was_gathered_is_used_again(archive_with: Callable[..., Archive]) -> None:
    small = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    archive = archive_with(in_pieces(HEADS["of a length"]), lambda client: client.sendall(small))
    found, answer = asked(archive)
    gathered = [answer.read_some(MOST) for _ in range(3)]
    assert b"".join(gathered) + answer.read() == BODY
    found.give_back(answer)
    started = time.monotonic()
    again = found.get("/studies", {})
    assert again.read() == b"ok"
    assert time.monotonic() - started < 5
    assert archive.connected == 1
    found.give_back(again)
    found.close()


def test_chunks_come_whole(archive_with: Callable[..., Archive]) -> None:
    def serve(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(BODY), 50_000):
            client.sendall(b"%x\r\n%b\r\n" % (len(BODY[at : at + 50_000]), BODY[at : at + 50_000]))
        client.sendall(b"0\r\n\r\n")

    found, answer = asked(archive_with(serve))
    assert b"".join(pieces_of(answer)) == BODY
    assert answer.is_read
    found.give_back(answer)
    found.close()


def test_an_answer_that_stands_still_is_given_up(archive_with: Callable[..., Archive]) -> None:
    done = threading.Event()

    def serve(client: socket.socket) -> None:
        client.sendall(HEADS["of a length"] + b"begun")
        done.wait(10)

    archive = archive_with(serve)
    found = Connections(archive.url, 5, 0.2, keep=2)
    answer = found.get("/studies", {})
    assert answer.read_some(MOST) == b"begun"
    with pytest.raises(TimeoutError):
        answer.read_some(MOST)
    done.set()
    found.give_back(answer)
    found.close()


def test_a_connection_is_kept_after_an_answer_of_a_length_was_read_in_pieces(archive_with) -> None:
    serve = in_pieces(HEADS["of a length"])
    archive = archive_with(serve, serve)
    kept = Connections(archive.url, 5, 10, keep=2)
    for _ in range(2):
        answer = kept.get("/studies", {})
        assert b"".join(pieces_of(answer)) == BODY
        assert answer.is_read
        kept.give_back(answer)
    assert archive.connected == 1
    kept.close()

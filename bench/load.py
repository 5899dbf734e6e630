"""Load on a running service: many connections, one request at a time on each, latencies of every one.

Clients are plain blocking sockets in threads, as cheap as a client can be, so that what is measured is the server.
"""

from __future__ import annotations

import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load saw.

    Attributes:
        per_second: requests answered a second, all connections together.
        p50_ms, p95_ms, p99_ms: latency as the client saw it.
        failures: answers that were not what was expected.
    """

    requests: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failures: int


class Connection(Protocol):
    """One client connection."""

    def ask(self, request: bytes) -> bytes:
        """Send one request, wait for its answer."""

    def close(self) -> None:
        """Hang up."""


def _connected(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection if tls is None else tls.wrap_socket(connection, server_hostname=host)


class HttpConnection:
    """A keep-alive HTTP/1.1 connection; requests are given whole."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._socket = _connected(host, port, tls)
        self._buffer = b""

    def ask(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        head = self._buffer[:end].lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        total = end + 4 + length
        while len(self._buffer) < total:
            self._fill()
        answer, self._buffer = self._buffer[:total], self._buffer[total:]
        return answer

    def _fill(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError("the server hung up")
        self._buffer += received

    def close(self) -> None:
        self._socket.close()


class MllpConnection:
    """An MLLP connection; requests are messages without framing."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._socket = _connected(host, port, tls)

    def ask(self, request: bytes) -> bytes:
        self._socket.sendall(b"\x0b" + request + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError("the server hung up")
            answer += received
        return answer[1:-2]

    def close(self) -> None:
        self._socket.close()


def measure(
    connect: Callable[[], Connection],
    requests: Sequence[bytes],
    expect: bytes,
    *,
    connections: int,
    seconds: float,
) -> Measured:
    """Ask for some seconds; each connection goes through the requests from a place of its own, round and round.

    Args:
        expect: bytes that every good answer holds.
    """
    stop = threading.Event()
    latencies: list[list[float]] = [[] for _ in range(connections)]
    failures = [0] * connections
    opened = [connect() for _ in range(connections)]
    ready = threading.Barrier(connections + 1)

    def run(number: int) -> None:
        connection = opened[number]
        position = number * len(requests) // connections
        ready.wait()
        while not stop.is_set():
            started = time.perf_counter()
            answer = connection.ask(requests[position % len(requests)])
            latencies[number].append(time.perf_counter() - started)
            failures[number] += expect not in answer
            position += 1
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return summarise([value for each in latencies for value in each], time.perf_counter() - started, sum(failures))


def at_rate(
    connect: Callable[[], Connection],
    requests: Sequence[bytes],
    expect: bytes,
    *,
    connections: int,
    per_second: float,
    seconds: float,
) -> Measured:
    """Ask so many times a second, whether answers come or not (open loop), spread over the connections in turn.

    A latency counts from the moment at which the request was due, so that waiting for a slow answer before it counts
    too. What a server takes at a rate that it can bear is seen here; a closed loop (:func:`measure`) sees how long the
    queue is that it makes itself.
    """
    count = int(per_second * seconds)
    latencies: list[list[float]] = [[] for _ in range(connections)]
    failures = [0] * connections
    opened = [connect() for _ in range(connections)]
    began = time.perf_counter() + 0.1

    def run(number: int) -> None:
        for position in range(number, count, connections):
            due = began + position / per_second
            time.sleep(max(0.0, due - time.perf_counter()))
            answer = opened[number].ask(requests[position % len(requests)])
            latencies[number].append(time.perf_counter() - due)
            failures[number] += expect not in answer
        opened[number].close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return summarise([value for each in latencies for value in each], time.perf_counter() - began, sum(failures))


def once(connect: Callable[[], Connection], shares: Sequence[Sequence[bytes]], expect: bytes) -> Measured:
    """Send each request once (a feed), each share in its order over a connection of its own."""
    latencies: list[list[float]] = [[] for _ in shares]
    failures = [0] * len(shares)

    def run(number: int) -> None:
        connection = connect()
        for request in shares[number]:
            started = time.perf_counter()
            answer = connection.ask(request)
            latencies[number].append(time.perf_counter() - started)
            failures[number] += expect not in answer
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(shares))]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return summarise([value for each in latencies for value in each], time.perf_counter() - started, sum(failures))


def summarise(latencies: list[float], seconds: float, failures: int) -> Measured:
    """Rates and percentiles of latencies in seconds."""
    ordered = sorted(latencies) or [0.0]

    def percentile(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)

    return Measured(
        requests=len(latencies),
        per_second=round(len(latencies) / seconds, 1),
        p50_ms=percentile(0.5),
        p95_ms=percentile(0.95),
        p99_ms=percentile(0.99),
        failures=failures,
    )


def median(turns: Sequence[Measured]) -> Measured:
    """What several turns of the same load saw: the median of each figure, and all requests and failures together."""
    return Measured(
        requests=sum(each.requests for each in turns),
        failures=sum(each.failures for each in turns),
        per_second=round(statistics.median(each.per_second for each in turns), 1),
        p50_ms=round(statistics.median(each.p50_ms for each in turns), 2),
        p95_ms=round(statistics.median(each.p95_ms for each in turns), 2),
        p99_ms=round(statistics.median(each.p99_ms for each in turns), 2),
    )

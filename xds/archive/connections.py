"""Kept connections to one archive, read as fast as a socket gives.

What an archive sends in pieces is read a megabyte at once where it comes that fast: being woken for each piece, and
handing it on, cost more than moving its bytes. What comes slowly waits some milliseconds at most.

Of the standard library and not of httpx: reading pictures through the latter took ten times the processor (175 against
1,660 MB/s on one core), which decided how fast a series could pass.
"""

from __future__ import annotations

import http.client
import select
import socket
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

FAULTS: Final = (OSError, http.client.HTTPException, ValueError)
"""What asking may raise."""

_GATHER_SECONDS = 0.005
"""How long what came may wait for what comes; a megabyte takes that long at 200 MB/s."""


class Answer:
    """An answer that has begun.

    Args:
        gathered_from: the socket that it comes from, where it can be let gather; ``None`` over TLS.

    Attributes:
        status: of HTTP.
        headers: by lower-case name.
    """

    def __init__(
        self,
        response: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        gathered_from: socket.socket | None = None,
    ) -> None:
        self.status = response.status
        found = {name.lower(): value for name, value in response.getheaders()}
        self.headers: Mapping[str, str] = MappingProxyType(found)
        self._response = response
        self.connection = connection
        # Chunks are read one by one: waiting before each would take longer than it saves.
        self._gathered_from = None if response.chunked else gathered_from
        self._has_begun = False

    @property
    def is_read(self) -> bool:
        """Whether it was read to its end, so that its connection can be used again."""
        return self._response.isclosed() and not self._response.will_close

    def read_some(self, most: int) -> bytes:
        """The next bytes, as many as have come; empty at the end. The first come at once, others may gather before."""
        if self._has_begun and self._gathered_from is not None:
            self._gather(self._gathered_from, most)
        self._has_begun = True
        read = self._response.read1(most)
        if self._response.length == 0:
            self._response.close()  # else the connection counts as still being read
        return read

    def _gather(self, source: socket.socket, most: int) -> None:
        """Wait until so much has come, or the rest of the answer, or as long as it may wait."""
        if (left := self._response.length) is not None:
            most = min(most, left)
        if most <= 0 or self._response.isclosed():
            return
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, most)
        waiting = select.poll()
        waiting.register(source, select.POLLIN)
        waiting.poll(_GATHER_SECONDS * 1000)
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def read(self) -> bytes:
        """All of it."""
        return self._response.read()


class Connections:
    """Connections to the address of an archive; nothing else is ever asked: no redirects, no proxies.

    Args:
        url: root of what is asked for, without trailing slash.
        connect_seconds: to reach it.
        answer_seconds: until an answer begins, and between two pieces of it.
        keep: idle connections kept.
    """

    def __init__(self, url: str, connect_seconds: float, answer_seconds: float, keep: int) -> None:
        address = urlsplit(url)
        self._host = address.hostname or ""
        self._port = address.port
        self._root = address.path
        self._kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connect_seconds, self._answer_seconds, self._keep = connect_seconds, answer_seconds, keep
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def get(self, path: str, headers: Mapping[str, str], answer_seconds: float | None = None) -> Answer:
        """Ask; the answer must be given back.

        Args:
            path: below the root; of checked UIDs and our own words.
            answer_seconds: instead of the usual.

        Raises:
            OSError, http.client.HTTPException, ValueError: it does not answer.
        """
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._asked(kept, path, headers, answer_seconds)
            except (ConnectionError, http.client.RemoteDisconnected):
                kept.close()  # the archive had hung up; a new connection tells whether it is there
        connection = self._kind(self._host, self._port, timeout=self._connect_seconds)
        connection.connect()
        return self._asked(connection, path, headers, answer_seconds)

    def _asked(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        headers: Mapping[str, str],
        answer_seconds: float | None,
    ) -> Answer:
        try:
            connection.sock.settimeout(answer_seconds or self._answer_seconds)
            connection.request("GET", self._root + path, headers=dict(headers))
            source = None if isinstance(connection, http.client.HTTPSConnection) else connection.sock
            return Answer(connection.getresponse(), connection, source)
        except BaseException:
            connection.close()
            raise

    def give_back(self, answer: Answer) -> None:
        """An answer is done with; its connection is kept when it was read to its end."""
        if answer.is_read:
            with self._lock:
                if len(self._idle) < self._keep:
                    self._idle.append(answer.connection)
                    return
        answer.connection.close()

    def close(self) -> None:
        """Close those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

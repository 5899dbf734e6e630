"""Kept connections to one archive, read as fast as a socket gives.

Of the standard library and not of httpx: reading pictures through the latter took ten times the processor (175 against
1,660 MB/s on one core), which decided how fast a series could pass.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

FAULTS: Final = (OSError, http.client.HTTPException, ValueError)
"""What asking may raise."""


class Answer:
    """An answer that has begun.

    Attributes:
        status: of HTTP.
        headers: by lower-case name.
    """

    def __init__(self, response: http.client.HTTPResponse, connection: http.client.HTTPConnection) -> None:
        self.status = response.status
        found = {name.lower(): value for name, value in response.getheaders()}
        self.headers: Mapping[str, str] = MappingProxyType(found)
        self._response = response
        self.connection = connection

    @property
    def is_read(self) -> bool:
        """Whether it was read to its end, so that its connection can be used again."""
        return self._response.isclosed() and not self._response.will_close

    def read_some(self, most: int) -> bytes:
        """The next bytes, as many as have come; empty at the end."""
        return self._response.read1(most)

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
            return Answer(connection.getresponse(), connection)
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

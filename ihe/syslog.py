"""Audit messages to a syslog collector over TLS.

A batch is one connection: write every message, say that no more will come, and wait until the other side has read to
the end and closes. TCP alone would not tell: what a sender has written may still be lost with a collector that dies.

Source: RFC 5424, RFC 5425; ITI TF-2: 3.20.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

_PRIORITY = 85
"""Facility 10 (security), severity 5 (notice)."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Collector:
    """Where to send.

    Attributes:
        tls: ``None`` sends in the clear.
        timeout_seconds: for connecting, for each write, and for the other side to read to the end.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    timeout_seconds: float = 20.0

    @property
    def name(self) -> str:
        """Under which its progress is kept."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Origin:
    """HOSTNAME, APP-NAME and PROCID of what we send."""

    application: str = "traitdunion"
    host: str = field(default_factory=lambda: socket.gethostname() or "-")
    process: str = field(default_factory=lambda: str(os.getpid()))


def syslog_message(at: datetime, content: bytes, origin: Origin, message_id: str = "IHE+RFC-3881") -> bytes:
    """One RFC 5424 message, with the octet count before it that RFC 5425 asks for."""
    stamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{_PRIORITY}>1 {stamp} {origin.host} {origin.application} {origin.process} {message_id} - "
    message = head.encode("ascii", "replace") + _BOM + content
    return str(len(message)).encode() + b" " + message


def send_batch(collector: Collector, messages: Iterable[bytes]) -> None:
    """Send and return once the collector has read everything.

    Raises:
        OSError: it cannot be reached, its certificate does not hold, or it ended before it had read to the end. What
            was sent may have arrived or not.
    """
    address = (collector.host, collector.port)
    with socket.create_connection(address, timeout=collector.timeout_seconds) as plain:
        if collector.tls is None:
            for message in messages:
                plain.sendall(message)
            plain.shutdown(socket.SHUT_WR)
            _read_to_end(plain)
            return
        with collector.tls.wrap_socket(plain, server_hostname=collector.host) as secured:
            for message in messages:
                secured.sendall(message)
            # A collector may answer our close_notify with its own, or just close: both came after reading to the end.
            with suppress(ssl.SSLEOFError):
                secured.unwrap()


def _read_to_end(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass

"""An MLLP connection in a dozen lines, as a site's interface engine has it.

Source: HL7 Transport Specification: MLLP, Release 1.
"""

from __future__ import annotations

import socket
from types import TracebackType


class MllpConnection:
    """Sends one message at a time and waits for its answer.

    Args:
        host, port: the receiver.
        timeout_seconds: for connecting, and for each answer.
    """

    def __init__(self, host: str, port: int, timeout_seconds: float = 30.0) -> None:
        self._socket = socket.create_connection((host, port), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> MllpConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, message: bytes) -> bytes:
        """Send a message and return the answer.

        Raises:
            ConnectionError: the receiver closed the connection.
            TimeoutError: no answer in time.
        """
        self._socket.sendall(b"\x0b" + message + b"\x1c\r")
        answer = bytearray()
        while not answer.endswith(b"\x1c\r"):
            piece = self._socket.recv(65_536)
            if not piece:
                raise ConnectionError("the receiver closed the connection")
            answer += piece
        return bytes(answer[1:-2])

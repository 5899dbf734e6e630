"""A small synchronous MLLP client: sends a message, waits for its acknowledgement.

One connection, one message at a time. A connection that failed is opened anew with the next message; nothing is sent
twice by itself, because only the caller knows whether a repetition is safe.
"""

from __future__ import annotations

import socket
import ssl as tls
import time
from types import TracebackType

from ihe.errors import MalformedRequest, Unavailable
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.mllp import Frame, FrameDecoder, RefusedFrame, frame


class MllpClient:
    """Sends HL7 v2 messages to one receiver. Not for use by several threads together.

    Args:
        host: the receiver's name or address.
        port: its port.
        timeout_seconds: for connecting, and for each answer.
        ssl: TLS context, or ``None`` for plain TCP.
        limit_bytes: longest answer.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout_seconds: float = 30.0,
        ssl: tls.SSLContext | None = None,
        limit_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._ssl = ssl
        self._limit_bytes = limit_bytes
        self._socket: socket.socket | None = None
        self._decoder = FrameDecoder(limit_bytes)

    def __enter__(self) -> MllpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, message: Message | bytes) -> Message:
        """Send a message and return its acknowledgement, whatever that says.

        An answer to another control id (late, from before a timeout) is passed over.

        Raises:
            Unavailable: no connection, no answer in time, or the connection ended; it is unknown whether the
                message was received.
            MalformedRequest: the answer is no HL7 message.
        """
        question = message if isinstance(message, Message) else Message.parse(message)
        deadline = time.monotonic() + self._timeout_seconds
        try:
            connection = self._connected()
            connection.settimeout(self._timeout_seconds)
            connection.sendall(frame(bytes(question)))
            return self._answer_to(question, connection, deadline)
        except (OSError, Unavailable) as error:
            self.close()
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(f"the receiver cannot be reached ({type(error).__name__})") from error
        except MalformedRequest:
            self.close()
            raise

    def _connected(self) -> socket.socket:
        if self._socket is None:
            connection = socket.create_connection((self._host, self._port), self._timeout_seconds)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._ssl is not None:
                connection = self._ssl.wrap_socket(connection, server_hostname=self._host)
            self._socket = connection
            self._decoder = FrameDecoder(self._limit_bytes)
        return self._socket

    def _answer_to(self, question: Message, connection: socket.socket, deadline: float) -> Message:
        while (remaining := deadline - time.monotonic()) > 0:
            connection.settimeout(remaining)
            data = connection.recv(65_536)
            for event in self._decoder.receive(data) if data else self._decoder.end():
                if isinstance(event, RefusedFrame):
                    raise MalformedRequest("the answer is not readable")
                if isinstance(event, Frame):
                    answer = Message.parse(event.data)
                    msa = answer.segment("MSA")
                    if msa is None or msa.text(2) in ("", question.control_id):
                        return answer
            if not data:
                raise Unavailable("the receiver closed the connection without an answer")
        raise Unavailable("no answer in time")

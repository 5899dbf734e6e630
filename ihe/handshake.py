"""The TLS handshake of a connection that was accepted, and word of each that fails.

A server that is given a TLS context tells nobody whose handshake failed. Here a server accepts in the clear; each
connection is taken over with its address known, shakes hands, and is then the protocol's that speaks over it.

Source: ITI TF-2: 3.19.6.1.4 (authentication failures are audited).
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from socket import socket
from typing import Final, cast

HANDSHAKE_SECONDS: Final = 30.0
"""How long a client may take."""

Refused = Callable[[str, ssl.SSLError], None]
"""Hears, in the event loop, the address of a client whose handshake failed, and why; it must not wait."""


def ignored(_address: str, _error: ssl.SSLError) -> None:
    """Where nobody wants to hear of it."""


async def serve_accepted(
    connection: socket, make: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None, refused: Refused
) -> None:
    """Have a protocol speak over a connection that was accepted, after the handshake where there is one.

    Args:
        make: the protocol.
        context: ours; ``None`` in the clear.
        refused: hears of a handshake that failed; not of a client that went away or said nothing.
    """
    try:
        address = connection.getpeername()
    except OSError:  # it has gone already
        connection.close()
        return
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            make, connection, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None
        )
    except ssl.SSLError as error:
        refused(str(address[0]), error)
    except OSError:  # it went away; the event loop, which owns the socket by now, closes it
        return


class Handshaking(asyncio.Protocol):
    """A connection that a server of the event loop accepted in the clear.

    Args:
        context: ours.
        make: the protocol that speaks over the secured connection.
        refused: see :func:`serve_accepted`.
    """

    def __init__(self, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol], refused: Refused) -> None:
        self._context = context
        self._make = make
        self._refused = refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands. Nothing has been read yet, and this transport reads nothing: only its socket is kept."""
        plain = cast(asyncio.Transport, transport)
        kept = socket(fileno=os.dup(plain.get_extra_info("socket").fileno()))
        kept.setblocking(False)
        plain.abort()
        self._task = asyncio.get_running_loop().create_task(
            serve_accepted(kept, self._make, self._context, self._refused)
        )

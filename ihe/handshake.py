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
from contextlib import suppress
from socket import socket
from typing import Final, cast

HANDSHAKE_SECONDS: Final = 30.0
"""How long a client may take."""

Refused = Callable[[str, ssl.SSLError], None]
"""Hears, in the event loop, the address of a client whose handshake failed, and why; it must not wait."""


class Handshaking(asyncio.Protocol):
    """A connection that was just accepted.

    Args:
        context: ours.
        make: the protocol that speaks over the secured connection.
        refused: hears of each handshake that failed; not of a client that went away or said nothing.
    """

    def __init__(self, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol], refused: Refused) -> None:
        self._context = context
        self._make = make
        self._refused = refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands. Nothing has been read yet, and this transport reads nothing: only its socket is kept."""
        plain = cast(asyncio.Transport, transport)
        address = plain.get_extra_info("peername") or ("unknown",)
        kept = socket(fileno=os.dup(plain.get_extra_info("socket").fileno()))
        kept.setblocking(False)
        plain.abort()
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(kept, str(address[0])))

    async def _shake_hands(self, kept: socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._make, kept, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except ssl.SSLError as error:
            self._refused(address, error)
        except OSError:
            with suppress(OSError):
                kept.close()

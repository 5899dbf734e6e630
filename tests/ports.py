"""Ports for servers that tests start: never one that another test worker, or an outgoing connection, may take."""

from __future__ import annotations

import itertools
import os
import random
import socket

_FIRST = 20_000
_EACH = 1_000
"""Ports a test worker has for itself; eight workers end below 32,768, where systems take outgoing ports from."""

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
_start = random.randrange(_EACH)  # runs of several checkouts at once seldom begin at the same port
_numbers = itertools.cycle(_FIRST + _worker * _EACH + (_start + number) % _EACH for number in range(_EACH))


def free_port() -> int:
    """A port of this test worker's own range that nobody listens on; each is given once in a thousand."""
    for _ in range(_EACH):
        port = next(_numbers)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port of this test worker is in use")

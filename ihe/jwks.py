"""The keys with which an issuer signs its tokens, from a file or from where it publishes them.

Published keys are kept for an hour; a token with a key that is not among them has them fetched anew, but not more often
than every ten seconds, so that nobody can make us ask the issuer without end. An issuer that does not answer leaves
the keys as they are for a day.

Source: RFC 7517.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ihe.errors import Unavailable

log = logging.getLogger(__name__)

KEEP_SECONDS: Final = 3600.0
LEAST_SECONDS: Final = 10.0
LONGEST_SECONDS: Final = 24 * 3600.0
_TIMEOUT_SECONDS: Final = 5.0


class KeySource(Protocol):
    """Where keys are had from."""

    def present(self) -> KeySet:
        """The keys.

        Raises:
            Unavailable: they cannot be had.
        """

    def renewed(self) -> KeySet | None:
        """The keys fetched anew; ``None`` where there are no newer ones."""


class KeysInFile:
    """Keys of a file (JWKS), read once; who reads the table of issuers anew reads them anew."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            OSError: it cannot be read.
            ValueError: it holds no keys.
        """
        self._keys = read_keys(path.read_bytes())

    def present(self) -> KeySet:
        """The keys."""
        return self._keys

    def renewed(self) -> KeySet | None:
        """None."""
        return None


class PublishedKeys:
    """Keys that an issuer publishes.

    Args:
        url: of its JWKS.
        transport: for tests; ``None`` for the network.
        now: the clock, in seconds.
    """

    def __init__(
        self,
        url: str,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._transport = transport
        self._now = now
        self._fetching = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = self._asked_at = float("-inf")

    def present(self) -> KeySet:
        """The keys, not older than an hour while the issuer answers."""
        if self._now() - self._fetched_at >= KEEP_SECONDS:
            self._fetch()
        if self._keys is None or self._now() - self._fetched_at >= LONGEST_SECONDS:
            raise Unavailable("the keys of the issuer of tokens cannot be had")
        return self._keys

    def renewed(self) -> KeySet | None:
        """The keys fetched anew; ``None`` when they were fetched a moment ago."""
        return self._keys if self._fetch() else None

    def _fetch(self) -> bool:
        with self._fetching:
            if self._now() - self._asked_at < LEAST_SECONDS:
                return False
            self._asked_at = self._now()
            try:
                with httpx.Client(timeout=_TIMEOUT_SECONDS, transport=self._transport) as client:
                    answer = client.get(self._url)
                    answer.raise_for_status()
                self._keys = read_keys(answer.content)
            except (httpx.HTTPError, ValueError):
                log.warning("the keys of an issuer of tokens cannot be fetched")
                return False
            self._fetched_at = self._now()
            return True


def read_keys(content: bytes) -> KeySet:
    """Read a JWKS.

    Raises:
        ValueError: it is none, or holds a secret key.
    """
    try:
        found: Any = json.loads(content)
        if any("d" in each or each.get("kty") == "oct" for each in found["keys"]):
            raise ValueError("a key set of an issuer holds public keys only")
        return KeySet.import_key_set(found)
    except (JoseError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("this is no set of keys") from error

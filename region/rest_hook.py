"""Sends what FHIR subscribers asked for over HTTP (Source: FHIR R4: Subscription, rest-hook)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import httpx

from ihe.callbacks import CallbackRule
from ihe.errors import Conflict, Unavailable

_TIMEOUT_SECONDS: Final = 15.0
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that say nothing against what was sent."""


class RestHook:
    """Connections to one subscriber, opened when needed. For one thread at a time.

    Args:
        callbacks: which addresses may be written to.
    """

    def __init__(self, callbacks: CallbackRule) -> None:
        self._callbacks = callbacks
        self._client: httpx.Client | None = None

    def request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """Send one request and return its answer.

        Raises:
            Unavailable: the subscriber cannot be reached now.
            Conflict: it refused.
            AccessDenied: its address may not be written to.
        """
        to = self._callbacks.destination(url)
        if self._client is None:
            self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)
        try:
            answer = self._client.request(
                method, to.url, content=body, headers={**headers, **to.headers}, extensions=dict(to.extensions)
            )
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unavailable(f"the subscriber cannot be reached ({type(error).__name__})") from None
        if answer.status_code in _RETRIED:
            raise Unavailable(f"the subscriber answered {answer.status_code}")
        if method == "DELETE" and answer.status_code in (404, 410):
            return answer
        if not answer.is_success:
            raise Conflict(f"the subscriber answered {answer.status_code}")
        return answer

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        if self._client is not None:
            self._client.close()
            self._client = None


def header_lines(lines: Iterable[str]) -> dict[str, str]:
    """Header lines ``Name: value`` as a mapping."""
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

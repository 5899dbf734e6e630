"""Who is at the other end of a connection, on every wire."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Peer(NamedTuple):
    """The other end of a connection.

    Attributes:
        host: its address, or ``unknown``.
        port: its port; 0 where that is not known.
        certificate: its TLS certificate (DER), or ``None``.
        headers: of the HTTP request that came from it, by lower-case name; of a repeated one, the last.
    """

    host: str
    port: int = 0
    certificate: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})


def peer_of(scope: Mapping[str, Any]) -> Peer:
    """The other end of an HTTP connection.

    Args:
        scope: of the request (ASGI); its TLS extension holds the certificate.
    """
    host, port = scope.get("client") or ("unknown", 0)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    chain = (scope.get("extensions") or {}).get("tls", {}).get("client_cert_chain")
    certificate = ssl.PEM_cert_to_DER_cert(chain[0]) if chain else None
    return Peer(host, port, certificate, headers)

"""Addresses that callers name and that we then write to: which of them may be written to.

Whoever may name an address can make this service speak to machines that only it reaches (server-side request forgery).
So such an address is held to a rule when it is named and again before each message; redirections are never followed;
and where public machines only are allowed, the connection goes to the very number that was looked at.

Source: OWASP Server-Side Request Forgery Prevention; FHIR R4: Subscription (safety).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from ihe.errors import AccessDenied, Unavailable

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to connect for an address.

    Attributes:
        url: the address, with a number in place of the host's name where that is settled.
        headers: for the request.
        extensions: of the request, for TLS.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallbackRule:
    """Which addresses may be written to.

    Attributes:
        prefixes: addresses (``https://his.example/fhir``), each of which allows itself and all below it; empty
            allows any.
        public_only: with no prefixes, whether machines of private, loopback and link-local networks are refused.
    """

    prefixes: tuple[str, ...] = ()
    public_only: bool = False

    def check(self, url: str, location: str | None = None) -> None:
        """Refuse an address that can never be written to; names are not looked up.

        Raises:
            AccessDenied: it is not one of those allowed.
        """
        address = _parts(url, location)
        if self.prefixes:
            if not any(_is_below(address, urlsplit(prefix)) for prefix in self.prefixes):
                raise AccessDenied("this address is not one that messages may be sent to", location)
        elif self.public_only and _is_number(host := address.hostname or "") and not _is_public(host):
            raise AccessDenied("messages are not sent to addresses of private networks", location)

    def destination(self, url: str) -> Destination:
        """Where to connect now.

        Raises:
            AccessDenied: it is not allowed, or its name leads to a private network.
            Unavailable: its name leads nowhere at present.
        """
        self.check(url)
        if self.prefixes or not self.public_only:
            return Destination(url)
        address = urlsplit(url)
        host, port = address.hostname or "", address.port or _PORTS[address.scheme]
        try:
            found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except OSError:
            raise Unavailable("the name of the address leads nowhere") from None
        if not found or not all(map(_is_public, found)):
            raise AccessDenied("messages are not sent to addresses of private networks")
        number = f"[{found[0]}]" if ":" in found[0] else found[0]
        pinned = address._replace(netloc=f"{number}:{port}").geturl()
        return Destination(pinned, {"Host": address.netloc}, {"sni_hostname": host})


def _parts(url: str, location: str | None) -> SplitResult:
    try:
        address = urlsplit(url)
        is_address = address.scheme in _PORTS and bool(address.hostname) and address.port != 0
    except ValueError:
        is_address = False
    if not is_address or "@" in address.netloc or "\\" in url:
        raise AccessDenied("messages are sent to http and https addresses without a user's name", location)
    return address


def _is_below(address: SplitResult, prefix: SplitResult) -> bool:
    def origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)

    base = prefix.path.rstrip("/")
    is_inside = address.path == base or address.path.startswith(f"{base}/")
    return origin(address) == origin(prefix) and is_inside and "/.." not in unquote(address.path)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(host: str) -> bool:
    number = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(number, "ipv4_mapped", None)
    return (mapped or number).is_global and not (mapped or number).is_multicast

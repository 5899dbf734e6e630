"""Who calls, found out once at the edge of each wire.

Two ways, and no third: by certificate (node, site) with the assertions and tokens of users on top, or, in the
demonstration on loopback, by what a caller says of itself.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import unquote

from ihe.authorisation import Matrix
from ihe.caller import Caller
from ihe.claims import Claims
from ihe.errors import AccessDenied, IheError, InvalidToken, NotAuthenticated
from ihe.hl7v2.er7 import Message
from ihe.http import HttpRequest
from ihe.peer import Peer
from ihe.soap.envelope import SoapRequest
from ihe.xml import NS, qname
from region.fhir_metadata import SMART_CONFIGURATION
from region.issuers import AuthorizationServer, Issuers, nobody
from region.nodes import OPERATOR, Node, NodeDirectory
from region.region_table import RegionTable
from region.users import Users

FORWARDED_CERTIFICATE: Final = "x-client-certificate"
"""Header in which a proxy hands on the certificate of its caller: PEM, percent-encoded."""
_OPEN: Final = frozenset({"/fhir/metadata", SMART_CONFIGURATION})
"""What tells a client how to get a token is told without one."""
_SECURITY: Final = qname(NS.WSSE, "Security")
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Access(Protocol):
    """Who calls, for each wire."""

    def node(self, peer: Peer) -> str:
        """The name of the system at the other end.

        Raises:
            NotAuthenticated: it is none that is known.
        """

    def may_watch(self, peer: Peer) -> bool:
        """Whether the system at the other end may read the figures of operations."""

    def authorise(self, caller: Caller, transaction: str) -> None:
        """Let a caller do a transaction.

        Raises:
            AccessDenied: it may not.
        """

    def http(self, request: HttpRequest, peer: Peer) -> Caller:
        """Of a FHIR, DICOMweb or JSON request."""

    def soap(self, request: SoapRequest, peer: Peer) -> Caller:
        """Of a SOAP message."""

    def hl7v2(self, message: Message, peer: Peer) -> Caller:
        """Of an HL7 v2 message."""

    def authorization_servers(self) -> Sequence[AuthorizationServer]:
        """Where clients get tokens."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Nobody is authenticated: for loopback only. HL7 v2 senders that the table names act for their domain."""

    table: RegionTable

    def node(self, peer: Peer) -> str:
        """The address."""
        return peer.host

    def may_watch(self, peer: Peer) -> bool:
        """Everybody may."""
        return True

    def authorise(self, caller: Caller, transaction: str) -> None:
        """Everybody may do everything."""

    def http(self, request: HttpRequest, peer: Peer) -> Caller:
        """The address."""
        return Caller(node=peer.host)

    def soap(self, request: SoapRequest, peer: Peer) -> Caller:
        """The address."""
        return Caller(node=peer.host)

    def hl7v2(self, message: Message, peer: Peer) -> Caller:
        """The address, and the domain of the sender that the message names."""
        domain = self.table.by_sender(*message.sender)
        return Caller(node=peer.host, site=domain.code if domain else None)

    def authorization_servers(self) -> Sequence[AuthorizationServer]:
        """None: no token is read."""
        return ()


class TrustedProxies:
    """Takes a forwarded certificate from proxies of ours, and from nobody else.

    Args:
        networks: addresses of the proxies, as addresses or networks (``10.0.0.7``, ``10.1.0.0/24``).

    Raises:
        ValueError: one of them is no such thing.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(each, strict=False) for each in networks)

    def behind(self, peer: Peer) -> Peer:
        """The peer with the certificate that counts: its own, or the one that a proxy forwards.

        Raises:
            NotAuthenticated: what the proxy forwards is no certificate.
        """
        forwarded = peer.headers.get(FORWARDED_CERTIFICATE)
        if peer.certificate is not None or not forwarded or not self._is_proxy(peer.host):
            return peer
        try:
            return peer._replace(certificate=ssl.PEM_cert_to_DER_cert(unquote(forwarded)))
        except ValueError as error:
            raise NotAuthenticated("what was forwarded is no certificate") from error

    def _is_proxy(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class UserRequired:
    """Where a system may not act by itself.

    Attributes:
        path: of an endpoint, or the beginning of its path (``/fhir``, ``/ihe/registry``).
        role: of the systems that are meant; ``None`` for all.
    """

    path: str
    role: str | None = None

    @classmethod
    def read(cls, rule: str) -> UserRequired:
        """Of ``/path`` or ``role:/path``.

        Raises:
            ValueError: it is neither.
        """
        role, colon, path = rule.rpartition(":")
        if not path.startswith("/") or bool(colon) != bool(role):
            raise ValueError(f"{rule} is neither a path nor role:/path")
        return cls(path.rstrip("/"), role or None)

    def asks(self, roles: Collection[str], path: str) -> bool:
        """Whether a system with these roles needs a user at a path."""
        return (self.role is None or self.role in roles) and (path == self.path or path.startswith(f"{self.path}/"))


def _asserted(request: SoapRequest, peer: Peer, issuers: Issuers) -> Claims | None:
    headers = [block for block in request.headers if block.tag == _SECURITY]
    found = [claims for block in headers if (claims := issuers.assertions.claims(block, peer)) is not None]
    if len(found) > 1:
        raise InvalidToken("one assertion is expected")
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Authentication:
    """By the certificate of the connection: node, and site; and by what an issuer says of a user.

    Attributes:
        table: domains of the region.
        nodes: whose certificate it is.
        proxies: who may forward one.
        matrix: who may do what.
        users: makes callers of users.
        issuers: those who vouch for users, at present.
        users_required: where a system may not act by itself.
    """

    table: RegionTable
    nodes: NodeDirectory
    proxies: TrustedProxies
    matrix: Matrix
    users: Users
    issuers: Callable[[], Issuers] = nobody
    users_required: tuple[UserRequired, ...] = ()

    def node(self, peer: Peer) -> str:
        """The node's name.

        Raises:
            NotAuthenticated: no certificate of a node.
        """
        return self._node(peer).name

    def may_watch(self, peer: Peer) -> bool:
        """Whether it is a system of the operators'."""
        try:
            return OPERATOR in self._node(peer).roles
        except NotAuthenticated:
            return False

    def authorise(self, caller: Caller, transaction: str) -> None:
        """By the matrix.

        Raises:
            AccessDenied: it does not allow it.
        """
        self.matrix.authorise(caller, transaction)

    def http(self, request: HttpRequest, peer: Peer) -> Caller:
        """The node, and the user of its bearer token.

        Raises:
            NotAuthenticated: no certificate of a node, a token that does not hold, or none where one is needed.
            AccessDenied: the user is none of this system's.
        """
        issuers, peer = self.issuers(), self.proxies.behind(peer)
        authorization = request.headers.get("authorization")
        return self._with_user(peer, request.path, issuers, lambda: issuers.tokens.claims(authorization, peer))

    def soap(self, request: SoapRequest, peer: Peer) -> Caller:
        """The node, and the user of its assertion.

        Raises:
            NotAuthenticated: no certificate of a node, an assertion that does not hold, or none where one is needed.
            AccessDenied: the user is none of this system's.
        """
        issuers, peer = self.issuers(), self.proxies.behind(peer)
        return self._with_user(peer, request.path, issuers, lambda: _asserted(request, peer, issuers))

    def hl7v2(self, message: Message, peer: Peer) -> Caller:
        """The node; the sender that the message names (MSH-3, MSH-4) must be of a site for which it acts.

        Raises:
            NotAuthenticated: no certificate of a node.
            AccessDenied: the sender is of another site, or unknown.
        """
        node = self._node(peer)
        domain = self.table.by_sender(*message.sender)
        if domain is None or domain.code not in node.sites:
            refusal = AccessDenied("this system does not send for the application and facility named", "MSH-3")
            refusal.node = node.name
            raise refusal
        return self._system(node, domain.code)

    def authorization_servers(self) -> Sequence[AuthorizationServer]:
        """Those of the table of issuers."""
        return self.issuers().authorization_servers

    def _with_user(self, peer: Peer, path: str, issuers: Issuers, claims_of: Callable[[], Claims | None]) -> Caller:
        node = self.nodes.node_of(peer.certificate)
        try:
            claims = claims_of()
            if claims is None or claims.subject is None:
                self._refuse_missing_user(node, path)
            if claims is None:
                return self._system(node)
            caller = self.users.caller(claims, issuers, node)
        except IheError as error:
            error.node = node.name
            raise
        return self._for_site(caller, caller.site)

    def _refuse_missing_user(self, node: Node, path: str) -> None:
        if path not in _OPEN and any(rule.asks(node.roles, path) for rule in self.users_required):
            raise NotAuthenticated("a user's assertion or token is needed here")

    def _node(self, peer: Peer) -> Node:
        return self.nodes.node_of(self.proxies.behind(peer).certificate)

    def _system(self, node: Node, site: str | None = None) -> Caller:
        return self._for_site(Caller(node=node.name, roles=node.roles), site or node.site)

    def _for_site(self, caller: Caller, site: str | None) -> Caller:
        return replace(caller, site=site, authority=self.table.by_code(site).oid if site else None)

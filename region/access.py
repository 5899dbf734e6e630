"""Who calls, found out once at the edge of each wire.

Two ways, and no third: by certificate (node, site) with the assertions of users on top, or, in the demonstration on
loopback, by what a caller says of itself.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import unquote

from ihe.authorisation import Matrix
from ihe.caller import Caller
from ihe.errors import AccessDenied, NotAuthenticated
from ihe.hl7v2.er7 import Message
from ihe.http import HttpRequest
from ihe.peer import Peer
from ihe.soap.envelope import SoapRequest
from region.nodes import OPERATOR, Node, NodeDirectory
from region.region_table import RegionTable

FORWARDED_CERTIFICATE: Final = "x-client-certificate"
"""Header in which a proxy hands on the certificate of its caller: PEM, percent-encoded."""
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
            return replace(peer, certificate=ssl.PEM_cert_to_DER_cert(unquote(forwarded)))
        except ValueError as error:
            raise NotAuthenticated("what was forwarded is no certificate") from error

    def _is_proxy(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class Authentication:
    """By the certificate of the connection: node, and site.

    Attributes:
        table: domains of the region.
        nodes: whose certificate it is.
        proxies: who may forward one.
        matrix: who may do what.
    """

    table: RegionTable
    nodes: NodeDirectory
    proxies: TrustedProxies
    matrix: Matrix

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
        """The node.

        Raises:
            NotAuthenticated: no certificate of a node.
        """
        return self._system(self._node(peer))

    def soap(self, request: SoapRequest, peer: Peer) -> Caller:
        """The node.

        Raises:
            NotAuthenticated: no certificate of a node.
        """
        return self._system(self._node(peer))

    def hl7v2(self, message: Message, peer: Peer) -> Caller:
        """The node; the sender that the message names (MSH-3, MSH-4) must be of a site for which it acts.

        Raises:
            NotAuthenticated: no certificate of a node.
            AccessDenied: the sender is of another site, or unknown.
        """
        node = self._node(peer)
        domain = self.table.by_sender(*message.sender)
        if domain is None or domain.code not in node.sites:
            raise AccessDenied("this system does not send for the application and facility named", "MSH-3")
        return self._system(node, domain.code)

    def _node(self, peer: Peer) -> Node:
        return self.nodes.node_of(self.proxies.behind(peer).certificate)

    def _system(self, node: Node, site: str | None = None) -> Caller:
        return self._for_site(Caller(node=node.name, roles=node.roles), site or node.site)

    def _for_site(self, caller: Caller, site: str | None) -> Caller:
        return replace(caller, site=site, authority=self.table.by_code(site).oid if site else None)

"""The systems of the region: which certificate is whose, and for which sites a system acts (``[[node]]``).

Source: ITI TF-1: 9.1.1 (Secure Node); ITI TF-2: 3.19.6.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from ihe.errors import NotAuthenticated
from ihe.tls import Revoked

SYSTEM: Final = "system"
"""Role of a site's system that acts by itself."""
OPERATOR: Final = "operator"
"""Role of a system that watches this one."""
_KEYS = {"name", "subject", "sites", "roles"}


@dataclass(frozen=True, slots=True)
class Node:
    """A system with a certificate.

    Attributes:
        name: as the audit trail names it.
        subject: of its certificates, as RFC 4514 writes it; it stays when the certificate is renewed.
        sites: codes of the domains it acts for; empty for a system that is of no site.
        roles: what it is when it acts by itself.
    """

    name: str
    subject: str
    sites: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset({SYSTEM})

    @property
    def site(self) -> str | None:
        """The site it acts for; ``None`` where that depends on the message, or where there is none."""
        return self.sites[0] if len(self.sites) == 1 else None


class NodesFault(ValueError):
    """The nodes of a table of domains cannot be used; a line for each that is wrong."""


def load_nodes(path: Path, sites: Collection[str]) -> tuple[Node, ...]:
    """The nodes of a table of domains.

    Args:
        path: a ``region.toml``.
        sites: codes that a node may act for.

    Raises:
        NodesFault: not readable, or wrong; with every problem found.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("node", [])
    except (OSError, ValueError) as error:
        raise NodesFault(f"{path.name}: {error}") from error
    found: dict[str, Node] = {}
    problems: list[str] = []
    for number, row in enumerate(rows, 1):
        node = _node(row, sites)
        if isinstance(node, str):
            problems.append(f"{path.name}: node {number}: {node}")
        elif node.subject in found or node.name in {each.name for each in found.values()}:
            problems.append(f"{path.name}: node {number}: name and subject are its own")
        else:
            found[node.subject] = node
    if problems:
        raise NodesFault("\n".join(problems))
    return tuple(found.values())


def _node(row: Any, sites: Collection[str]) -> Node | str:
    if not isinstance(row, Mapping) or not {"name", "subject"} <= row.keys() <= _KEYS:
        return f"needs name and subject, and may have {', '.join(sorted(_KEYS - {'name', 'subject'}))}"
    if not all(isinstance(row[key], str) and row[key] for key in ("name", "subject")):
        return "name and subject are texts"
    own, roles = row.get("sites", []), row.get("roles", [SYSTEM])
    if not all(isinstance(each, list) and all(isinstance(value, str) for value in each) for each in (own, roles)):
        return "sites and roles are lists of texts"
    if not set(own) <= set(sites):
        return "sites are codes of domains of this table"
    try:
        subject = x509.Name.from_rfc4514_string(row["subject"]).rfc4514_string()
    except ValueError:
        return "subject is written like CN=…,OU=…,O=…"
    return Node(row["name"], subject, tuple(own), frozenset(roles))


class NodeDirectory:
    """Says whose certificate it is.

    Args:
        nodes: the systems.
        revoked: what is revoked now. Handshakes refuse these too; here it is asked for each message, because a
            connection may be older than the revocation, or a proxy's.
    """

    def __init__(self, nodes: Iterable[Node], revoked: Callable[[], Revoked] = frozenset) -> None:
        self._by_subject = {node.subject: node for node in nodes}
        self._revoked = revoked

    def node_of(self, certificate: bytes | None) -> Node:
        """The system that showed a certificate.

        Args:
            certificate: DER.

        Raises:
            NotAuthenticated: there is none, it is revoked, or of no system of the region.
        """
        if certificate is None:
            raise NotAuthenticated("a certificate of the region is needed")
        facts = _facts(certificate)
        if (facts.issuer, facts.serial_number) in self._revoked():
            raise NotAuthenticated("the certificate is revoked")
        node = self._by_subject.get(facts.subject)
        if node is None:
            raise NotAuthenticated("the certificate is of no system of the region")
        return node


@dataclass(frozen=True, slots=True)
class _Facts:
    """Of a certificate: subject as text, issuer as DER."""

    subject: str
    issuer: bytes
    serial_number: int


@lru_cache(maxsize=4096)
def _facts(certificate: bytes) -> _Facts:
    try:
        read = x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise NotAuthenticated("the certificate cannot be read") from error
    return _Facts(read.subject.rfc4514_string(), read.issuer.public_bytes(), read.serial_number)

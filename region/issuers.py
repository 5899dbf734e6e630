"""The table of issuers: whose assertions and tokens are believed, for whose users, and what their codes mean here.

Everything that is wrong in the file is collected and refused together. The file, and the certificates and keys beside
it, are read anew when they change.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509

from ihe.authorisation import PURPOSES
from ihe.bearer import ALGORITHMS, BearerTokens, Introspection, TokenIssuer
from ihe.claims import Coded
from ihe.jwks import KeysInFile, KeySource, PublishedKeys
from ihe.soap.saml import parsed_name
from ihe.soap.xua import BEARER, HOLDER_OF_KEY, AssertionIssuer, Assertions
from ihe.token_claims import PROFESSION

_CONFIRMATIONS: Final = {"bearer": BEARER, "holder-of-key": HOLDER_OF_KEY}
_PURPOSE_SYSTEM: Final = "1.2.250.1.213.1.1.4.248"
_ACT_REASON: Final = ("2.16.840.1.113883.5.8", "http://terminology.hl7.org/CodeSystem/v3-ActReason")
_KEYS: Final = {
    "saml": {"issuer", "certificates", "confirmations", "sites"},
    "oauth": {
        "issuer", "keys", "introspection", "client_id", "client_secret_file", "keep_seconds", "audiences", "clients",
        "algorithms", "acr", "scoped", "bound", "opaque", "authorize", "token", "sites",
    },
    "role": {"system", "code", "role"},
    "purpose": {"system", "code", "purpose"},
}  # fmt: skip
ANY_CODE: Final = "*"

ROLES: Final[Mapping[Coded, str]] = {
    Coded(ANY_CODE, PROFESSION): "professional",
    Coded("AUTOMATE", "1.2.250.1.213.1.1.4.6"): "system",
}
"""What a code of a role means, where the table says nothing of it."""
PURPOSES_OF_USE: Final[Mapping[Coded, str]] = {
    **{Coded(purpose, system): purpose for purpose in PURPOSES for system in ("", _PURPOSE_SYSTEM)},
    **{
        Coded(code, system): purpose
        for code, purpose in (("TREAT", "normal"), ("BTG", "bris_de_glace"), ("ETREAT", "centre_15"))
        for system in _ACT_REASON
    },
}
"""What a code of a purpose of use means."""


class IssuersFault(ValueError):
    """The table of issuers cannot be used; a line for each that is wrong."""


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """Where tokens are had, as clients are told.

    Attributes:
        authorize, token: addresses; ``None`` where clients know them otherwise.
    """

    issuer: str
    authorize: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Issuers:
    """Those who vouch for users.

    Attributes:
        assertions: verifies SAML assertions.
        tokens: verifies OAuth tokens.
        sites: for the users of which sites an issuer speaks, by its name; absent: of all.
        roles: what codes mean, as columns of the matrix.
        purposes: what codes mean.
        files: beside the table, what it was made of.
        authorization_servers: the issuers of tokens.
    """

    assertions: Assertions
    tokens: BearerTokens
    sites: Mapping[str, frozenset[str]] = field(default_factory=dict)
    roles: Mapping[Coded, str] = field(default_factory=lambda: ROLES)
    purposes: Mapping[Coded, str] = field(default_factory=lambda: PURPOSES_OF_USE)
    files: tuple[Path, ...] = ()
    authorization_servers: tuple[AuthorizationServer, ...] = ()


def nobody() -> Issuers:
    """Where no issuer is believed."""
    return Issuers(Assertions((), ()), BearerTokens(()))


@dataclass(frozen=True, slots=True)
class Trust:
    """What holds for all issuers.

    Attributes:
        audiences: names under which this service is meant.
        skew_seconds: how far clocks may differ.
        all_count_once: whether each assertion counts once.
        known_roles: columns of the matrix.
        known_sites: codes of domains.
    """

    audiences: frozenset[str]
    skew_seconds: float
    all_count_once: bool
    known_roles: Collection[str]
    known_sites: Collection[str]


def load_issuers(path: Path, trust: Trust) -> Issuers:
    """Read a table of issuers.

    Raises:
        IssuersFault: not readable, or wrong; with every problem found.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IssuersFault(f"{path.name}: {error}") from error
    reader = _Reader(path, trust)
    reader.problems += [f"{path.name}: {name} is no table of issuers" for name in content if name not in _KEYS]
    saml = list(reader.each(content, "saml", reader.assertion_issuer))
    oauth = list(reader.each(content, "oauth", reader.token_issuer))
    roles = dict(reader.each(content, "role", reader.role))
    purposes = dict(reader.each(content, "purpose", reader.purpose))
    if sum(issuer.is_of_opaque for issuer in oauth) > 1:
        reader.problems.append(f"{path.name}: tokens that are no JWT are of one issuer at most")
    if reader.problems:
        raise IssuersFault("\n".join(reader.problems))
    return Issuers(
        Assertions(
            saml,
            trust.audiences,
            skew=timedelta(seconds=trust.skew_seconds),
            all_count_once=trust.all_count_once,
        ),
        BearerTokens(oauth, skew_seconds=trust.skew_seconds),
        reader.sites,
        {**ROLES, **roles},
        {**PURPOSES_OF_USE, **purposes},
        tuple(reader.files),
        tuple(reader.servers),
    )


class _Reader:
    """Reads rows, and collects what is wrong with them."""

    def __init__(self, path: Path, trust: Trust) -> None:
        self._path = path
        self._trust = trust
        self.problems: list[str] = []
        self.files: list[Path] = []
        self.sites: dict[str, frozenset[str]] = {}
        self.servers: list[AuthorizationServer] = []
        self._names: set[str] = set()

    def each(self, content: Mapping[str, Any], kind: str, read: Callable[[Mapping[str, Any]], Any]) -> Iterator[Any]:
        """What the rows of a kind are; a wrong one is a problem."""
        rows = content.get(kind, [])
        for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
            try:
                if not isinstance(row, Mapping) or not row.keys() <= _KEYS[kind]:
                    raise ValueError(f"has {', '.join(sorted(_KEYS[kind]))} and nothing else")
                yield read(row)
            except (OSError, ValueError) as error:
                self.problems.append(f"{self._path.name}: {kind} {number}: {error}")

    def assertion_issuer(self, row: Mapping[str, Any]) -> AssertionIssuer:
        """Of ``[[saml]]``."""
        name = self._issuer(row)
        certificates = [
            certificate
            for file in _texts(row, "certificates")
            for certificate in x509.load_pem_x509_certificates(self._file(file).read_bytes())
        ]
        if not certificates:
            raise ValueError("certificates are needed: files with those it signs with")
        confirmations = _texts(row, "confirmations") or tuple(_CONFIRMATIONS)
        if not set(confirmations) <= _CONFIRMATIONS.keys():
            raise ValueError(f"confirmations are of {', '.join(_CONFIRMATIONS)}")
        return AssertionIssuer(name, tuple(certificates), frozenset(_CONFIRMATIONS[each] for each in confirmations))

    def token_issuer(self, row: Mapping[str, Any]) -> TokenIssuer:
        """Of ``[[oauth]]``."""
        name = self._issuer(row)
        audiences = frozenset(_texts(row, "audiences")) or self._trust.audiences
        clients = frozenset(_texts(row, "clients"))
        algorithms = frozenset(_texts(row, "algorithms")) or TokenIssuer(name).algorithms
        if not algorithms <= ALGORITHMS:
            raise ValueError(f"algorithms are of {', '.join(sorted(ALGORITHMS))}")
        keys, introspection = self._keys(row), self._introspection(row)
        if keys is None and introspection is None:
            raise ValueError("needs keys, or introspection, or both")
        opaque = _flag(row, "opaque", default=False)
        if opaque and introspection is None:
            raise ValueError("tokens that are no JWT need introspection")
        authorize, token = (_address(_text(row, key)) if key in row else None for key in ("authorize", "token"))
        self.servers.append(AuthorizationServer(name, authorize, token))
        return TokenIssuer(
            name,
            keys,
            introspection,
            audiences=frozenset() if clients and "audiences" not in row else audiences,
            clients=clients,
            algorithms=algorithms,
            acr=frozenset(_texts(row, "acr")),
            is_scoped=_flag(row, "scoped", default=True),
            must_be_bound=_flag(row, "bound", default=False),
            is_of_opaque=opaque,
        )

    def role(self, row: Mapping[str, Any]) -> tuple[Coded, str]:
        """Of ``[[role]]``."""
        role = _text(row, "role")
        if role not in self._trust.known_roles:
            raise ValueError(f"role is of {', '.join(self._trust.known_roles)}")
        return Coded(row.get("code", ANY_CODE), row.get("system", "")), role

    def purpose(self, row: Mapping[str, Any]) -> tuple[Coded, str]:
        """Of ``[[purpose]]``."""
        purpose = _text(row, "purpose")
        if purpose not in PURPOSES:
            raise ValueError(f"purpose is of {', '.join(PURPOSES)}")
        return Coded(_text(row, "code"), row.get("system", "")), purpose

    def _issuer(self, row: Mapping[str, Any]) -> str:
        name = parsed_name(_text(row, "issuer"))
        if name in self._names:
            raise ValueError("an issuer stands in the table once")
        self._names.add(name)
        sites = frozenset(_texts(row, "sites"))
        if not sites <= set(self._trust.known_sites):
            raise ValueError("sites are codes of domains of the region's table")
        if sites:
            self.sites[name] = sites
        return name

    def _keys(self, row: Mapping[str, Any]) -> KeySource | None:
        if "keys" not in row:
            return None
        where = _text(row, "keys")
        return PublishedKeys(_address(where)) if "://" in where else KeysInFile(self._file(where))

    def _introspection(self, row: Mapping[str, Any]) -> Introspection | None:
        if "introspection" not in row:
            return None
        secret = self._file(_text(row, "client_secret_file")).read_text(encoding="utf-8").strip()
        keep = row.get("keep_seconds", 30.0)
        if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not 0 <= keep <= 600:
            raise ValueError("keep_seconds is between 0 and 600")
        return Introspection(_address(_text(row, "introspection")), _text(row, "client_id"), secret, float(keep))

    def _file(self, name: str) -> Path:
        path = self._path.parent / name
        self.files.append(path)
        return path


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        raise ValueError("addresses are https, or on loopback")
    return value


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is a text, and needed")
    return value.strip()


def _texts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError(f"{name} is a list of texts")
    return tuple(value)


def _flag(row: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = row.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is true or false")
    return value

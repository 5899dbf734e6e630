"""The user behind an HTTP request: a bearer token of an authorization server (IUA, ITI-72).

A token that is a JWT is verified here, with the keys that its issuer publishes; one that is not, or whose issuer wants
it so, is shown to the issuer (introspection). A token that names the certificate of its holder counts on connections
of that certificate alone.

Source: IHE IUA: 3.72; RFC 6750; RFC 7519; RFC 7662; RFC 8705: 3; RFC 8725.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from ihe import fibers
from ihe.claims import Claims, Recent
from ihe.errors import InvalidToken, Unavailable
from ihe.jwks import KeySource
from ihe.peer import Peer
from ihe.token_claims import read_claims

ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})
"""Of signatures that may be allowed at all: with a public key, and none broken."""
LONGEST_TOKEN: Final = 16 * 1024
"""Characters."""
_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Introspection:
    """Where an issuer tells what a token is.

    Attributes:
        url: of its introspection endpoint.
        client_id, client_secret: by which it knows us.
        keep_seconds: how long its answer is believed; so long a token that it revoked still counts.
        transport: for tests; ``None`` for the network.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    keep_seconds: float = 30.0
    transport: httpx.BaseTransport | None = None

    def ask(self, token: str) -> Mapping[str, Any]:
        """What the issuer says of a token.

        Raises:
            Unavailable: it does not answer, or not so.
        """
        try:
            answer = _client(self.transport).post(
                self.url, data={"token": token}, auth=(self.client_id, self.client_secret)
            )
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("the issuer of tokens does not answer") from error
        if answer.status_code != 200 or not isinstance(found, dict):
            raise Unavailable("the issuer of tokens does not say what the token is")
        return found


@lru_cache(maxsize=8)
def _client(transport: httpx.BaseTransport | None) -> httpx.Client:
    """One for all: to read the authorities of the system takes longer than to ask."""
    return httpx.Client(timeout=_TIMEOUT_SECONDS, transport=transport, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Somebody whose tokens are believed.

    Attributes:
        name: as ``iss`` says it.
        keys: with which it signs; ``None`` where every token is shown to it.
        introspection: where it tells what a token is; ``None`` where keys suffice.
        audiences: names (``aud``) under which this service is meant.
        clients: of an issuer that names no audience: the applications (``azp``, ``client_id``) whose tokens count.
        algorithms: of its signatures.
        acr: levels of login that suffice; empty for any.
        is_scoped: whether its tokens open only what their scopes name.
        must_be_bound: whether its tokens count only with the certificate that they name.
        is_of_opaque: whether tokens that are no JWT are its.
    """

    name: str
    keys: KeySource | None = None
    introspection: Introspection | None = None
    audiences: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    algorithms: frozenset[str] = frozenset({"RS256", "PS256", "ES256"})
    acr: frozenset[str] = frozenset()
    is_scoped: bool = True
    must_be_bound: bool = False
    is_of_opaque: bool = False


class BearerTokens:
    """Verifies tokens.

    Args:
        issuers: those who are believed; nobody else is.
        skew_seconds: how far clocks may differ.
        now: the clock, in seconds since 1970.
    """

    def __init__(
        self, issuers: Iterable[TokenIssuer], *, skew_seconds: float = 60.0, now: Callable[[], float] = time.time
    ) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._opaque = next((each for each in self._issuers.values() if each.is_of_opaque), None)
        self._skew = skew_seconds
        self._now = now
        self._verified: Recent[Mapping[str, Any]] = Recent()
        self._told: Recent[tuple[float, Mapping[str, Any]]] = Recent()

    def claims(self, authorization: str | None, peer: Peer) -> Claims | None:
        """What the token of a request says; ``None`` when it has none.

        Args:
            authorization: the header of that name.
            peer: who sent it, with the certificate that counts.

        Raises:
            InvalidToken: it does not hold, for whatever reason.
            Unavailable: its issuer must be asked, and does not answer.
        """
        scheme, _, token = (authorization or "").strip().partition(" ")
        if not scheme:
            return None
        fibers.keep_out()  # its issuer may have to be asked
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN:
            raise InvalidToken("a bearer token is expected")
        issuer = self._issuer(token)
        content = self._content(issuer, token)
        self._check(issuer, content, peer)
        return read_claims(content, issuer.name, is_scoped=issuer.is_scoped)

    def _issuer(self, token: str) -> TokenIssuer:
        stated = _unverified(token).get("iss")
        issuer = self._issuers.get(stated) if isinstance(stated, str) else self._opaque
        if issuer is None:
            raise InvalidToken("the issuer of the token is not one that is trusted")
        return issuer

    def _content(self, issuer: TokenIssuer, token: str) -> Mapping[str, Any]:
        name = (issuer.name, hashlib.sha256(token.encode()).digest())
        content: Mapping[str, Any] = {}
        if issuer.keys is not None:
            keys = issuer.keys
            content = self._verified.of(name, lambda: _verified(token, keys, issuer.algorithms))
        if issuer.introspection is not None:
            content = {**content, **self._introspected(issuer.introspection, name, token)}
        return content

    def _introspected(self, introspection: Introspection, name: Any, token: str) -> Mapping[str, Any]:
        asked_at, content = self._told.of(name, lambda: (self._now(), introspection.ask(token)))
        if self._now() - asked_at >= introspection.keep_seconds:
            self._told.forget(name)
            _, content = self._told.of(name, lambda: (self._now(), introspection.ask(token)))
        if content.get("active") is not True:
            raise InvalidToken("the token is not in force")
        return content

    def _check(self, issuer: TokenIssuer, content: Mapping[str, Any], peer: Peer) -> None:
        if content.get("iss", issuer.name) != issuer.name:
            raise InvalidToken("the token is of another issuer")
        self._check_time(content)
        if issuer.audiences:
            meant = not issuer.audiences.isdisjoint(_texts(content.get("aud")))
        else:
            meant = str(content.get("azp") or content.get("client_id") or "") in issuer.clients
        if not meant:
            raise InvalidToken("the token is meant for others")
        if issuer.acr and str(content.get("acr")) not in issuer.acr:
            raise InvalidToken("the login was weaker than what is required")
        _check_holder(issuer, content, peer)

    def _check_time(self, content: Mapping[str, Any]) -> None:
        now = self._now()
        times = {name: content[name] for name in ("exp", "nbf", "iat") if content.get(name) is not None}
        if any(
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
            for value in times.values()
        ):
            raise InvalidToken("a time in the token is none")
        if "exp" not in times:
            raise InvalidToken("a token says when it expires")
        if now >= times.pop("exp") + self._skew:
            raise InvalidToken("the token has expired")
        if any(now < value - self._skew for value in times.values()):
            raise InvalidToken("the token is not valid yet")


def _check_holder(issuer: TokenIssuer, content: Mapping[str, Any], peer: Peer) -> None:
    """A token that names its holder's certificate is shown with it (Source: RFC 8705: 3)."""
    bound = content.get("cnf")
    if bound is None and not issuer.must_be_bound:
        return
    expected = bound.get("x5t#S256") if isinstance(bound, dict) and len(bound) == 1 else None
    digest = hashlib.sha256(peer.certificate).digest() if peer.certificate else b""
    if not digest or expected != base64.urlsafe_b64encode(digest).decode().rstrip("="):
        raise InvalidToken("the token is bound to another certificate, or to none where it must be")


def _verified(token: str, keys: KeySource, algorithms: Collection[str]) -> Mapping[str, Any]:
    """The content of a JWT whose signature holds; keys that are not known yet are fetched once."""
    for known in (keys.present, keys.renewed):
        key_set = known()
        if key_set is None:
            break
        try:
            return _decoded(token, key_set, algorithms)
        except InvalidKeyIdError:
            continue
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken("the signature of the token does not hold") from error
    raise InvalidToken("the token is signed with a key that its issuer does not publish")


def _decoded(token: str, keys: KeySet, algorithms: Collection[str]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = jwt.decode(token, keys, algorithms=list(algorithms)).claims
    return content


def _unverified(token: str) -> Mapping[str, Any]:
    """What a JWT says before it is verified: by its issuer the keys are chosen, and nothing else; empty of no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]

"""Login by an OpenID provider with the authorisation code flow and PKCE; made for Pro Santé Connect, fits others.

Source: OpenID Connect Core 1.0: 3.1; RFC 7636; Pro Santé Connect (acr_values eidas1, scope_all, userinfo with
``SubjectNameID`` and ``SubjectRefPro``).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ihe.errors import NotAuthenticated, Unavailable

_ALGORITHMS = ["RS256", "PS256", "ES256"]
_TIMEOUT_SECONDS = 10.0
_LEEWAY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The provider, and how it knows us.

    Attributes:
        issuer: its URL; its configuration is read from there.
        acr_values: level of assurance asked for, and then required where the provider states one; empty for none.
    """

    issuer: str
    client_id: str
    client_secret: str
    scope: str = "openid scope_all"
    acr_values: str = "eidas1"


@dataclass(frozen=True, slots=True)
class Asserted:
    """Whom the provider vouches for.

    Attributes:
        subject: ``SubjectNameID`` where there is one, else ``sub``.
        finess: sites of the person's activities, by FINESS; empty when the provider tells of none.
        id_token: hint for its logout.
    """

    subject: str
    finess: frozenset[str]
    id_token: str


class OidcClient:
    """Sends people to the provider and reads what it says of them when they return.

    Args:
        transport: for tests; ``None`` for the network.
    """

    def __init__(self, settings: OidcSettings, transport: httpx.BaseTransport | None = None) -> None:
        self.settings = settings
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, transport=transport)
        self._lock = threading.Lock()
        self._configuration: Mapping[str, Any] | None = None

    def begin(self, redirect_uri: str) -> tuple[str, dict[str, str]]:
        """The address to send the person to, and what must be remembered until they return.

        Raises:
            Unavailable: the provider does not answer.
        """
        pending = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
            "redirect_uri": redirect_uri,
        }
        asked = {
            "nonce": pending["nonce"],
            "code_challenge": create_s256_code_challenge(pending["verifier"]),
            "code_challenge_method": "S256",
        }
        if self.settings.acr_values:
            asked["acr_values"] = self.settings.acr_values
        address = prepare_grant_uri(
            self._configured("authorization_endpoint"),
            self.settings.client_id,
            "code",
            redirect_uri,
            self.settings.scope,
            pending["state"],
            **asked,
        )
        return str(address), pending

    def finish(self, pending: Mapping[str, str], state: str, code: str) -> Asserted:
        """Redeem the code that the person came back with.

        Raises:
            NotAuthenticated: the return does not belong to the login begun here, or the provider's word does not hold.
            Unavailable: the provider does not answer.
        """
        if not code or not pending or not secrets.compare_digest(pending["state"], state):
            raise NotAuthenticated("the login that was begun here is another one")
        tokens = self._asked(
            "POST",
            self._configured("token_endpoint"),
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": pending["redirect_uri"],
                "code_verifier": pending["verifier"],
            },
            auth=(self.settings.client_id, self.settings.client_secret),
        )
        id_token, access_token = str(tokens.get("id_token", "")), str(tokens.get("access_token", ""))
        claims = self._verified(id_token, access_token, pending["nonce"])
        told = self._asked(
            "GET", self._configured("userinfo_endpoint"), headers={"Authorization": f"Bearer {access_token}"}
        )
        if told.get("sub") != claims["sub"]:
            raise NotAuthenticated("the provider speaks of two people")
        subject = str(told.get("SubjectNameID") or claims["sub"])
        return Asserted(subject, frozenset(_finess(told)), id_token)

    def logout_address(self, id_token: str, return_to: str) -> str | None:
        """Where the provider ends its own session, or ``None``."""
        address = self._known().get("end_session_endpoint")
        if not address:
            return None
        return str(
            httpx.URL(address).copy_merge_params(
                {"id_token_hint": id_token, "post_logout_redirect_uri": return_to, "client_id": self.settings.client_id}
            )
        )

    def _verified(self, id_token: str, access_token: str, nonce: str) -> Mapping[str, Any]:
        keys = self._asked("GET", self._configured("jwks_uri"))
        try:
            token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS)  # type: ignore[arg-type]
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self._configured("issuer")},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                {"nonce": nonce, "client_id": self.settings.client_id, "access_token": access_token},
            )
            claims.validate(leeway=_LEEWAY_SECONDS)
        except (JoseError, ValueError) as error:
            raise NotAuthenticated("the provider's token does not hold") from error
        stated = claims.get("acr")
        if self.settings.acr_values and stated and stated not in self.settings.acr_values.split():
            raise NotAuthenticated("the login was weaker than what is required")
        verified: Mapping[str, Any] = dict(claims)
        return verified

    def _configured(self, name: str) -> str:
        value = self._known().get(name)
        if not isinstance(value, str):
            raise Unavailable(f"the identity provider does not state its {name}")
        return value

    def _known(self) -> Mapping[str, Any]:
        with self._lock:
            if self._configuration is None:
                issuer = self.settings.issuer.rstrip("/")
                found = self._asked("GET", f"{issuer}/.well-known/openid-configuration")
                if str(found.get("issuer", "")).rstrip("/") != issuer:
                    raise Unavailable("the identity provider names another issuer than the settings")
                self._configuration = found
            return self._configuration

    def _asked(self, method: str, address: str, **more: Any) -> Mapping[str, Any]:
        try:
            answer = self._client.request(method, address, **more)
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("the identity provider does not answer") from error
        if answer.status_code != 200 or not isinstance(found, dict):
            raise NotAuthenticated("the identity provider refused")
        return found


def _finess(told: Mapping[str, Any]) -> Iterator[str]:
    """The sites of a person's activities, as far as the claims have the shape of Pro Santé Connect."""
    reference = told.get("SubjectRefPro")
    for practice in (reference.get("exercices") or ()) if isinstance(reference, dict) else ():
        for activity in practice.get("activities") or ():
            for name in ("numeroFinessSite", "numeroFinessetablissementJuridique"):
                if activity.get(name):
                    yield str(activity[name])

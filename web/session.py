"""A session: who works here, in what role and for which establishment.

The browser holds 256 random bits in a cookie that scripts cannot read; everything else is kept by the server, so that
ending a session ends it everywhere. The token that protects forms is derived from the cookie and never stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

from ihe.caller import Caller
from ihe.confidentiality import SEES_HIDDEN
from web.roles import REGIONAL_STEWARD

COOKIE: Final = "traitdunion_session"
LONGEST: Final = timedelta(hours=10)
IDLE: Final = timedelta(minutes=30)


def new_token() -> str:
    """A token nobody can guess (256 bits)."""
    return secrets.token_urlsafe(32)


def form_token(session_token: str) -> str:
    """The token that a form of this session carries (CSRF)."""
    return hmac.new(session_token.encode(), b"form", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at work.

    Attributes:
        subject: as the identity provider names them.
        sites: codes of the establishments they may act for.
        site: the one they act for now; ``None`` for regional roles, and before they chose.
        opened: persons (founder ids) whose record was opened by break-glass, each with the reason.
        pending: of a login under way: state, nonce, verifier, where to go; then nobody is logged in.
        id_token: hint for the provider's logout.
    """

    subject: str = ""
    name: str = ""
    roles: frozenset[str] = frozenset()
    sites: tuple[str, ...] = ()
    site: str | None = None
    opened: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, str] = field(default_factory=dict)
    id_token: str = ""

    @property
    def is_open(self) -> bool:
        """Whether somebody is logged in and acts for an establishment where their role needs one."""
        return bool(self.subject) and (self.site is not None or not self.sites)

    @property
    def is_regional(self) -> bool:
        """Whether they see every domain."""
        return REGIONAL_STEWARD in self.roles

    def caller(self, node: str, purpose: str = "normal", reason: str | None = None) -> Caller:
        """As services and audit know them."""
        sees = frozenset({SEES_HIDDEN}) if self.is_regional else frozenset()
        return Caller(node, self.site, self.subject or None, self.roles | sees, purpose, reason=reason)

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        return {**asdict(self), "roles": sorted(self.roles), "opened": dict(self.opened), "pending": dict(self.pending)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Session:
        """From the store."""
        return cls(**{**content, "roles": frozenset(content["roles"]), "sites": tuple(content["sites"])})

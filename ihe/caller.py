"""Who is calling: resolved once at the edge and handed to every service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ihe.claims import SingleUse
from ihe.values import Oid


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated origin of a request.

    Attributes:
        node: the system that opened the connection (its name in the region's table, or the peer address in demo mode).
        site: domain code of the establishment the caller acts for, or ``None`` when it is bound to none
            (the region's own tools, or demo mode).
        user: user identifier, or ``None`` for a system acting by itself.
        roles: role names.
        purpose: purpose of use (``normal``, ``bris_de_glace``, ``centre_15``).
        reason: why that purpose is declared, in the caller's words; ``None`` where the wire has no place for it.
        authority: assigning authority of the site, under which alone the caller writes; ``None`` where that is not
            limited (see ``site``).
        scopes: transactions to which the caller's token is limited; ``None`` for no limit.
        vouched: the user as the issuer of an assertion or token vouches for them, ``alias<user@issuer>``; ``None``
            where there is no issuer. Two issuers may call two people alike.
        patient: the one patient (CX) about whom the user's assertion or token is; ``None`` where it names none.
        single_use: of an assertion that counts once: it is used up before the request is served.
    """

    node: str
    site: str | None = None
    user: str | None = None
    roles: frozenset[str] = frozenset()
    purpose: str = "normal"
    authority: Oid | None = None
    scopes: frozenset[str] | None = None
    vouched: str | None = None
    patient: str | None = None
    single_use: SingleUse | None = None
    reason: str | None = None

    @property
    def label(self) -> str:
        """Short name for history: the user, else the node."""
        return self.named_user or self.node

    @property
    def named_user(self) -> str | None:
        """The user as history and audit name them: with their issuer, where there is one."""
        return self.vouched or self.user

    def to_json(self) -> dict[str, Any]:
        """For what is done later on the caller's behalf, and only reads; JSON values."""
        return {
            "node": self.node,
            "site": self.site,
            "user": self.user,
            "roles": sorted(self.roles),
            "purpose": self.purpose,
            "reason": self.reason,
            "scopes": None if self.scopes is None else sorted(self.scopes),
            "vouched": self.vouched,
            "patient": self.patient,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Caller:
        """From the store."""
        scopes = kept.get("scopes")
        return cls(
            **{
                **kept,
                "roles": frozenset(kept["roles"]),
                "scopes": None if scopes is None else frozenset(scopes),
            }
        )


REGION = Caller(node="traitdunion", roles=frozenset({"region"}))
"""The service acting by itself (bulk load, dispatcher, command line)."""

"""Who is calling: resolved once at the edge and handed to every service."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    node: str
    site: str | None = None
    user: str | None = None
    roles: frozenset[str] = frozenset()
    purpose: str = "normal"
    authority: Oid | None = None
    scopes: frozenset[str] | None = None
    reason: str | None = None

    @property
    def label(self) -> str:
        """Short name for history and audit: the user, else the node."""
        return self.user or self.node


REGION = Caller(node="traitdunion", roles=frozenset({"region"}))
"""The service acting by itself (bulk load, dispatcher, command line)."""

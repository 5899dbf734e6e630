"""Who is calling: resolved once at the edge and handed to every service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated origin of a request.

    Attributes:
        node: the system that opened the connection (certificate subject, or the peer address in demo mode).
        site: domain code of the establishment the caller acts for, or ``None`` when it is bound to none
            (the region's own tools, or demo mode).
        user: user identifier, or ``None`` for a system acting by itself.
        roles: role names.
        purpose: purpose of use (``normal``, ``bris_de_glace``, ``centre_15``).
    """

    node: str
    site: str | None = None
    user: str | None = None
    roles: frozenset[str] = frozenset()
    purpose: str = "normal"

    @property
    def label(self) -> str:
        """Short name for history and audit: the user, else the node."""
        return self.user or self.node


REGION = Caller(node="traitdunion", roles=frozenset({"region"}))
"""The service acting by itself (bulk load, dispatcher, command line)."""

"""What the index needs of others, named here so that it imports none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ihe.values import AssigningAuthority
from mpi.domain.community import CommunityAnswer, Inquiry


class Domain(Protocol):
    """An identification domain (assigning authority) of the region."""

    @property
    def code(self) -> str:
        """Stable code, for example ``ROANNE``."""

    @property
    def kind(self) -> str:
        """``establishment``, ``platform``, ``region`` or ``national``."""

    @property
    def authority(self) -> AssigningAuthority:
        """Namespace and OID under which it assigns identifiers."""

    @property
    def notified_of(self) -> Sequence[str]:
        """Codes of the domains whose identifiers its notifications tell; empty for all."""


class Domains(Protocol):
    """The table of domains."""

    def __iter__(self) -> Iterator[Domain]:
        """All domains."""

    def by_code(self, code: str) -> Domain:
        """The domain of that code; ``KeyError`` when there is none."""

    def by_authority(self, authority: AssigningAuthority) -> Domain | None:
        """The domain of that authority (the OID decides where it is given), or ``None``."""


class OtherCommunities(Protocol):
    """Other communities, of whom one asks whom they know; whatever goes wrong is part of the answer."""

    def ask(self, inquiry: Inquiry) -> Sequence[CommunityAnswer]:
        """Ask all at once, each for as long as its time limit, and remember what they answer.

        Takes a database connection of its own, and only after the answers.
        """


class NoCommunities:
    """Of a region that asks none."""

    def ask(self, inquiry: Inquiry) -> Sequence[CommunityAnswer]:
        """None answers."""
        return ()

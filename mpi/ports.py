"""What the index needs of others, named here so that it imports none of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ihe.values import AssigningAuthority


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


class Domains(Protocol):
    """The table of domains."""

    def __iter__(self) -> Iterator[Domain]:
        """All domains."""

    def by_code(self, code: str) -> Domain:
        """The domain of that code; ``KeyError`` when there is none."""

    def by_authority(self, authority: AssigningAuthority) -> Domain | None:
        """The domain of that authority (the OID decides where it is given), or ``None``."""

"""Which domain answers for the patients of a domain that ended, because its site became part of another's.

The domain that ended stays one of the region: what was filed under its identifiers stays found by them. From the moment
of its succession its successor feeds for it, renumbers its patients and is notified of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Succession:
    """One domain taken over by another.

    Attributes:
        domain, successor: codes.
        effective_at: from when on.
        event_id: the identity event that recorded it, by which it is undone.
    """

    domain: str
    successor: str
    effective_at: datetime
    event_id: int


class Successions:
    """The successions in force at a moment, each domain with at most one successor, and never in a circle."""

    def __init__(self, known: Iterable[Succession], at: datetime) -> None:
        self._successor = {each.domain: each.successor for each in known if each.effective_at <= at}

    def heir(self, domain: str) -> str:
        """The domain that answers for a domain's patients: itself, its successor, or that one's successor."""
        while domain in self._successor:
            domain = self._successor[domain]
        return domain

    def estate(self, domain: str) -> frozenset[str]:
        """The domains for whose patients a domain answers, itself included; none when it was itself succeeded."""
        if domain in self._successor:
            return frozenset()
        return frozenset({domain, *(each for each in self._successor if self.heir(each) == domain)})

"""This community among others: which homeCommunityId is ours, whose gateway has another, and what gateways answer.

Source: ITI TF-2: 3.38, 3.39 (XCA).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ihe.communities import Community
from ihe.errors import Finding
from ihe.values import Oid


@dataclass(frozen=True, slots=True)
class Communities:
    """The communities known here.

    Attributes:
        own: homeCommunityId of this one.
        others: those whose gateways may be asked.
    """

    own: Oid
    others: tuple[Community, ...] = ()

    def is_own(self, home: str | None) -> bool:
        """Whether a homeCommunityId is this community's."""
        return home is not None and home.removeprefix("urn:oid:") == self.own

    def other(self, home: str | None) -> Community | None:
        """The other community of a homeCommunityId, or ``None``."""
        wanted = (home or "").removeprefix("urn:oid:")
        return next((each for each in self.others if each.home_community_id == wanted), None)


def unknown_community(home: str) -> Finding:
    """The finding about a homeCommunityId that is nobody's here."""
    return Finding("XDSUnknownCommunity", f"{home[:100]} is no community known here", home[:100])


def missing_home(what: str) -> Finding:
    """The finding about a request that must name a community."""
    return Finding("XDSMissingHomeCommunityId", f"{what} must name a homeCommunityId")


def located(findings: Iterable[Finding], home: str) -> tuple[Finding, ...]:
    """The findings as a community's: their location is its homeCommunityId (ITI TF-2: 3.38.4.1.3)."""
    return tuple(replace(each, location=home) for each in findings)


@dataclass(frozen=True, slots=True)
class CommunityAnswer:
    """What one community's gateway answered to a query.

    Attributes:
        is_failure: whether it refused, or could not be asked.
        objects: ebRIM elements in UTF-8.
    """

    is_failure: bool
    findings: tuple[Finding, ...] = ()
    objects: Sequence[bytes] = ()

"""Who may answer a task, and what follows from the answers given so far: pure rules.

The establishments that own the two records vote; the region settles what they cannot. A qualified identity needs two
people. Both are policy.

Source: RNIV (four-eyes on qualified identities is the region's own rule); EPS: votes POUR and CONTRE of both owners,
arbitration by the regional cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SITE_STEWARD: Final = "site-steward"
REGIONAL_STEWARD: Final = "regional-steward"
REGION_DESK: Final = ""
"""The site under which the region votes, assigns and claims."""

ANSWERS: Final = ("same", "different", "unknown")

_RISK: Final = {"suspected-overlay": 1.0, "ins-conflict": 0.9, "decision-conflict": 0.7, "doubtful-identity": 0.5}


def risk_of(kind: str, weight_bits: float | None) -> float:
    """How much harm a task left alone may do, from 0 to 1.

    One record that carries two people is the worst; then two identities with one qualified INS; two records of one
    person the more, the likelier they are.
    """
    return _RISK.get(kind) or min(0.6, max(0.1, (weight_bits or 0.0) / 60))


class Stage(StrEnum):
    """Where a task stands."""

    NEW = "new"
    VOTING = "voting"
    SECOND_PERSON = "second-person"
    ARBITRATION = "arbitration"
    CORRECTION = "correction"
    """Decided; an establishment must now correct its own system."""
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer.

    Attributes:
        site: domain code of the establishment they act for; :data:`REGION_DESK` for the region.
        answer: ``same``, ``different`` or ``unknown``.
    """

    site: str
    by: str
    answer: str


@dataclass(frozen=True, slots=True)
class BallotPolicy:
    """How answers become decisions.

    Attributes:
        both_sites: every owning establishment must vote; else one answer of one of them decides.
        four_eyes: where an identity is qualified, two different people must give the answer.
    """

    both_sites: bool = True
    four_eyes: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from the answers.

    Attributes:
        verdict: ``same`` or ``different`` where decided, else ``None``.
        waiting_for: sites whose answer is missing; :data:`REGION_DESK` stands for the region.
    """

    stage: Stage
    verdict: str | None = None
    waiting_for: tuple[str, ...] = ()


def outcome(policy: BallotPolicy, sites: Sequence[str], votes: Sequence[Vote], *, qualified: bool) -> Outcome:
    """Count the votes.

    Args:
        sites: owners of the records, without repetition, in order.
        votes: in force, oldest first; of one person's answers only the last counts.
        qualified: an identity with a qualified INS is concerned.
    """
    last = {vote.by: vote for vote in votes}
    in_force = [vote for vote in votes if last[vote.by] is vote]
    decisive = [vote for vote in in_force if vote.answer != "unknown"]
    if not votes:
        return Outcome(Stage.NEW, waiting_for=tuple(sites))
    regional = [vote.answer for vote in decisive if vote.site == REGION_DESK]
    verdict = regional[-1] if regional else _verdict_of_sites(policy, sites, decisive)
    if isinstance(verdict, Outcome):
        return verdict
    people = {vote.by for vote in decisive if vote.answer == verdict}
    if qualified and policy.four_eyes and len(people) < 2:
        waiting = (REGION_DESK,) if regional else tuple(sites)
        return Outcome(Stage.SECOND_PERSON, waiting_for=waiting)
    return Outcome(Stage.DECIDED, verdict)


def _verdict_of_sites(policy: BallotPolicy, sites: Sequence[str], decisive: Sequence[Vote]) -> str | Outcome:
    answers = {vote.answer for vote in decisive}
    missing = tuple(site for site in sites if all(vote.site != site for vote in decisive))
    needs_all = policy.both_sites and len(sites) > 1
    # A vote against the link is never the last word of one establishment: the region validates it.
    if len(answers) > 1 or (needs_all and "different" in answers):
        return Outcome(Stage.ARBITRATION, waiting_for=(REGION_DESK,))
    if not answers or (needs_all and missing):
        return Outcome(Stage.VOTING, waiting_for=missing or tuple(sites))
    return answers.pop()

"""The wired parts of the index that its services and transactions use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ihe.audit_message import AuditSource
from ihe.callbacks import CallbackRule
from ihe.values import Oid
from mpi.domain.stewardship import BallotPolicy
from mpi.ports import Domains, NoCommunities, OtherCommunities

if TYPE_CHECKING:
    from mpi.domain.grades import LinkPolicy
    from mpi.domain.model import MatchModel

ALL_GRADES = frozenset({"certain", "probable"})


@dataclass(frozen=True, slots=True)
class MpiApplication:
    """What region's bootstrap hands to the index.

    Attributes:
        domains: the table of domains.
        model: the match model in force.
        policy: which grades link by themselves.
        regional_domain: code of the domain of regional ids.
        ins_domains: codes of the national domains, whose identifiers are INS.
        answered_grades: grades of links with which a domain is answered that :attr:`answer_grades` does not name.
        answer_grades: grades of links with which a domain is answered, by its code.
        answer_limit: at most so many patients in one answer.
        search_limit: at most so many patients found by one search that is answered in pages.
        ballot: how stewards' answers become decisions.
        sources_unmerge: whether a source may take a merge of its own records back (ITI-93); else only a steward may.
        callbacks: which addresses that callers name may be written to.
        home_community_id: by which the region answers other communities, or ``None`` when it answers none.
        communities: other communities, which are asked whom they know.
        audit_source: as which this service writes the audit trail.
    """

    domains: Domains
    model: MatchModel
    policy: LinkPolicy
    regional_domain: str = "REGION"
    ins_domains: tuple[str, ...] = ("INS-NIR", "INS-NIA")
    answered_grades: frozenset[str] = ALL_GRADES
    answer_grades: Mapping[str, frozenset[str]] = field(default_factory=dict)
    answer_limit: int = 200
    search_limit: int = 2000
    callbacks: CallbackRule = field(default_factory=CallbackRule)
    home_community_id: Oid | None = None
    communities: OtherCommunities = field(default_factory=NoCommunities)
    audit_source: AuditSource = field(default_factory=lambda: AuditSource("traitdunion", None, {}))
    ballot: BallotPolicy = field(default_factory=BallotPolicy)
    sources_unmerge: bool = False

    def grades_for(self, domain: str | None) -> frozenset[str]:
        """The link grades with which a domain is answered."""
        return self.answer_grades.get(domain or "", self.answered_grades)

    def answers(self, domain: str | None, *grades: str | None) -> bool:
        """Whether a domain is told of what two records share when their links to the person are of these grades.

        The link between them is as good as the weaker one; a founder's link has no grade.
        """
        return self.grades_for(domain).issuperset(set(grades) - {None})

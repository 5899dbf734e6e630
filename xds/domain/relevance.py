"""Which prior studies a reader looks at first: same region and modality, then region, then modality, then the rest;
the latest first among equals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from xds.domain.priors import PriorStudy


class Relevance(StrEnum):
    """What a prior study has in common with what is being read, the most relevant first."""

    REGION_AND_MODALITY = "region-and-modality"
    REGION = "region"
    MODALITY = "modality"
    NEITHER = "neither"


_RANK = {relevance: rank for rank, relevance in enumerate(Relevance)}


@dataclass(frozen=True, slots=True)
class Interest:
    """What is being read.

    Attributes:
        modalities: DICOM codes; empty: not known.
        regions: codes of anatomic regions; empty: not known.
    """

    modalities: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()

    @classmethod
    def in_study(cls, study: PriorStudy) -> Interest:
        """What somebody who reads that study is interested in."""
        facts = study.facts
        return cls(frozenset(facts.modalities), frozenset(region.code for region in facts.regions))

    def relevance(self, study: PriorStudy) -> Relevance:
        """What a study has in common with it."""
        facts = study.facts
        has_region = not self.regions.isdisjoint(region.code for region in facts.regions)
        has_modality = not self.modalities.isdisjoint(facts.modalities)
        if has_region:
            return Relevance.REGION_AND_MODALITY if has_modality else Relevance.REGION
        return Relevance.MODALITY if has_modality else Relevance.NEITHER

    def ordered(self, studies: Iterable[PriorStudy]) -> list[tuple[PriorStudy, Relevance]]:
        """Studies that come latest first, by relevance, and still latest first among equals."""
        found = [(study, self.relevance(study)) for study in studies]
        return sorted(found, key=lambda each: _RANK[each[1]])


NO_INTEREST = Interest()
"""Nothing is known of what is being read: the latest study comes first."""

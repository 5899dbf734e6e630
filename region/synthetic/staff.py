"""Radiologists of the invented region, one small team per site, with professional numbers that are given to nobody."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mpi.domain.identity import Sex
from region.region_table import Domain
from region.synthetic import vocabulary

PROFESSIONALS = "1.2.250.1.71.4.2.1"
STRUCTURES = "1.2.250.1.71.4.2.2"


@dataclass(frozen=True, slots=True)
class Professional:
    """Somebody who signs reports.

    Attributes:
        national_id: like an IDNPS (8, then eleven digits), of a range that no professional has.
    """

    national_id: str
    family_name: str
    given_name: str

    @property
    def xcn(self) -> str:
        """The person in HL7 XCN notation."""
        return f"{self.national_id}^{self.family_name}^{self.given_name}^^^^^^&{PROFESSIONALS}&ISO^D^^^IDNPS"


def team(rank: int) -> tuple[Professional, ...]:
    """The three radiologists of the site with this rank in the region; always the same."""
    rng = random.Random(rank)  # noqa: S311 - nothing secret is drawn
    return tuple(
        Professional(
            f"899999{rank:03d}{number:03d}",
            rng.choice(vocabulary.FAMILY_NAMES[-40:]).upper(),
            rng.choice(vocabulary.given_names(rng.choice((Sex.FEMALE, Sex.MALE)), 1975)),
        )
        for number in range(1, 4)
    )


def structure_id(rank: int) -> str:
    """The national number of the site with this rank (1, then like a FINESS number), one that no structure has."""
    return f"1429999{rank:03d}"


def institution_xon(site: Domain, rank: int) -> str:
    """The site in HL7 XON notation."""
    return f"{site.name}^^^^^&{STRUCTURES}&ISO^IDNST^^^{structure_id(rank)}"

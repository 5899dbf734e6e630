"""Match models set by hand: a start before a population has been learned from, and a fall-back."""

from __future__ import annotations

from functools import cache

from mpi.domain.model import Level, MatchModel, Thresholds

_MISSING = Level(1.0, 1.0)


def _levels(*rows: tuple[float, float] | tuple[float, float, float]) -> tuple[Level, ...]:
    return (_MISSING, *(Level(*row) for row in rows))


@cache
def default_french() -> MatchModel:
    """Parameters for French regional data, from the published rates and the INSEE tables."""
    return MatchModel(
        name="French regional, set by hand",
        levels={
            "family": _levels(
                (0.86, 1.5e-4, 1.0),  # SAME
                (0.05, 1.5e-4, 1.0),  # USED
                (0.03, 1.0e-4, 0.7),  # PART
                (0.025, 8.0e-5, 0.6),  # MISSPELT
                (0.004, 3.0e-4, 0.3),  # CLOSE
                (0.006, 4.0e-4, 0.3),  # NEAR
                (0.008, 1.0e-6),  # CROSSED
                (0.025, 0.95),  # DIFFERENT_USED_POSSIBLE
                (0.004, 0.95),  # DIFFERENT
            ),
            "given": _levels(
                (0.50, 2.0e-3, 1.0),  # LIST
                (0.30, 8.0e-3, 1.0),  # FIRST
                (0.01, 8.0e-3, 1.0),  # FIRST_ONLY
                (0.05, 3.0e-3, 0.8),  # PREFIX
                (0.04, 8.0e-3, 0.7),  # LISTED
                (0.01, 1.0e-3, 0.3),  # DIMINUTIVE
                (0.03, 5.0e-4, 0.4),  # MISSPELT
                (0.01, 2.0e-3, 0.3),  # CLOSE
                (0.004, 0.05),  # INITIAL
                (0.008, 1.0e-2),  # CROSSED
                (0.0015, 0.02),  # COMPOUND_CONFLICT
                (0.0015, 0.02),  # SIMILAR
                (0.010, 0.95),  # DIFFERENT
            ),
            "birth": _levels(
                (0.93, 3.2e-5),  # SAME
                (0.01, 1.5e-4),  # SAME_DEFAULT
                (0.005, 1.0e-3),  # SAME_MONTH
                (0.005, 1.2e-2),  # SAME_YEAR
                (0.01, 5.0e-4),  # DEFAULT_YEAR
                (0.008, 2.0e-5),  # SWAPPED
                (0.025, 1.0e-3),  # ONE_DIGIT
                (0.002, 3.0e-5),  # CENTURY
                (0.008, 3.0e-3),  # TWO_PARTS
                (0.004, 0.97),  # DIFFERENT
            ),
            "sex": _levels(
                (0.992, 0.5),  # SAME
                (0.5, 0.5),  # DIFFERENT_EPICENE
                (0.005, 0.5),  # DIFFERENT
            ),
            "place": _levels(
                (0.94, 0.035, 0.8),  # SAME
                (0.95, 0.02, 0.5),  # COUNTRY
                (0.5, 0.05),  # RENAMED
                (0.02, 0.12),  # DEPARTMENT
                (0.02, 0.80),  # DIFFERENT
            ),
            "ins": _levels(
                (0.97, 1.0e-8),  # SAME_QUALIFIED
                (0.97, 1.0e-7),  # SAME_HALF_QUALIFIED
                (0.95, 1.0e-6),  # SAME
                (0.3, 1.0e-4),  # SAME_BORROWED
                (0.0005, 1.0),  # DIFFERENT_QUALIFIED
                (0.02, 1.0),  # DIFFERENT
            ),
            "contact": _levels(
                (0.35, 1.5e-5),  # PHONE_AND_ADDRESS
                (0.20, 4.0e-5),  # PHONE
                (0.15, 3.0e-5),  # ADDRESS
                (0.15, 0.04),  # AREA
                (0.15, 0.96),  # DIFFERENT
                (0.5, 0.5),  # HOUSEHOLD
                (0.5, 0.5),  # NOT_HOUSEHOLD
            ),
            "mother": _levels((0.95, 2.0e-3), (0.05, 0.998)),
            "rank": _levels((0.95, 0.5), (0.01, 0.5)),
            "death": _levels((0.95, 1.0e-4), (0.05, 0.999)),
        },
    )


@cache
def generic() -> MatchModel:
    """Parameters for data of no particular country: rarity is not known until learned, no French rule applies."""
    french = default_french()
    return MatchModel(
        name="generic, set by hand",
        levels=french.levels,
        thresholds=Thresholds(automatic=24.0, possible=18.0, cohesion=10.0, margin=0.0, prior=17.0),
        surnames={},
        given_names={},
        places={},
        unlisted_bits={"family": 10.0, "given": 7.0, "place": 8.0},
        average_bits={"family": 10.0, "given": 7.0, "place": 8.0},
        french=False,
    )

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
                (0.93, 1.5e-4, 1.0),  # SAME
                (0.015, 1.0e-4, 1.0),  # USED
                (0.004, 5.0e-5, 0.7),  # PART
                (0.030, 8.0e-5, 0.6),  # MISSPELT
                (0.001, 3.0e-4, 0.3),  # CLOSE
                (0.002, 2.0e-4, 0.3),  # NEAR
                (0.005, 3.0e-7),  # CROSSED
                (0.008, 0.95),  # DIFFERENT_USED_POSSIBLE
                (0.001, 0.95),  # DIFFERENT
                (0.20, 2.0e-8, 1.0),  # SAME_AND_USED
            ),
            "given": _levels(
                (0.23, 4.0e-4, 1.0),  # LIST
                (0.70, 7.8e-3, 1.0),  # FIRST
                (0.006, 1.0e-3, 0.7),  # USED
                (0.002, 1.0e-3, 0.7),  # PREFIX
                (0.008, 4.0e-3, 0.6),  # LISTED
                (0.003, 4.0e-4, 0.3),  # DIMINUTIVE
                (0.025, 4.0e-4, 0.4),  # MISSPELT
                (0.003, 2.0e-4, 0.4),  # SPELLING
                (0.002, 0.05),  # INITIAL
                (0.5, 0.5),  # CROSSED
                (0.0005, 6.0e-3, 1.0),  # LISTS_CONFLICT
                (0.001, 0.02),  # COMPOUND_CONFLICT
                (0.002, 0.01),  # SIMILAR
                (0.004, 0.95),  # DIFFERENT
            ),
            "birth": _levels(
                (0.95, 3.0e-5),  # SAME
                (0.009, 1.0e-4),  # SAME_DEFAULT
                (0.002, 1.0e-3),  # SAME_MONTH
                (0.005, 1.2e-2),  # SAME_YEAR
                (0.005, 5.0e-4),  # DEFAULT_YEAR
                (0.003, 1.5e-5),  # SWAPPED
                (0.015, 1.0e-3),  # ONE_DIGIT
                (0.0002, 3.0e-5),  # CENTURY
                (0.002, 3.0e-3),  # TWO_PARTS
                (0.0008, 0.97),  # DIFFERENT
            ),
            "sex": _levels(
                (0.992, 0.49),  # SAME
                (0.003, 0.03),  # DIFFERENT_EPICENE
                (0.005, 0.48),  # DIFFERENT
            ),
            "place": _levels(
                (0.93, 0.035, 0.8),  # SAME
                (0.05, 2.5e-3),  # COUNTRY
                (0.002, 5.0e-4),  # RENAMED
                (0.010, 0.12),  # DEPARTMENT
                (0.005, 0.80),  # DIFFERENT
            ),
            "ins": _levels(
                (0.97, 1.0e-8),  # SAME_QUALIFIED
                (0.97, 1.0e-7),  # SAME_HALF_QUALIFIED
                (0.95, 1.0e-6),  # SAME
                (0.3, 1.0e-4),  # SAME_BORROWED
                (0.02, 2.0e-4),  # CLOSE
                (0.0005, 1.0),  # DIFFERENT_QUALIFIED
                (0.02, 1.0),  # DIFFERENT
            ),
            "contact": _levels(
                (0.20, 3.0e-6),  # PERSONAL_AND_ADDRESS
                (0.08, 3.0e-6),  # PERSONAL
                (0.14, 3.0e-5),  # PHONE_AND_ADDRESS
                (0.04, 3.0e-5),  # PHONE
                (0.37, 1.0e-4),  # ADDRESS
                (0.035, 0.04),  # AREA
                (0.135, 0.96),  # DIFFERENT
                (0.5, 0.1),  # HOUSEHOLD_PERSONAL
                (0.5, 0.5),  # HOUSEHOLD
                (0.3, 0.5),  # NOT_HOUSEHOLD
            ),
            "mother": _levels((0.95, 2.0e-3), (0.05, 0.998)),
            "rank": _levels((0.95, 0.5), (0.01, 0.5)),
            "death": _levels((0.95, 1.0e-4), (0.05, 0.999)),
        },
    )


@cache
def generic() -> MatchModel:
    """Parameters for data of no particular country: rarity is not known until learned, no French rule applies."""
    return MatchModel(
        name="generic, set by hand",
        levels={
            **default_french().levels,
            "family": _levels(
                (0.90, 1.5e-3, 1.0),  # SAME
                (0.010, 1.0e-4),  # USED
                (0.005, 5.0e-4),  # PART
                (0.060, 1.0e-3),  # MISSPELT
                (1.0e-4, 1.0e-4),  # CLOSE
                (0.010, 3.0e-3),  # NEAR
                (0.005, 1.0e-6),  # CROSSED
                (0.010, 0.99),  # DIFFERENT_USED_POSSIBLE
                (0.010, 0.99),  # DIFFERENT
                (1.0e-4, 1.0e-4),  # SAME_AND_USED
            ),
            "given": _levels(
                (0.05, 1.0e-3, 1.0),  # LIST
                (0.82, 6.0e-3, 1.0),  # FIRST
                (0.005, 1.0e-3),  # USED
                (1.0e-4, 1.0e-4),  # PREFIX
                (0.010, 1.0e-3),  # LISTED
                (1.0e-4, 1.0e-4),  # DIMINUTIVE
                (0.060, 2.0e-3),  # MISSPELT
                (1.0e-4, 1.0e-4),  # SPELLING
                (0.005, 5.0e-3),  # INITIAL
                (0.010, 3.0e-3),  # CROSSED
                (1.0e-4, 1.0e-4),  # LISTS_CONFLICT
                (1.0e-4, 1.0e-4),  # COMPOUND_CONFLICT
                (0.010, 0.01),  # SIMILAR
                (0.020, 0.97),  # DIFFERENT
            ),
            "place": _levels(
                (0.95, 0.2),  # SAME
                (1.0e-4, 1.0e-4),  # COUNTRY
                (1.0e-4, 1.0e-4),  # RENAMED
                (1.0e-4, 1.0e-4),  # DEPARTMENT
                (0.05, 0.8),  # DIFFERENT
            ),
            "contact": _levels(
                (1.0e-4, 1.0e-4),  # PERSONAL_AND_ADDRESS
                (0.40, 1.0e-6),  # PERSONAL
                (1.0e-4, 1.0e-4),  # PHONE_AND_ADDRESS
                (0.40, 1.0e-6),  # PHONE
                *[(1.0e-4, 1.0e-4)] * 2,  # ADDRESS, AREA
                (0.20, 0.999),  # DIFFERENT
                *[(1.0e-4, 1.0e-4)] * 3,  # HOUSEHOLD_PERSONAL, HOUSEHOLD, NOT_HOUSEHOLD
            ),
            "home": _levels(
                (0.60, 2.0e-6),  # SAME
                (0.15, 3.0e-6),  # ALIKE
                (0.06, 2.0e-5),  # PARTLY
                (0.12, 1.0e-3),  # STREET
                (0.02, 0.01),  # HOUSE
                (0.05, 0.99),  # DIFFERENT
            ),
            "area": _levels(
                (0.75, 1.0e-4),  # SAME
                (0.12, 1.0e-4),  # ALIKE
                (0.01, 1.0e-3),  # ONE_ALONE
                (0.10, 2.0e-3),  # ONE_OF_TWO
                (0.03, 0.99),  # DIFFERENT
            ),
        },
        thresholds=Thresholds(automatic=24.0, possible=18.0, cohesion=10.0, margin=0.0, prior=17.0),
        surnames={},
        given_names={},
        places={},
        unlisted_bits={"family": 10.0, "given": 7.0, "place": 8.0},
        average_bits={"family": 10.0, "given": 7.0, "place": 8.0},
        french=False,
    )

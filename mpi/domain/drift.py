"""Whether linked pairs still agree as the match model expects of pairs of one person: its drift.

The measure is the population stability index of a field: the sum over its levels of (seen - expected) · ln(seen /
expected), "missing" left out. By custom, below 0.1 nothing has changed, and from 0.25 on the model should be learned
anew.

Source: N. Siddiqi, "Credit Risk Scorecards" (2006), population stability index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from mpi.domain.model import MatchModel

LEAST_PAIRS: Final = 200
"""Fewer pairs that state a field say nothing about it."""
_FLOOR: Final = 0.0005


def drift(seen: Mapping[tuple[int, int], int], model: MatchModel) -> dict[str, float]:
    """The index of each field that enough pairs state.

    Args:
        seen: number of linked pairs by field (in the order of the model's) and level.
    """
    found: dict[str, float] = {}
    for index, name in enumerate(model.fields):
        levels = model.levels[name]
        counts = [seen.get((index, level), 0) for level in range(1, len(levels))]
        total, expected = sum(counts), sum(level.m for level in levels[1:])
        if total >= LEAST_PAIRS and expected > 0:
            shares = [(count / total, level.m / expected) for count, level in zip(counts, levels[1:], strict=True)]
            found[name] = sum(_term(max(one, _FLOOR), max(other, _FLOOR)) for one, other in shares)
    return found


def _term(seen: float, expected: float) -> float:
    return (seen - expected) * math.log(seen / expected)

"""Whether the pairs linked of late agree as those linked before under the same match model: its drift.

The measure is the population stability index of a field: the sum over its levels of (now - before) · ln(now / before),
"missing" left out. By custom, below 0.1 nothing has changed, and from 0.25 on the model should be learned anew.

Source: N. Siddiqi, "Credit Risk Scorecards" (2006), population stability index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from mpi.domain.model import MatchModel

Levels = Mapping[tuple[int, int], int]
"""Number of linked pairs by field (in the order of the model's) and level."""

LEAST_PAIRS: Final = 200
"""Fewer pairs that state a field say nothing about it."""
_FLOOR: Final = 0.0005


def drift(now: Levels, before: Levels, model: MatchModel) -> dict[str, float]:
    """The index of each field that enough pairs of both times state."""
    found: dict[str, float] = {}
    for index, name in enumerate(model.fields):
        shares = [_shares(levels, index, len(model.levels[name])) for levels in (now, before)]
        if all(shares):
            found[name] = sum((one - other) * math.log(one / other) for one, other in zip(*shares, strict=True))
    return found


def _shares(levels: Levels, index: int, count: int) -> list[float]:
    """The share of each level but "missing"; empty when too few pairs state the field."""
    counts = [levels.get((index, level), 0) for level in range(1, count)]
    total = sum(counts)
    return [max(each / total, _FLOOR) for each in counts] if total >= LEAST_PAIRS else []

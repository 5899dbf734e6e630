"""A pair's score as JSON, complete enough to give the same weight back to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpi.domain.scoring import PairScore
from mpi.domain.vetoes import Hint, Veto


def to_json(score: PairScore) -> dict[str, Any]:
    """Levels, weights in 1/256 bit, vetoes and hints by name."""
    return {
        "weight_units": score.weight_units,
        "levels": list(score.levels),
        "field_units": list(score.field_units),
        "rarity_units": list(score.rarity_units),
        "vetoes": [veto.name for veto in score.vetoes],
        "hints": [hint.name for hint in score.hints],
        "model": score.model_version,
    }


def from_json(found: Mapping[str, Any]) -> PairScore:
    """Undo :func:`to_json`."""
    return PairScore(
        weight_units=found["weight_units"],
        levels=tuple(found["levels"]),
        field_units=tuple(found["field_units"]),
        rarity_units=tuple(found["rarity_units"]),
        vetoes=tuple(Veto[name] for name in found["vetoes"]),
        hints=tuple(Hint[name] for name in found["hints"]),
        model_version=found["model"],
    )

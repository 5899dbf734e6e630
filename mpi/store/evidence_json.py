"""A pair's score as JSON, complete enough to give the same weight back to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mpi.domain.model import MatchModel
from mpi.domain.scored_pairs import ScoredPairs
from mpi.domain.scoring import PairScore
from mpi.domain.vetoes import Hint, Veto
from mpi.store.traits_json import json_text


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


def texts(scored: ScoredPairs, model: MatchModel) -> Iterator[str]:
    """The JSON text of each pair, in order; made once for all pairs that agree in everything."""
    told = np.c_[scored.levels, scored.rarity_units, scored.vetoes, scored.default_dates].astype(np.int32)
    as_bytes = np.ascontiguousarray(told).view(np.dtype((np.void, told.itemsize * told.shape[1]))).ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    made = [json_text(to_json(scored.one(index, model))) for index in first.tolist()]
    return map(made.__getitem__, inverse.ravel().tolist())


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

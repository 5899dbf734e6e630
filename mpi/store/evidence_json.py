"""A pair's score as JSON, complete enough to give the same weight back to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mpi.domain.model import MatchModel
from mpi.domain.scored_pairs import RARITY_FIELDS, ScoredPairs
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
    """The JSON text of each pair, in order; what those with equal levels and vetoes have in common is made once."""
    told = np.c_[scored.levels, scored.vetoes, scored.default_dates].astype(np.int32)
    as_bytes = np.ascontiguousarray(told).view(np.dtype((np.void, told.itemsize * told.shape[1]))).ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    forms = [_form(scored.one(index, model)) for index in first.tolist()]
    numbers = zip(scored.weight_units.tolist(), *scored.rarity_units.T.tolist(), strict=True)
    return map(str.__mod__, map(forms.__getitem__, inverse.ravel().tolist()), numbers)


def _form(score: PairScore) -> str:
    """The JSON text with ``%d`` in place of the weight and of what the rarity of each value added."""
    told = to_json(score)
    rarity = ["%d" if field in RARITY_FIELDS else "0" for field in range(len(score.rarity_units))]
    del told["weight_units"], told["rarity_units"]
    return f'{{"weight_units":%d,"rarity_units":[{",".join(rarity)}],{json_text(told)[1:]}'


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

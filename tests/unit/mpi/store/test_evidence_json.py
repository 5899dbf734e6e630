"""The evidence of many pairs is, pair by pair, that of each alone."""

from __future__ import annotations

import itertools

import numpy as np
import orjson
import pytest

from bench.engine import traits_of
from bench.population import generate
from mpi.domain.cleaning import clean
from mpi.domain.columns import Columns, score_pairs
from mpi.domain.default_models import default_french, generic
from mpi.domain.model import MatchModel
from mpi.domain.scoring import score
from mpi.store import evidence_json


@pytest.mark.parametrize("model", [default_french(), generic()])
def test_texts_of_many_pairs_say_what_each_says(model: MatchModel) -> None:
    records = [clean(traits_of(row)) for row in generate(60, seed=3, profile="hard")]
    pairs = list(itertools.combinations(range(len(records)), 2))
    left, right = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    texts = list(evidence_json.texts(score_pairs(Columns(records), left, right, model), model))
    assert len(texts) == len(pairs)
    for (i, j), text in zip(pairs, texts, strict=True):
        alone = score(records[i], records[j], model)
        assert orjson.loads(text) == evidence_json.to_json(alone)
        assert evidence_json.from_json(orjson.loads(text)) == alone

"""The drift of a model: nothing where nothing changed, much where a field's levels did, silent on few pairs."""

from __future__ import annotations

import math

import pytest

from mpi.domain.default_models import default_french
from mpi.domain.drift import drift

MODEL = default_french()
FAMILY = tuple(MODEL.fields).index("family")


def test_equal_shares_have_no_drift() -> None:
    before = {(FAMILY, 1): 800, (FAMILY, 2): 200, (FAMILY, 0): 5000}
    now = {(FAMILY, 1): 400, (FAMILY, 2): 100}
    assert drift(now, before, MODEL) == {"family": 0.0}


def test_drift_is_the_population_stability_index() -> None:
    before, now = {(FAMILY, 1): 900, (FAMILY, 2): 100}, {(FAMILY, 1): 600, (FAMILY, 2): 400}
    expected = (0.6 - 0.9) * math.log(0.6 / 0.9) + (0.4 - 0.1) * math.log(0.4 / 0.1)
    assert drift(now, before, MODEL)["family"] == pytest.approx(expected)
    assert expected > 0.25


def test_few_pairs_say_nothing() -> None:
    assert drift({(FAMILY, 1): 199}, {(FAMILY, 1): 900}, MODEL) == {}

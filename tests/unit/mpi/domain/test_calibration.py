"""Thresholds follow from a wanted share of false links, and say what is expected of them."""

from __future__ import annotations

import numpy as np
import pytest

from mpi.domain.calibration import Curve, Weighed, calibrate, fit, translate
from mpi.domain.model import UNITS_PER_BIT, FalseLinks, Thresholds

START = Thresholds(automatic=28.0, possible=18.0, unsupported=30.0, outweighing=32.0, cohesion=18.0)


def weighed(*bands: tuple[float, int, float], free: bool = True) -> Weighed:
    """Bands of pairs: weight in bits, how many, probability of each."""
    bits, counts, chances = zip(*bands, strict=True)
    return Weighed(
        np.repeat(np.array(bits) * UNITS_PER_BIT, counts).astype(np.int64),
        np.repeat(np.array(chances), counts),
        np.full(sum(counts), free),
    )


def test_the_lowest_weight_is_chosen_at_which_the_share_is_as_wanted() -> None:
    pairs = weighed((40, 1000, 1.0), (30, 100, 0.99), (20, 10, 0.5), (10, 10, 0.01))
    thresholds, found = calibrate(pairs, 0.001, START)
    assert (thresholds.automatic, thresholds.possible, thresholds.prior) == (30.0, 20.0, 20.0)
    assert found == FalseLinks(0.001, pytest.approx(1 / 1100, rel=0.3))
    assert calibrate(pairs, 0.0005, START)[0].automatic == 40.0
    assert calibrate(pairs, 0.01, START)[0].automatic == 20.0
    assert calibrate(pairs, 0.5, START)[0].automatic == 20.0, "below, two persons are likelier"


def test_the_curve_is_the_one_that_the_pairs_were_made_with() -> None:
    weights = np.arange(60.0, -10.0, -0.5)
    counts = np.full(len(weights), 100.0)
    made = Curve(22.0, 0.6)
    found = fit(weights, counts, counts * made.probability(weights))
    assert (found.prior_bits, found.slope) == (22.0, pytest.approx(0.6))


def test_the_other_thresholds_keep_their_distance() -> None:
    thresholds, _ = calibrate(weighed((40, 1000, 1.0), (34, 10, 0.99)), 0.001, START)
    assert (thresholds.unsupported, thresholds.outweighing) == (36.0, 38.0)


def test_nothing_wanted_keeps_the_thresholds_and_says_what_to_expect() -> None:
    thresholds, found = calibrate(weighed((40, 99, 1.0), (30, 1, 0.0), (20, 50, 0.0)), None, START)
    assert thresholds == START
    assert found == FalseLinks(None, pytest.approx(0.01, rel=0.05))


def test_pairs_under_a_veto_say_nothing_of_weights() -> None:
    assert calibrate(weighed((40, 10, 0.0), free=False), 0.001, START) == (START, FalseLinks(0.001, 0.0))


@pytest.mark.parametrize("wanted", [0.0, 1.0, -0.5])
def test_an_impossible_share_is_refused(wanted: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibrate(weighed((40, 1, 1.0)), wanted, START)


def test_thresholds_move_with_the_weights_of_the_pairs_near_them() -> None:
    before = np.array([20, 25, 28, 30, 60, 25]) * UNITS_PER_BIT
    after = before + np.array([1.5, 1.5, 1.5, 2.0, 9.0, -9.0]) * UNITS_PER_BIT
    free = np.array([True, True, True, True, True, False])
    moved = translate(START, before, after.astype(np.int64), free, None)
    assert moved == Thresholds(29.5, 19.5, 31.5, 33.5, 19.5, START.margin, START.prior + 1.5)
    fallen = translate(START, before, after.astype(np.int64), ~free, None)
    assert fallen == Thresholds(19.0, 9.0, 21.0, 23.0, 9.0, 4.0, 11.0)
    assert translate(START, before[:0], before[:0], free[:0], None) == START


@pytest.mark.parametrize(("bits", "expected"), [(3.0, START.unsupported + 3.0), (-9.0, START.automatic + 1.5)])
def test_what_nothing_supports_moves_as_the_four_traits_alone_but_not_below_what_something_does(
    bits: float, expected: float
) -> None:
    before = np.array([25, 28, 30]) * UNITS_PER_BIT
    after = (before + 1.5 * UNITS_PER_BIT).astype(np.int64)
    moved = translate(START, before, after, np.ones(3, dtype=bool), round(bits * UNITS_PER_BIT))
    assert (moved.automatic, moved.unsupported) == (START.automatic + 1.5, expected)

"""Thresholds from a wanted share of false links: what the learner expects of pairs decides, not taste.

Each candidate has a weight, and a probability of being one person that the learner gave to its pattern. A logistic
curve through these says how likely a pair of a weight is one person; single odd patterns move it little. Linking all
pairs from some weight on then has an expected share of false links, and the automatic threshold is the lowest weight
at which that share is as wanted. Below it, a person is asked as long as asking is worth it.

Source: J. Platt, "Probabilistic outputs for support vector machines" (1999), here with expected labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpi.domain.model import UNITS_PER_BIT, FalseLinks, Thresholds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WORTH_ASKING = 0.05
"""Least probability at which a pair is worth a person's time."""
_SLOPES = np.arange(0.2, 1.01, 0.05)
"""Bits of odds that a bit of weight may be worth: at most one, less where fields depend on each other."""
_PRIORS = np.arange(-10.0, 60.0, 0.25)


@dataclass(frozen=True, slots=True)
class Weighed:
    """Candidates and what the learner thinks of them.

    Attributes:
        weight_units: weight in 1/256 bit.
        probability: that the pair is one person.
        free: whether the pair has no veto, so that its weight alone decides.
    """

    weight_units: Ints
    probability: Floats
    free: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Curve:
    """How likely a pair of a weight is one person.

    Attributes:
        prior_bits: the weight at which it is as likely as not.
        slope: bits of odds for each bit of weight.
    """

    prior_bits: float
    slope: float

    def probability(self, weight_bits: Floats) -> Floats:
        """Of pairs of these weights."""
        exponent = np.clip(self.slope * (weight_bits - self.prior_bits), -500, 500)
        found: Floats = 1.0 / (1.0 + np.exp2(-exponent))
        return found


def translate(
    start: Thresholds, before_units: Ints, after_units: Ints, free: NDArray[np.bool_], alone_units: int | None
) -> Thresholds:
    """The thresholds of a start on the scale of what was learned from it, so that the same pairs lie at them.

    A learned model weighs the same agreement by a bit more or less; thresholds that were tried with the start would
    otherwise let pass what the start held back. All move by the median change of the free pairs in their range, but for
    the one of pairs that nothing supports: it moves as name, given name, sex and birth date alone do, and is no lower
    than that of pairs that something supports.

    Args:
        before_units: weight of each pair by the start, in 1/256 bit.
        after_units: by the learned model.
        free: whether the pair has no veto.
        alone_units: by how much the weight of these four alone changes, in 1/256 bit; ``None``: as that of all.
    """
    lowest, highest = start.possible * UNITS_PER_BIT, (start.outweighing + start.margin) * UNITS_PER_BIT
    near = free & (before_units >= lowest) & (before_units <= highest)
    if not near.any():
        return start
    shift = round(float(np.median((after_units - before_units)[near]))) / UNITS_PER_BIT
    moved = {name: value if name == "margin" else value + shift for name, value in asdict(start).items()}
    if alone_units is not None:
        moved["unsupported"] = max(start.unsupported + alone_units / UNITS_PER_BIT, moved["automatic"])
    return Thresholds(**moved)


def calibrate(pairs: Weighed, wanted: float | None, start: Thresholds) -> tuple[Thresholds, FalseLinks]:
    """Thresholds with which the expected share of false links is as wanted.

    Args:
        wanted: share of automatic links that may be false, above 0 and below 1; ``None`` keeps ``start`` and only says
            what is to be expected of it.
        start: how far other thresholds lie from the automatic one; kept whole when no pair is free.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if wanted is not None and not 0 < wanted < 1:
        raise ValueError("the wanted share of false links must lie between 0 and 1")
    weights, counts, matches = _bands(pairs)
    if not len(weights):
        return start, FalseLinks(wanted, 0.0)
    curve = fit(weights, counts, matches)
    likely = curve.probability(weights)
    share = np.cumsum(counts * (1 - likely)) / np.cumsum(counts)
    if wanted is None:
        linked = int((weights >= start.automatic).sum())
        return start, FalseLinks(None, float(share[linked - 1]) if linked else 0.0)
    # However large a share is wanted: what is likelier two persons than one is not linked.
    fits = np.flatnonzero((share <= wanted) & (likely >= 0.5))
    at = int(fits[-1]) if fits.size else 0
    automatic = float(weights[at])
    possible = min(float(weights[likely >= WORTH_ASKING].min(initial=automatic)), automatic)
    shift = automatic - start.automatic
    return (
        replace(
            start,
            automatic=automatic,
            possible=possible,
            unsupported=start.unsupported + shift,
            outweighing=start.outweighing + shift,
            cohesion=min(curve.prior_bits, automatic),
            prior=curve.prior_bits,
        ),
        FalseLinks(wanted, float(share[at])),
    )


def fit(weights: Floats, counts: Floats, matches: Floats) -> Curve:
    """The likeliest curve.

    Args:
        weights: in bits, of each band.
        counts: pairs in it.
        matches: how many of them are expected to be one person.
    """
    best, found = -np.inf, Curve(0.0, 1.0)
    for slope in _SLOPES.tolist():
        odds_bits = np.clip(slope * (weights[None, :] - _PRIORS[:, None]), -500, 500)
        likelihood = -(np.logaddexp2(0, -odds_bits) @ matches + np.logaddexp2(0, odds_bits) @ (counts - matches))
        at = int(np.argmax(likelihood))
        if likelihood[at] > best:
            best, found = float(likelihood[at]), Curve(float(_PRIORS[at]), slope)
    return found


def _bands(pairs: Weighed) -> tuple[Floats, Floats, Floats]:
    """Weight of each band of a quarter of a bit that holds free pairs, heaviest first; its pairs and its matches."""
    width = UNITS_PER_BIT // 4
    band = np.floor_divide(pairs.weight_units[pairs.free], width)
    values, inverse = np.unique(-band, return_inverse=True)
    counts = np.bincount(inverse, minlength=len(values)).astype(np.float64)
    matches = np.bincount(inverse, pairs.probability[pairs.free], len(values)).astype(np.float64)
    return -values.astype(np.float64) * width / UNITS_PER_BIT, counts, matches

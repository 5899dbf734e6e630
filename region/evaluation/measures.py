"""Curves, calibration and errors of a linkage beside its truth; its counts are in :mod:`mpi.domain.quality`.

A *pair* is two records of the file. Precision and recall count pairs after clustering, so that one wrong link
between two large persons costs as much as it does in life.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from mpi.domain.quality import Forest

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A threshold and what linking every pair at or above it gives, after clustering."""

    threshold: float
    precision: float
    recall: float
    f1: float


def curve(truth: Mapping[K, str], scored: Iterable[tuple[float, K, K]], points: int = 200) -> list[CurvePoint]:
    """Precision and recall for falling thresholds over transitive closure, at most ``points`` of them.

    Args:
        scored: weight (or probability), and the two records; any order.
    """
    true_pairs = sum(n * (n - 1) // 2 for n in Counter(truth.values()).values())
    edges = sorted(scored, key=lambda edge: -edge[0])
    forest: Forest[K] = Forest(truth)
    found: list[CurvePoint] = []
    step = max(1, len(edges) // points)
    for at, (weight, a, b) in enumerate(edges):
        forest.join(a, b)
        is_last_of_weight = at + 1 == len(edges) or edges[at + 1][0] < weight
        if is_last_of_weight and (not found or at + 1 == len(edges) or at >= len(found) * step):
            linked, correct = forest.linked_pairs, forest.correct_pairs
            found.append(
                CurvePoint(
                    weight,
                    correct / linked if linked else 1.0,
                    correct / true_pairs if true_pairs else 1.0,
                    2 * correct / (linked + true_pairs) if linked + true_pairs else 1.0,
                )
            )
    return found


def clusters_at(truth: Mapping[K, str], scored: Iterable[tuple[float, K, K]], threshold: float) -> dict[K, K]:
    """Connected components of all pairs at or above a threshold."""
    forest: Forest[K] = Forest(truth)
    for weight, a, b in scored:
        if weight >= threshold:
            forest.join(a, b)
    return forest.clusters()


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Pairs of similar probability: how many were expected to be false, and how many are."""

    lowest: float
    pairs: int
    expected_false: float
    measured_false: int


def calibration(
    scored: Iterable[tuple[float, bool]], limits: Sequence[float] = (0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
) -> list[CalibrationBin]:
    """Compare stated probabilities with truth, from the most doubtful band to the surest.

    Args:
        scored: probability that the pair is one human, and whether it is.
        limits: rising lower bounds of the bands.
    """
    pairs, expected, measured = [0] * len(limits), [0.0] * len(limits), [0] * len(limits)
    for probability, is_match in scored:
        band = max(at for at, limit in enumerate(limits) if probability >= limit)
        pairs[band] += 1
        expected[band] += 1 - probability
        measured[band] += not is_match
    return [CalibrationBin(*band) for band in zip(limits, pairs, expected, measured, strict=True) if band[1]]


def false_pairs(truth: Mapping[K, str], clusters: Mapping[K, Hashable]) -> Iterator[tuple[K, K]]:
    """Every pair of records of different people in one cluster."""
    for members in _groups(clusters).values():
        if len(members) > 1:
            yield from ((a, b) for a, b in combinations(members, 2) if truth[a] != truth[b])


def missed_pairs(truth: Mapping[K, str], clusters: Mapping[K, Hashable]) -> Iterator[tuple[K, K]]:
    """One pair of records for each two clusters that a human's records are split over."""
    for members in _groups(truth).values():
        first_of: dict[Hashable, K] = {}
        for key in members:
            first_of.setdefault(clusters.get(key, key), key)
        yield from combinations(first_of.values(), 2)


def _groups(of: Mapping[K, Hashable]) -> dict[Hashable, list[K]]:
    groups: defaultdict[Hashable, list[K]] = defaultdict(list)
    for key, group in of.items():
        groups[group].append(key)
    return groups

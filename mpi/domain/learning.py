"""Learning the shares of a model from pairs without labels, by expectation and maximisation.

Three distributions of levels are kept apart for each field: ``m`` within one person, ``u`` between two persons
met by chance, and the distribution among the candidates that are two persons after all (twins, namesakes,
relatives: blocking chose them for their likeness). The last one only explains the candidates, so that relatives
teach ``m`` nothing; weights are log2(m/u).

Source: W. Winkler, "Using the EM algorithm for weight computation in the Fellegi-Sunter model" (1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned
from mpi.domain.columns import Columns, score_pairs
from mpi.domain.levels import FIELDS, Contact, Given
from mpi.domain.linkage import candidate_pairs, scored_chunks
from mpi.domain.model import Level, MatchModel

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PRIOR_PAIRS_OF_ONE = 400.0
"""How many pairs of one person the model at hand counts for; it decides where the data show too few."""
PRIOR_PAIRS_OF_TWO = 200_000.0
PRIOR_PAIRS_OF_RELATIVES = 20.0
ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Learned:
    """A model made from a population, and what it rests on.

    Attributes:
        matches: expected number of candidate pairs that are one person.
        candidates: pairs that share a key.
        random_pairs: pairs met by chance.
        rounds: until nothing moved.
    """

    model: MatchModel
    matches: float
    candidates: int
    random_pairs: int
    rounds: int


def learn(records: Sequence[Cleaned], start: MatchModel, *, random_pairs: int = 1_000_000, seed: int = 1) -> Learned:
    """Learn ``m`` and ``u`` of every level; thresholds, tables and the share of rarity stay those of ``start``.

    Args:
        records: the population, at least two records.
        start: where to begin, and what to keep where the population shows too little.
        random_pairs: how many pairs to draw for ``u``.
        seed: of the draw.

    Raises:
        ValueError: fewer than two records.
    """
    if len(records) < 2:
        raise ValueError("learning needs at least two records")
    columns = Columns(records)
    codes = candidate_pairs([blocking.keys(record) for record in records])
    patterns, counts = _patterns([scored.levels for _, _, scored in scored_chunks(columns, codes, start)])
    u = _chance(columns, start, random_pairs, seed)
    m, matches, rounds = _maximise(patterns, counts, start, u)
    levels = {
        name: (
            Level(1.0, 1.0),
            *(
                Level(float(m[field][level]), float(u[field][level]), start.levels[name][level].frequency)
                for level in range(1, len(kinds))
            ),
        )
        for field, (name, kinds) in enumerate(FIELDS.items())
    }
    model = replace(start, name=f"{start.name}, learned from {len(records)} records", levels=levels)
    return Learned(model, matches, len(codes), random_pairs, rounds)


def _patterns(chunks: Sequence[NDArray[np.int8]]) -> tuple[Ints, Floats]:
    """Distinct rows of levels and how often each occurs."""
    rows = np.concatenate(chunks) if chunks else np.zeros((0, len(FIELDS)), dtype=np.int8)
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    return distinct.astype(np.int64), counts.astype(np.float64)


def _chance(columns: Columns, start: MatchModel, wanted: int, seed: int) -> list[Floats]:
    """Shares of the levels among pairs drawn by chance, the start counting for some."""
    random = np.random.default_rng(seed)
    counts = [np.zeros(len(kinds)) for kinds in FIELDS.values()]
    for begin in range(0, wanted, 200_000):
        size = min(200_000, wanted - begin)
        left, right = (random.integers(0, columns.count, size, dtype=np.int64) for _ in range(2))
        apart = left != right
        levels = score_pairs(columns, left[apart], right[apart], start).levels
        counts = [
            of_field + np.bincount(levels[:, field], minlength=len(of_field)) for field, of_field in enumerate(counts)
        ]
    return [
        _shares(name, of_field, np.array([level.u for level in start.levels[name]]), PRIOR_PAIRS_OF_TWO)
        for name, of_field in zip(FIELDS, counts, strict=True)
    ]


_CONTEXTS: dict[str, tuple[Sequence[int], ...]] = {
    "contact": (range(1, Contact.HOUSEHOLD_PERSONAL), range(Contact.HOUSEHOLD_PERSONAL, len(Contact))),
    "given": (tuple(level for level in Given if level not in (Given.MISSING, Given.CROSSED)),),
}
"""Levels that only compete with each other: contact details are read in the light of the given names."""


def _shares(name: str, counts: Floats, prior: Floats, weight: float) -> Floats:
    """Shares of the levels of a field other than "missing", the prior counting for ``weight`` pairs."""
    found = np.ones(len(prior))
    for levels in _CONTEXTS.get(name, (range(1, len(prior)),)):
        chosen = list(levels)
        expected = prior[chosen] / prior[chosen].sum()
        known = counts[chosen] + weight * expected
        found[chosen] = known / known.sum()
    return found


def _maximise(patterns: Ints, counts: Floats, start: MatchModel, u: list[Floats]) -> tuple[list[Floats], float, int]:
    """Learn ``m`` from the candidates. Returns it with the expected number of matches and the rounds taken."""
    names = tuple(FIELDS)
    priors = [np.array([level.m for level in start.levels[name]]) for name in names]
    m = [_shares(name, np.zeros_like(prior), prior, 1.0) for name, prior in zip(names, priors, strict=True)]
    # Candidates that are two persons start half way between chance and likeness.
    other = [np.sqrt(chance * same) for chance, same in zip(u, m, strict=True)]
    share, matches, done = 0.5, 0.0, 0
    if not len(counts):
        return m, matches, 0
    while done < ROUNDS:
        done += 1
        odds = np.full(len(patterns), np.log(share) - np.log1p(-share))
        for field in range(len(names)):
            odds += np.log(m[field])[patterns[:, field]] - np.log(other[field])[patterns[:, field]]
        same = counts / (1.0 + np.exp(-np.clip(odds, -500, 500)))
        before, matches = matches, float(same.sum())
        share = min(max(matches / float(counts.sum()), 1e-6), 1 - 1e-6)
        for field, name in enumerate(names):
            size = len(priors[field])
            of_one = np.bincount(patterns[:, field], same, size).astype(np.float64)
            of_two = np.bincount(patterns[:, field], counts - same, size).astype(np.float64)
            m[field] = _shares(name, of_one, priors[field], PRIOR_PAIRS_OF_ONE)
            other[field] = _shares(name, of_two, u[field], PRIOR_PAIRS_OF_RELATIVES)
        if abs(matches - before) < 0.01:
            break
    return m, matches, done

"""Learning the shares of a model by expectation and maximisation: from pairs without labels, and from what is known.

Three distributions of levels are kept apart for each field: ``m`` within one person, ``u`` between two persons
met by chance, and the distribution among the candidates that are two persons after all (twins, namesakes,
relatives: blocking chose them for their likeness). The last one only explains the candidates, so that relatives
teach ``m`` nothing; weights are log2(m/u). Of a pair that a steward decided, what it is is not expected but known.

Source: W. Winkler, "Using the EM algorithm for weight computation in the Fellegi-Sunter model" (1988).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpi.domain import blocking
from mpi.domain.calibration import Weighed, calibrate, translate
from mpi.domain.cleaning import Cleaned
from mpi.domain.columns import Columns, score_pairs
from mpi.domain.edges import candidate_pairs, joined_edges, scored_chunks
from mpi.domain.levels import Birth, Contact, Family, Given, SexLevel
from mpi.domain.model import UNITS_PER_BIT, Level, MatchModel, units
from mpi.domain.scored_pairs import ScoredPairs

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WANTED_GENERIC = 0.0005
"""Share of automatic links that may be false where nothing else is wanted and no thresholds were tried before."""
RANDOM_PAIRS, RANDOM_PAIRS_GENERIC = 1_000_000, 200_000
PRIOR_PAIRS_OF_ONE = 400.0
"""How many pairs of one person the model at hand counts for; it decides where the data show too few."""
PRIOR_PAIRS_OF_TWO = 200_000.0
PRIOR_PAIRS_OF_RELATIVES = 20.0
GENERIC_PRIOR = 0.1
"""How much less a start counts for that was not made for the country of the data."""
ROUNDS = 60
UNKNOWN, ONE, TWO = 0, 1, 2
"""What is known of a pair before it is compared: nothing, that it is one person, that it is two."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A model made from a population, and what it rests on.

    Attributes:
        matches: expected number of candidate pairs that are one person.
        candidates: pairs that share a key.
        random_pairs: pairs met by chance.
        rounds: until nothing moved.
        labels: how many pairs were known.
    """

    model: MatchModel
    matches: float
    candidates: int
    random_pairs: int
    rounds: int
    labels: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """A pair of positions of which somebody knows whether it is one person."""

    left: int
    right: int
    same: bool


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the pairs that share a key look like.

    Attributes:
        patterns: distinct rows of levels, one column for each field.
        counts: how many pairs have each.
        u: shares of the levels among pairs met by chance, by field.
        known: what is known of the pairs of each pattern: :data:`UNKNOWN`, :data:`ONE` or :data:`TWO`.
    """

    patterns: Ints
    counts: Floats
    u: list[Floats]
    known: Ints


@dataclass(frozen=True, slots=True)
class Maximised:
    """What expectation and maximisation found in the candidates.

    Attributes:
        m: shares of the levels within one person, by field.
        other: the same among candidates that are two persons.
        matches: expected number of candidates that are one person.
        rounds: until nothing moved.
    """

    m: list[Floats]
    other: list[Floats]
    matches: float
    rounds: int


Maximiser = Callable[[Candidates, MatchModel], Maximised]
"""Learns ``m`` from the candidates, starting with a model. :func:`maximise`, or another program's."""


def learn(
    records: Sequence[Cleaned],
    start: MatchModel,
    *,
    wanted_false_links: float | None = None,
    random_pairs: int | None = None,
    seed: int = 1,
    maximiser: Maximiser | None = None,
    labels: Sequence[Label] = (),
) -> Learned:
    """Learn ``m`` and ``u`` of every level, and thresholds; tables and the share of rarity stay those of ``start``.

    Args:
        records: the population, at least two records.
        start: where to begin, and what to keep where the population shows too little.
        wanted_false_links: share of automatic links that may be false; ``None`` translates the thresholds of a French
            start, which were tried on populations with a truth, and means :data:`WANTED_GENERIC` for a generic one.
        random_pairs: how many pairs to draw for ``u``; ``None`` for as many as its levels need.
        seed: of the draw.
        maximiser: who learns ``m``; ``None`` for :func:`maximise`.
        labels: what is known of pairs of these records.

    Raises:
        ValueError: fewer than two records.
    """
    if len(records) < 2:
        raise ValueError("learning needs at least two records")
    columns = Columns(records)
    codes = candidate_pairs([blocking.keys(record, french=start.french) for record in records])
    codes, known = _with_labels(codes, labels, len(records))
    scored = joined_edges(list(scored_chunks(columns, codes, start)), len(codes), columns, start).scored
    patterns, of_pattern, counts = np.unique(
        np.column_stack([scored.levels, known]), axis=0, return_inverse=True, return_counts=True
    )
    drawn = (RANDOM_PAIRS if start.french else RANDOM_PAIRS_GENERIC) if random_pairs is None else random_pairs
    u = _chance(columns, start, drawn, seed)
    seen = patterns.astype(np.int64)
    candidates = Candidates(seen[:, :-1], counts.astype(np.float64), u, seen[:, -1])
    found = (maximiser or maximise)(candidates, start)
    levels = {
        name: (
            Level(1.0, 1.0),
            *(
                Level(float(found.m[field][level]), float(u[field][level]), start.levels[name][level].frequency)
                for level in range(1, len(kinds))
            ),
        )
        for field, (name, kinds) in enumerate(start.fields.items())
    }
    name = f"{start.name.partition(',')[0]}, learned from {len(records)} records"
    model = replace(start, name=name, levels=levels)
    weighed = _weighed(candidates, of_pattern.reshape(-1), scored, found, start, model)
    wanted = WANTED_GENERIC if wanted_false_links is None and not start.french else wanted_false_links
    alone = _four_traits(model) - _four_traits(start) if start.french else None
    translated = translate(start.thresholds, scored.weight_units, weighed.weight_units, weighed.free, alone)
    thresholds, false_links = calibrate(weighed, wanted, translated)
    model = replace(model, thresholds=thresholds, false_links=false_links)
    return Learned(model, found.matches, len(codes), drawn, found.rounds, len(labels))


def _with_labels(codes: Ints, labels: Sequence[Label], count: int) -> tuple[Ints, NDArray[np.int8]]:
    """The candidates and the labelled pairs, coded alike, and what is known of each."""
    said = {min(each.left, each.right) * count + max(each.left, each.right): each.same for each in labels}
    labelled = np.array(sorted(said), dtype=np.int64)
    every = np.union1d(codes, labelled)
    known = np.full(len(every), UNKNOWN, dtype=np.int8)
    known[np.searchsorted(every, labelled)] = [ONE if said[code] else TWO for code in labelled.tolist()]
    return every, known


def _weighed(
    candidates: Candidates,
    of_pattern: Ints,
    scored: ScoredPairs,
    found: Maximised,
    start: MatchModel,
    learned: MatchModel,
) -> Weighed:
    """The candidates with their weight under the new model; the rarity of a value is what it was under the start."""
    before, after = (_units_of(candidates, model)[of_pattern] for model in (start, learned))
    rarity = scored.weight_units - before
    odds = log_odds(candidates, found.matches / max(float(candidates.counts.sum()), 1.0), found.m, found.other)
    exponent = np.clip(odds[of_pattern] + rarity * (math.log(2) / UNITS_PER_BIT), -500, 500)
    probability = _unless_known(1.0 / (1.0 + np.exp(-exponent)), candidates.known[of_pattern])
    return Weighed(after + rarity, probability, scored.vetoes == 0)


def _unless_known(probability: Floats, known: Ints) -> Floats:
    return np.select([known == ONE, known == TWO], [1.0, 0.0], probability)


def _units_of(candidates: Candidates, model: MatchModel) -> Ints:
    total = np.zeros(len(candidates.patterns), dtype=np.int64)
    for field, table in enumerate(model.unit_table):
        total += np.array(table, dtype=np.int64)[candidates.patterns[:, field]]
    return total


def _four_traits(model: MatchModel) -> int:
    """Weight of equal family name, first given name, birth date and sex without their rarity, in 1/256 bit."""
    traits = {"family": Family.SAME, "given": Given.FIRST, "birth": Birth.SAME, "sex": SexLevel.SAME}
    return sum(
        table[traits[name]] for name, table in zip(model.fields, model.unit_table, strict=True) if name in traits
    )


def _chance(columns: Columns, start: MatchModel, wanted: int, seed: int) -> list[Floats]:
    """Shares of the levels among pairs drawn by chance, the start counting for some.

    A pair that the start thinks one person rather than two is left out: in a small population chance draws enough of
    them to hide how rarely two persons share a birth date, a telephone or a used name.
    """
    one_person = units(start.thresholds.prior)
    random = np.random.default_rng(seed)
    counts = [np.zeros(len(kinds)) for kinds in start.fields.values()]
    for begin in range(0, wanted, 200_000):
        size = min(200_000, wanted - begin)
        left, right = (random.integers(0, columns.count, size, dtype=np.int64) for _ in range(2))
        apart = left != right
        scored = score_pairs(columns, left[apart], right[apart], start)
        levels = scored.levels[scored.weight_units < one_person]
        counts = [
            of_field + np.bincount(levels[:, field], minlength=len(of_field)) for field, of_field in enumerate(counts)
        ]
    return [
        _shares(
            start,
            name,
            of_field,
            np.array([level.u for level in start.levels[name]]),
            PRIOR_PAIRS_OF_TWO * _trust(start),
        )
        for name, of_field in zip(start.fields, counts, strict=True)
    ]


_CONTEXTS: dict[str, tuple[Sequence[int], ...]] = {
    "contact": (range(1, Contact.HOUSEHOLD_PERSONAL), range(Contact.HOUSEHOLD_PERSONAL, len(Contact))),
    "given": (tuple(level for level in Given if level not in (Given.MISSING, Given.CROSSED)),),
}
"""Levels that only compete with each other: contact details are read in the light of the given names."""


def contexts(model: MatchModel, name: str) -> tuple[tuple[int, ...], ...]:
    """The levels of a field in groups that compete with each other, each group's shares adding up to one."""
    whole = tuple(range(1, len(model.fields[name])))
    return tuple(tuple(levels) for levels in (_CONTEXTS if model.french else {}).get(name, (whole,)))


def _shares(start: MatchModel, name: str, counts: Floats, prior: Floats, weight: float) -> Floats:
    """Shares of the levels of a field other than "missing", the prior counting for ``weight`` pairs."""
    found = np.ones(len(prior))
    for levels in contexts(start, name):
        chosen = list(levels)
        expected = prior[chosen] / prior[chosen].sum()
        known = counts[chosen] + weight * expected
        found[chosen] = known / known.sum()
    return found


def first_guess(start: MatchModel, u: list[Floats]) -> tuple[list[Floats], list[Floats]]:
    """Shares of the levels to begin with: within one person, and among candidates that are two persons.

    The latter are half way between chance and likeness.
    """
    m = [
        _shares(start, name, np.zeros(len(start.levels[name])), _m_of(start.levels[name]), 1.0) for name in start.fields
    ]
    return m, [np.sqrt(chance * same) for chance, same in zip(u, m, strict=True)]


def expect(candidates: Candidates, share: float, m: Sequence[Floats], other: Sequence[Floats]) -> Floats:
    """How many pairs of each pattern are one person.

    Args:
        share: of the candidates that are one person.
        m: shares of the levels within one person, by field.
        other: the same among candidates that are two persons.
    """
    odds = log_odds(candidates, share, m, other)
    likely = _unless_known(1.0 / (1.0 + np.exp(-np.clip(odds, -500, 500))), candidates.known)
    return candidates.counts * likely


def log_odds(candidates: Candidates, share: float, m: Sequence[Floats], other: Sequence[Floats]) -> Floats:
    """Natural logarithm of the odds that a pair of each pattern is one person if nothing is known of it; arguments as
    in :func:`expect`.
    """
    share = min(max(share, 1e-6), 1 - 1e-6)
    odds = np.full(len(candidates.patterns), np.log(share) - np.log1p(-share))
    for field, (same, two) in enumerate(zip(m, other, strict=True)):
        odds += (np.log(same) - np.log(two))[candidates.patterns[:, field]]
    return odds


def settle(candidates: Candidates, same: Floats, start: MatchModel) -> list[Floats]:
    """``m`` when so many pairs of each pattern are one person, the start counting for some."""
    return [
        _shares(
            start,
            name,
            np.bincount(candidates.patterns[:, field], same, len(kinds)).astype(np.float64),
            _m_of(start.levels[name]),
            PRIOR_PAIRS_OF_ONE * _trust(start),
        )
        for field, (name, kinds) in enumerate(start.fields.items())
    ]


def maximise(candidates: Candidates, start: MatchModel) -> Maximised:
    """Learn ``m`` from the candidates."""
    patterns, counts = candidates.patterns, candidates.counts
    m, other = first_guess(start, candidates.u)
    share, matches, done = 0.5, 0.0, 0
    if not len(counts):
        return Maximised(m, other, matches, 0)
    while done < ROUNDS:
        done += 1
        same = expect(candidates, share, m, other)
        before, matches = matches, float(same.sum())
        share = min(max(matches / float(counts.sum()), 1e-6), 1 - 1e-6)
        m = settle(candidates, same, start)
        for field, (name, kinds) in enumerate(start.fields.items()):
            of_two = np.bincount(patterns[:, field], counts - same, len(kinds)).astype(np.float64)
            other[field] = _shares(start, name, of_two, candidates.u[field], PRIOR_PAIRS_OF_RELATIVES)
        if abs(matches - before) < 0.01:
            break
    return Maximised(m, other, matches, done)


def _trust(start: MatchModel) -> float:
    return 1.0 if start.french else GENERIC_PRIOR


def _m_of(levels: Sequence[Level]) -> Floats:
    return np.array([level.m for level in levels])

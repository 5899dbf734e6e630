"""Which pairs of a whole population are worth keeping: those that share a blocking key and link or ask."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned
from mpi.domain.columns import Columns, score_pairs
from mpi.domain.model import MatchModel
from mpi.domain.scored_pairs import NO_GRADE, ScoredPairs

Ints = NDArray[np.int64]
CHUNK_PAIRS = 400_000
_CHUNK_CODES = 4_000_000


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of positions worth keeping (smaller first, in order), and how many were weighed to find them."""

    left: Ints
    right: Ints
    scored: ScoredPairs
    weighed: int

    def chosen(self, which: NDArray[np.bool_]) -> Edges:
        """Some of the edges."""
        return Edges(self.left[which], self.right[which], self.scored.chosen(which), self.weighed)


class KeyTable:
    """The blocking keys of records, by position."""

    def __init__(self, keys: Iterable[Iterable[int]] = ()) -> None:
        self._values, self._lengths = array("q"), array("q")
        self._by_key: tuple[Ints, Ints] | None = None
        for each in keys:
            self.add(each)

    def __len__(self) -> int:
        """How many records."""
        return len(self._lengths)

    def add(self, keys: Iterable[int]) -> None:
        """Note the keys of the next record."""
        before = len(self._values)
        self._values.extend(keys)
        self._lengths.append(len(self._values) - before)
        self._by_key = None

    def by_key(self) -> tuple[Ints, Ints]:
        """Each key with each of its positions, in order of key."""
        if self._by_key is None:
            values = np.array(self._values, dtype=np.int64)
            owners = np.repeat(np.arange(len(self), dtype=np.int64), np.array(self._lengths, dtype=np.int64))
            order = np.argsort(values)
            self._by_key = values[order], owners[order]
        return self._by_key

    def pairs(self) -> Ints:
        """All pairs of positions that share a key, coded ``smaller * n + larger``, in order, each once."""
        values, owners = self.by_key()
        starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else np.zeros(0, dtype=np.int64)
        sizes = np.diff(np.r_[starts, len(values)])
        found = [np.zeros(0, dtype=np.int64)]
        for size in np.flatnonzero(np.bincount(sizes[sizes > 1])).tolist():
            rows = owners[starts[sizes == size][:, None] + np.arange(size)]
            one, other = np.triu_indices(size, 1)
            step = max(1, _CHUNK_CODES // len(one))
            for begin in range(0, len(rows), step):
                a, b = rows[begin : begin + step, one], rows[begin : begin + step, other]
                found.append(_each_once((np.minimum(a, b) * len(self) + np.maximum(a, b)).ravel()))
        return _each_once(np.concatenate(found))


def _each_once(codes: Ints) -> Ints:
    """The codes in order, each once: ``np.unique``, which hashes before it sorts, takes fifteen times as long."""
    ordered = np.sort(codes)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def candidate_pairs(keys: Iterable[Iterable[int]]) -> Ints:
    """All pairs of positions that share a key, smaller first, coded ``left * n + right``, sorted, each once."""
    return KeyTable(keys).pairs()


def find_edges(records: Sequence[Cleaned], model: MatchModel) -> Edges:
    """Weigh every candidate pair and keep those that link or ask."""
    keys = (blocking.keys(record, french=model.french) for record in records)
    return weigh_edges(Columns(records), candidate_pairs(keys), model)


def weigh_edges(columns: Columns, codes: Ints, model: MatchModel) -> Edges:
    """Of the pairs of :func:`candidate_pairs` those that link or ask."""
    kept: list[tuple[Ints, Ints, ScoredPairs]] = []
    for left, right, scored in scored_chunks(columns, codes, model):
        worth = scored.grades != NO_GRADE
        kept.append((left[worth], right[worth], scored.chosen(worth)))
    return joined_edges(kept, len(codes), columns, model)


def joined_edges(
    parts: Sequence[tuple[Ints, Ints, ScoredPairs]], weighed: int, columns: Columns, model: MatchModel
) -> Edges:
    """The edges of several chunks, in their order."""
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Edges(nothing, nothing, score_pairs(columns, nothing, nothing, model), 0)
    left, right, scored = zip(*parts, strict=True)
    return Edges(np.concatenate(left), np.concatenate(right), ScoredPairs.joined(scored), weighed)


def scored_chunks(columns: Columns, codes: Ints, model: MatchModel) -> Iterator[tuple[Ints, Ints, ScoredPairs]]:
    """The pairs of :func:`candidate_pairs` with their weights, some at a time to bound memory."""
    for begin in range(0, len(codes), CHUNK_PAIRS):
        left, right = np.divmod(codes[begin : begin + CHUNK_PAIRS], columns.count)
        yield left, right, score_pairs(columns, left, right, model)


def components(count: int, left: Ints, right: Ints) -> Ints:
    """The smallest position of the connected component of each position."""
    root = np.arange(count, dtype=np.int64)
    while True:
        low = np.minimum(root[left], root[right])
        before = root.copy()
        np.minimum.at(root, root[left], low)
        np.minimum.at(root, root[right], low)
        while not np.array_equal(root, shorter := root[root]):
            root = shorter
        if np.array_equal(before, root):
            return root

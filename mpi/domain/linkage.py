"""Linking a whole population in memory: block, weigh in columns, divide into persons.

The same keys, weights and rules as online, so that loading in bulk ends where feeding one by one does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned
from mpi.domain.columns import NO_GRADE, Columns, ScoredPairs, score_pairs
from mpi.domain.grades import LinkPolicy
from mpi.domain.identity import RecordKey
from mpi.domain.model import MatchModel
from mpi.domain.partition import Pair, Partition, RecordView, alone, pair_of, partition
from mpi.domain.scoring import score

Ints = NDArray[np.int64]
CHUNK_PAIRS = 400_000


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of positions worth keeping, and how many were weighed to find them."""

    left: Ints
    right: Ints
    weight_units: Ints
    grades: Ints
    weighed: int


def candidate_pairs(keys: Sequence[Iterable[int]]) -> Ints:
    """All pairs of positions that share a key, smaller first, coded ``left * n + right``, sorted, each once."""
    count = len(keys)
    lengths = np.fromiter((len(tuple(each)) for each in keys), dtype=np.int64, count=count)
    values = np.fromiter((key for each in keys for key in each), dtype=np.int64, count=int(lengths.sum()))
    owners = np.repeat(np.arange(count, dtype=np.int64), lengths)
    order = np.lexsort((owners, values))
    values, owners = values[order], owners[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    found: list[Ints] = []
    for size in np.unique(sizes[sizes > 1]).tolist():
        rows = owners[starts[sizes == size][:, None] + np.arange(size)]
        one, other = np.triu_indices(size, 1)
        for begin in range(0, len(rows), max(1, 4_000_000 // len(one))):
            part = rows[begin : begin + max(1, 4_000_000 // len(one))]
            found.append(np.unique(part[:, one] * count + part[:, other]))
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def find_edges(records: Sequence[Cleaned], model: MatchModel, keys: Sequence[Iterable[int]] | None = None) -> Edges:
    """Weigh every candidate pair and keep those that link or ask."""
    columns = Columns(records)
    codes = candidate_pairs([blocking.keys(record) for record in records] if keys is None else keys)
    kept: list[tuple[Ints, Ints, Ints, Ints]] = []
    for left, right, scored in scored_chunks(columns, codes, model):
        worth = scored.grades != NO_GRADE
        kept.append((left[worth], right[worth], scored.weight_units[worth], scored.grades[worth]))
    if not kept:
        nothing = np.zeros(0, dtype=np.int64)
        return Edges(nothing, nothing, nothing, nothing, 0)
    left, right, weight, grades = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Edges(left, right, weight, grades, len(codes))


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


@dataclass(frozen=True, slots=True)
class Linkage:
    """Persons of a whole population: one :class:`Partition` for each component, in order of first position."""

    partitions: tuple[Partition, ...]
    edges: Edges

    def persons(self) -> Iterator[tuple[RecordKey, ...]]:
        """Every person."""
        for part in self.partitions:
            yield from part.persons


def link(
    records: Sequence[RecordView],
    model: MatchModel,
    policy: LinkPolicy,
    same: Iterable[Pair] = (),
    different: Iterable[Pair] = (),
) -> Linkage:
    """Divide a population into persons."""
    edges = find_edges([record.cleaned for record in records], model)
    return Linkage(tuple(divide(records, edges, model, policy, same, different)), edges)


def divide(
    records: Sequence[RecordView],
    edges: Edges,
    model: MatchModel,
    policy: LinkPolicy,
    same: Iterable[Pair] = (),
    different: Iterable[Pair] = (),
) -> Iterator[Partition]:
    """Decide each connected component, stewards' "same" connecting like an edge."""
    position = {record.key: index for index, record in enumerate(records)}
    same = [pair for pair in same if pair[0] in position and pair[1] in position]
    left = np.r_[edges.left, np.array([position[one] for one, _ in same], dtype=np.int64)]
    right = np.r_[edges.right, np.array([position[other] for _, other in same], dtype=np.int64)]
    root = components(len(records), left, right)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, of in enumerate(root.tolist()):
        members[of].append(index)
    edges_of: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for of, one, other in zip(root[edges.left].tolist(), edges.left.tolist(), edges.right.tolist(), strict=True):
        edges_of[of].append((one, other))
    same_of = _by_component(same, position, root)
    different_of = _by_component(different, position, root)
    for of, indices in members.items():
        if len(indices) == 1:
            yield alone(records[indices[0]].key)
            continue
        views = [records[index] for index in indices]
        scored = {
            pair_of(records[one].key, records[other].key): score(records[one].cleaned, records[other].cleaned, model)
            for one, other in edges_of.get(of, ())
        }
        yield partition(views, scored, same_of.get(of, ()), different_of.get(of, ()), model, policy)


def _by_component(pairs: Iterable[Pair], position: Mapping[RecordKey, int], root: Ints) -> dict[int, list[Pair]]:
    found: defaultdict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair[0] in position and pair[1] in position:
            found[int(root[position[pair[0]]])].append(pair)
    return found

"""Linking a whole population in memory: block, weigh in columns, divide into persons.

The same keys, weights and rules as online, so that loading in bulk ends where feeding one by one does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mpi.domain.edges import Edges, Ints, components, find_edges
from mpi.domain.grades import LinkPolicy
from mpi.domain.identity import RecordKey
from mpi.domain.model import MatchModel
from mpi.domain.partition import Pair, Partition, RecordView, TaskRequest, alone, pair_of, partition
from mpi.domain.settling import Settled, settle


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
    same, different = (
        [pair for pair in decided if pair[0] in position and pair[1] in position] for decided in (same, different)
    )
    left = np.r_[edges.left, np.array([position[one] for one, _ in same], dtype=np.int64)]
    right = np.r_[edges.right, np.array([position[other] for _, other in same], dtype=np.int64)]
    root = components(len(records), left, right)
    decided_on = {position[key] for pair in (*same, *different) for key in pair}
    settled = settle([record.key for record in records], edges, root, model, policy, decided_on)
    tasks_of = defaultdict(list)
    for request in settled.tasks:
        tasks_of[int(root[position[request.pair[0]]])].append(request)
    edges_of = settled.open_edges(edges)
    same_of, different_of = (_by_component(decided, position, root) for decided in (same, different))
    for of, indices in members_of(root).items():
        if of in settled.open:
            scored = {
                pair_of(records[edges.left[e]].key, records[edges.right[e]].key): edges.scored.one(e, model)
                for e in edges_of.get(of, ())
            }
            views = [records[index] for index in indices]
            yield partition(views, scored, same_of.get(of, ()), different_of.get(of, ()), model, policy)
        else:
            yield _settled_partition(records, settled, indices, tasks_of.get(of, []))


def members_of(root: Ints) -> dict[int, list[int]]:
    """The positions of each component, by its smallest."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for index, of in enumerate(root.tolist()):
        found[of].append(index)
    return found


def _settled_partition(
    records: Sequence[RecordView], settled: Settled, indices: list[int], tasks: list[TaskRequest]
) -> Partition:
    keys = sorted(records[index].key for index in indices)
    if len(indices) == 1:
        return alone(keys[0])
    members = {records[index].key: settled.membership(index, records) for index in indices}
    together = settled.partner[indices[0]] >= 0
    persons = (tuple(keys),) if together else tuple((key,) for key in keys)
    return Partition(persons, members, tuple(sorted(tasks, key=lambda task: (task.pair, task.kind))))


def _by_component(pairs: Iterable[Pair], position: Mapping[RecordKey, int], root: Ints) -> dict[int, list[Pair]]:
    found: defaultdict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        found[int(root[position[pair[0]]])].append(pair)
    return found

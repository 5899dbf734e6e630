"""Groups of records that need no weighing against each other: all of them link, or none does. Most are such.

What :func:`mpi.domain.partition.partition` would decide of them follows from the grades alone, so that it is
computed over columns for a whole population at once. A test compares both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpi.domain.edges import Edges, Ints, components
from mpi.domain.grades import Grade, LinkPolicy
from mpi.domain.identity import RecordKey
from mpi.domain.model import UNITS_PER_BIT, MatchModel, units
from mpi.domain.partition import CAP_BITS, Membership, RecordView, TaskKind, TaskRequest, pair_of
from mpi.domain.scored_pairs import GRADES, NO_GRADE, VETO_BIT
from mpi.domain.vetoes import CONTRADICTING, Veto

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided, by position.

    Attributes:
        root: the smallest position of the component of each position.
        open: roots of the components that must be decided each by itself; nothing else here speaks of them.
        partner: the record to which each is linked best, or -1 when it is alone.
        grades: index in :data:`GRADES` of how it belongs to its person.
        weight_units: of the pair with ``partner``, in 1/256 bit.
        tasks: what a person is asked.
    """

    root: Ints
    open: frozenset[int]
    partner: Ints
    grades: Ints
    weight_units: Ints
    tasks: tuple[TaskRequest, ...]

    def membership(self, index: int, records: Sequence[RecordView]) -> Membership:
        """How a record belongs to its person."""
        partner = int(self.partner[index])
        if partner < 0:
            return Membership(Grade.CERTAIN)
        pair = pair_of(records[index].key, records[partner].key)
        weight_bits = int(self.weight_units[index]) / UNITS_PER_BIT
        return Membership(GRADES[self.grades[index]], pair, weight_bits=weight_bits)

    def open_edges(self, edges: Edges) -> dict[int, list[int]]:
        """The numbers of the edges of each open component."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        is_open = np.zeros(len(self.root), dtype=bool)
        is_open[list(self.open)] = True
        of = self.root[edges.left]
        chosen = np.flatnonzero(is_open[of])
        for root, edge in zip(of[chosen].tolist(), chosen.tolist(), strict=True):
            found[root].append(edge)
        return found


def settle(
    keys: Sequence[RecordKey],
    edges: Edges,
    root: Ints,
    model: MatchModel,
    policy: LinkPolicy,
    decided_on: Iterable[int] = (),
) -> Settled:
    """Decide every component that needs no weighing of one record against another.

    Args:
        keys: of the records, by position.
        root: the component of each position; the edges stay within.
        decided_on: positions about which stewards have decided; their components stay open.
    """
    count = len(keys)
    of = root[edges.left]
    sizes = np.bincount(root, minlength=count)
    links = _may_link(keys, edges, policy)
    fits = links & (edges.scored.weight_units >= units(model.thresholds.cohesion))
    fits &= (edges.scored.vetoes & sum(VETO_BIT[veto] for veto in CONTRADICTING)) == 0
    fits &= model.thresholds.cohesion <= CAP_BITS
    left_alone = np.ones(count, dtype=bool)
    left_alone[root[list(decided_on)]] = False
    several = sizes > 1
    whole = several & left_alone & (np.bincount(of, weights=fits, minlength=count) == sizes * (sizes - 1) // 2)
    apart = several & left_alone & (np.bincount(of, weights=links, minlength=count) == 0)
    place = _places(keys, several[root])
    partner, grades, weight_units = _join(edges, whole[of], root, place)
    asked = np.flatnonzero(apart[of])
    conflicts = (edges.scored.vetoes[asked] & VETO_BIT[Veto.INS_CONTRADICTED]) != 0
    tasks = [
        _task(keys, edges, edge, TaskKind.INS_CONFLICT if conflict else TaskKind.POSSIBLE_DUPLICATE)
        for edge, conflict in zip(asked.tolist(), conflicts.tolist(), strict=True)
    ]
    tasks += _within_domains(keys, edges, whole[root], root, place)
    still_open = np.flatnonzero(several & ~whole & ~apart).tolist()
    return Settled(root, frozenset(still_open), partner, grades, weight_units, tuple(tasks))


def _may_link(keys: Sequence[RecordKey], edges: Edges, policy: LinkPolicy) -> Bools:
    """Which edges link by themselves."""
    domains: dict[str, int] = {}
    domain = np.array([domains.setdefault(key.domain, len(domains)) for key in keys], dtype=np.int64)
    allowed = np.array(
        [[grade is not Grade.POSSIBLE and policy.allows(grade, name) for name in domains] for grade in GRADES],
        dtype=bool,
    ).reshape(len(GRADES), len(domains))
    grades = edges.scored.grades
    found: Bools = allowed[grades, domain[edges.left]] & allowed[grades, domain[edges.right]]
    return found


def _places(keys: Sequence[RecordKey], wanted: Bools) -> Ints:
    """The place in order of key of each wanted position among the wanted ones."""
    positions = np.flatnonzero(wanted).tolist()
    # A NUL occurs in no key, so that joined texts are in the order of the keys.
    texts = {index: f"{keys[index].domain}\0{keys[index].local_id}" for index in positions}
    place = np.zeros(len(keys), dtype=np.int64)
    place[sorted(positions, key=texts.__getitem__)] = np.arange(len(positions))
    return place


def _join(edges: Edges, within: Bools, root: Ints, place: Ints) -> tuple[Ints, Ints, Ints]:
    """Partner, grade and weight of each record whose component is one person; see ``Partition.members``."""
    count = len(root)
    left, right = edges.left[within], edges.right[within]
    weights = edges.scored.weight_units[within]
    certain = edges.scored.grades[within] == Grade.CERTAIN.rank
    in_core = _cores(count, left, right, certain, root, place)
    counts = ~certain | (in_core[left] == in_core[right])
    left, right, weights, certain = left[counts], right[counts], weights[counts], certain[counts]
    one, other = np.r_[left, right], np.r_[right, left]
    first, second = np.minimum(place[one], place[other]), np.maximum(place[one], place[other])
    rank = np.where(certain, Grade.CERTAIN.rank, Grade.PROBABLE.rank)
    order = np.lexsort((second, first, -np.r_[weights, weights], np.r_[rank, rank], one))
    best = order[np.r_[True, one[order][1:] != one[order][:-1]]] if len(order) else order
    partner = np.full(count, -1, dtype=np.int64)
    grades = np.full(count, NO_GRADE, dtype=np.int64)
    weight_units = np.zeros(count, dtype=np.int64)
    partner[one[best]] = other[best]
    grades[one[best]] = np.where(in_core[one[best]], Grade.CERTAIN.rank, Grade.PROBABLE.rank)
    weight_units[one[best]] = np.r_[weights, weights][best]
    return partner, grades, weight_units


def _cores(count: int, left: Ints, right: Ints, certain: Bools, root: Ints, place: Ints) -> Bools:
    """Which records are in the core of their person: the largest set held together by certain links."""
    joined = components(count, left[certain], right[certain])
    is_member = np.zeros(count, dtype=bool)
    is_member[left] = is_member[right] = True
    members = np.flatnonzero(is_member)
    sizes = np.bincount(joined[members], minlength=count)
    order = members[np.lexsort((place[members], -sizes[joined[members]], root[members]))]
    leads = order[np.r_[True, root[order][1:] != root[order][:-1]]] if len(order) else order
    core_of = np.full(count, -1, dtype=np.int64)
    core_of[root[leads]] = joined[leads]
    found: Bools = core_of[root] == joined
    return found


def _within_domains(
    keys: Sequence[RecordKey], edges: Edges, together: Bools, root: Ints, place: Ints
) -> list[TaskRequest]:
    """A question about each further record that one domain has of one person."""
    domains: dict[str, int] = {}
    members = np.flatnonzero(together)
    domain = np.array([domains.setdefault(keys[i].domain, len(domains)) for i in members.tolist()], dtype=np.int64)
    order = np.lexsort((place[members], domain, root[members]))
    members, domain = members[order], domain[order]
    again = np.zeros(len(members), dtype=bool)
    again[1:] = (root[members][1:] == root[members][:-1]) & (domain[1:] == domain[:-1])
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(members))))
    one, other = members[first[again]], members[again]
    codes = edges.left * len(keys) + edges.right
    found = np.searchsorted(codes, np.minimum(one, other) * len(keys) + np.maximum(one, other))
    return [_task(keys, edges, edge, TaskKind.SAME_DOMAIN_DUPLICATE) for edge in found.tolist()]


def _task(keys: Sequence[RecordKey], edges: Edges, edge: int, kind: TaskKind) -> TaskRequest:
    pair = pair_of(keys[edges.left[edge]], keys[edges.right[edge]])
    return TaskRequest(kind, pair, int(edges.scored.weight_units[edge]) / UNITS_PER_BIT)

"""From weighed pairs to persons: who is one person, how surely, and what a steward must decide.

A pure function of the set of records, edges and decisions: the order of arrival plays no part, ties are broken
by record key. A record joins a person, not another record: all members speak, a contradiction with any of them
forbids, and two persons that fit nearly as well make it a task. Called on one connected component at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mpi.domain.cleaning import Cleaned
from mpi.domain.comparison import compare_given
from mpi.domain.grades import Grade, LinkPolicy, grade_of
from mpi.domain.identity import RecordKey
from mpi.domain.levels import FIELDS, GIVEN_DIFFERS, Given
from mpi.domain.model import MatchModel, units
from mpi.domain.scoring import PairScore, score
from mpi.domain.vetoes import CONTRADICTING, EXPLAINABLE, Veto

Pair = tuple[RecordKey, RecordKey]
_GIVEN = tuple(FIELDS).index("given")
_BORNE = frozenset({Given.LIST, Given.FIRST, Given.USED})
_ALIKE = frozenset({Given.MISSPELT, Given.SPELLING, Given.DIMINUTIVE})
_WITHIN = frozenset({Given.PREFIX, Given.LISTED})
CAP_BITS = 60.0
"""Beyond this a weight says nothing more; one strong pair must not outvote the other members."""


@dataclass(frozen=True, slots=True)
class RecordView:
    """What deciding needs of a record."""

    key: RecordKey
    cleaned: Cleaned


class TaskKind(StrEnum):
    """What a person is asked."""

    POSSIBLE_DUPLICATE = "possible-duplicate"
    SAME_DOMAIN_DUPLICATE = "same-domain-duplicate"
    INS_CONFLICT = "ins-conflict"
    DECISION_CONFLICT = "decision-conflict"
    SUSPECTED_OVERLAY = "suspected-overlay"
    DOUBTFUL_IDENTITY = "doubtful-identity"


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A question about two records, smaller key first."""

    kind: TaskKind
    pair: Pair
    weight_bits: float


@dataclass(frozen=True, slots=True)
class Membership:
    """How a record belongs to its person.

    Attributes:
        grade: ``CERTAIN`` for the core of the person and for a record alone, else that of its best link.
        evidence: the pair that joins it best, or ``None`` for a record alone.
        by_steward: the evidence is a steward's "same".
        weight_bits: weight of the evidence; 0 without.
    """

    grade: Grade
    evidence: Pair | None = None
    by_steward: bool = False
    weight_bits: float = 0.0


@dataclass(frozen=True, slots=True)
class Partition:
    """Persons of a component.

    Attributes:
        persons: records of each person in order of key; persons in order of their first record.
        members: how each record belongs.
        tasks: in order of pair and kind.
    """

    persons: tuple[tuple[RecordKey, ...], ...]
    members: Mapping[RecordKey, Membership]
    tasks: tuple[TaskRequest, ...]


def pair_of(one: RecordKey, other: RecordKey) -> Pair:
    """Two keys in their order."""
    return (one, other) if one < other else (other, one)


def is_edge(pair: PairScore, a: Cleaned, b: Cleaned, model: MatchModel) -> bool:
    """Whether a pair must be kept: it links or asks under some policy. Components follow these edges alone."""
    return grade_of(pair, a, b, model) is not None


def partition(
    records: Sequence[RecordView],
    edges: Mapping[Pair, PairScore],
    same: Iterable[Pair],
    different: Iterable[Pair],
    model: MatchModel,
    policy: LinkPolicy,
) -> Partition:
    """Divide the records of a component into persons.

    Args:
        records: all records of the component, in any order.
        edges: pairs for which :func:`is_edge` holds, keyed by :func:`pair_of`; others are weighed when needed.
        same: stewards' "same" decisions; they link whatever the weight.
        different: stewards' "different" decisions; they keep apart whatever the weight.
    """
    return _Decider(records, edges, same, different, model, policy).decide()


def alone(key: RecordKey) -> Partition:
    """The partition of a record that resembles nobody."""
    return Partition(((key,),), {key: Membership(Grade.CERTAIN)}, ())


class _Decider:
    """One run of :func:`partition`. Groups are lists of record positions, records being sorted by key."""

    def __init__(
        self,
        records: Sequence[RecordView],
        edges: Mapping[Pair, PairScore],
        same: Iterable[Pair],
        different: Iterable[Pair],
        model: MatchModel,
        policy: LinkPolicy,
    ) -> None:
        self.records = sorted(records, key=lambda record: record.key)
        self.position = {record.key: index for index, record in enumerate(self.records)}
        self.model = model
        self.policy = policy
        self.scores = {self._indices(pair): edge for pair, edge in edges.items() if self._known(pair)}
        self.edge_indices = sorted(self.scores)
        self.grades: dict[tuple[int, int], Grade | None] = {}
        self.same = sorted({self._indices(pair) for pair in same if self._known(pair)})
        self.different = {self._indices(pair) for pair in different if self._known(pair)}
        self.group_of = list(range(len(self.records)))
        self.groups: dict[int, list[int]] = {index: [index] for index in self.group_of}
        self.links: dict[tuple[int, int], Grade] = {}
        self.tasks: set[TaskRequest] = set()

    def decide(self) -> Partition:
        self._obey_stewards()
        self._agglomerate()
        self._ask_between_persons()
        self._ask_within_domains()
        persons = sorted(tuple(sorted(group)) for group in self.groups.values())
        members: dict[RecordKey, Membership] = {}
        for person in persons:
            members.update(self._memberships(person))
        return Partition(
            tuple(tuple(self.records[index].key for index in person) for person in persons),
            members,
            tuple(sorted(self.tasks, key=lambda task: (task.pair, task.kind))),
        )

    def _known(self, pair: Pair) -> bool:
        return pair[0] in self.position and pair[1] in self.position

    def _indices(self, pair: Pair) -> tuple[int, int]:
        one, other = self.position[pair[0]], self.position[pair[1]]
        return (one, other) if one < other else (other, one)

    def _score(self, one: int, other: int) -> PairScore:
        pair = (one, other) if one < other else (other, one)
        found = self.scores.get(pair)
        if found is None:
            found = score(self.records[pair[0]].cleaned, self.records[pair[1]].cleaned, self.model)
            self.scores[pair] = found
        return found

    def _grade(self, pair: tuple[int, int]) -> Grade | None:
        if pair not in self.grades:
            one, other = self.records[pair[0]].cleaned, self.records[pair[1]].cleaned
            self.grades[pair] = grade_of(self._score(*pair), one, other, self.model)
        return self.grades[pair]

    def _join(self, one: int, other: int) -> None:
        kept, gone = min(one, other), max(one, other)
        moved = self.groups.pop(gone)
        self.groups[kept].extend(moved)
        for index in moved:
            self.group_of[index] = kept

    def _apart(self, one: int, other: int) -> bool:
        """Whether a steward keeps any two records of two groups apart."""
        return any(
            ((i, j) if i < j else (j, i)) in self.different for i in self.groups[one] for j in self.groups[other]
        )

    def _obey_stewards(self) -> None:
        for i, j in self.same:
            one, other = self.group_of[i], self.group_of[j]
            if one == other:
                continue
            if self._apart(one, other):
                self._ask(TaskKind.DECISION_CONFLICT, i, j)
                continue
            self._join(one, other)

    def _agglomerate(self) -> None:
        """Join the two groups that fit best, again and again, until none fit."""
        candidates = {
            pair
            for pair in self.edge_indices
            if (grade := self._grade(pair)) is not None
            and grade is not Grade.POSSIBLE
            and self.policy.allows(grade, self.records[pair[0]].key.domain, self.records[pair[1]].key.domain)
        }
        fits: dict[tuple[int, int], tuple[int, float] | None] = {}
        while True:
            between: defaultdict[tuple[int, int], int] = defaultdict(lambda: Grade.POSSIBLE.rank)
            for i, j in candidates:
                one, other = self.group_of[i], self.group_of[j]
                if one != other:
                    groups = (one, other) if one < other else (other, one)
                    grade = self._grade((i, j))
                    assert grade is not None
                    between[groups] = min(between[groups], grade.rank)
            for groups in between:
                if groups not in fits:
                    fits[groups] = self._fit(*groups)
            best: tuple[int, float, tuple[int, int]] | None = None
            for groups, rank in between.items():
                fit = fits[groups]
                if fit is None or self._is_ambiguous(groups, fit[1], rank, between, fits):
                    continue
                proposal = (rank, -fit[1], groups)
                if best is None or proposal < best:
                    best = proposal
            if best is None:
                return
            one, other = best[2]
            self._join(one, other)
            fits = {groups: fit for groups, fit in fits.items() if one not in groups and other not in groups}

    def _fit(self, one: int, other: int) -> tuple[int, float] | None:
        """Number of pairs and average weight (capped) between two groups; ``None`` when they may not be joined."""
        if self._apart(one, other):
            return None
        total = explained = 0
        cap = units(CAP_BITS)
        for i in self.groups[one]:
            for j in self.groups[other]:
                pair = self._score(i, j)
                if not self._is_compatible(i, j, (one, other)):
                    return None
                if any(veto in CONTRADICTING for veto in pair.vetoes):
                    explained += 1
                    continue
                total += max(min(pair.weight_units, cap), -cap)
        count = len(self.groups[one]) * len(self.groups[other]) - explained
        if not count:
            return None
        average = total / count
        return (count, average) if average >= units(self.model.thresholds.cohesion) else None

    def _is_explained(self, i: int, j: int, groups: tuple[int, ...]) -> bool:
        """Whether a third record of the groups joins both: it bears both given names, or shares a home with each."""
        for k in (index for group in groups for index in self.groups[group]):
            if k in (i, j):
                continue
            links = (self._score(i, k), self._score(j, k))
            if any(veto in CONTRADICTING for link in links for veto in link.vetoes):
                continue
            if self._score(i, j).levels[_GIVEN] not in GIVEN_DIFFERS:
                # Homonyms: the third has a place or home in common with each.
                if not any(Veto.UNSUPPORTED in link.vetoes for link in links):
                    return True
            elif self._bears(k, i, j) and self._bears(k, j, i):
                return True
        return False

    def _bears(self, k: int, i: int, j: int) -> bool:
        """Whether ``k`` bears the name of ``i``: as its own, or in full further back, not as one of a longer list.

        Where the lists of ``i`` and ``j`` contradict each other, being alike is not enough.
        """
        a, b = self.records[k].cleaned, self.records[i].cleaned
        level, _ = compare_given(a.first, a.given, a.used_given, b.first, b.given, b.used_given)
        if level in _BORNE or (level in _WITHIN and set(b.first.split(" ")) <= set(a.given.split(" "))):
            return True
        if level in _ALIKE:
            return self._score(i, j).levels[_GIVEN] != Given.COMPOUND_CONFLICT
        return self._score(k, i).levels[_GIVEN] == Given.CROSSED

    def _is_ambiguous(
        self,
        groups: tuple[int, int],
        average: float,
        rank: int,
        between: Mapping[tuple[int, int], int],
        fits: Mapping[tuple[int, int], tuple[int, float] | None],
    ) -> bool:
        """Whether one of the two fits a third group nearly as well, which the other contradicts."""
        if rank == Grade.CERTAIN.rank:
            return False
        margin = units(self.model.thresholds.margin)
        for rival_groups in between:
            if rival_groups == groups:
                continue
            shared = set(groups) & set(rival_groups)
            rival_fit = fits[rival_groups]
            if not shared or rival_fit is None or rival_fit[1] < average - margin:
                continue
            (left,) = set(groups) - shared
            (right,) = set(rival_groups) - shared
            (between_both,) = shared
            if self._contradict(left, right, between_both):
                return True
        return False

    def _contradict(self, one: int, other: int, between: int) -> bool:
        """Whether two groups speak against each other, in spite of what a third group between them explains."""
        if self._apart(one, other):
            return True
        return any(
            not self._is_compatible(i, j, (one, other, between)) for i in self.groups[one] for j in self.groups[other]
        )

    def _is_compatible(self, i: int, j: int, groups: tuple[int, ...]) -> bool:
        """Whether two records do not contradict each other, or a record of the groups explains why they seem to."""
        against = [veto for veto in self._score(i, j).vetoes if veto in CONTRADICTING]
        return not against or (all(veto in EXPLAINABLE for veto in against) and self._is_explained(i, j, groups))

    def _ask(self, kind: TaskKind, one: int, other: int) -> None:
        pair = pair_of(self.records[one].key, self.records[other].key)
        self.tasks.add(TaskRequest(kind, pair, self._score(one, other).weight_bits))

    def _ask_between_persons(self) -> None:
        """One question for two persons that an edge connects: the best pair, unless a steward has answered."""
        best: dict[tuple[int, int], tuple[int, int, tuple[int, int]]] = {}
        for pair in self.edge_indices:
            one, other = self.group_of[pair[0]], self.group_of[pair[1]]
            if one == other:
                continue
            groups = (one, other) if one < other else (other, one)
            grade = self._grade(pair)
            if grade is None or self._apart(*groups):
                continue
            proposal = (grade.rank, -self._score(*pair).weight_units, pair)
            if groups not in best or proposal < best[groups]:
                best[groups] = proposal
        for _, _, pair in best.values():
            conflict = Veto.INS_CONTRADICTED in self._score(*pair).vetoes
            self._ask(TaskKind.INS_CONFLICT if conflict else TaskKind.POSSIBLE_DUPLICATE, *pair)

    def _ask_within_domains(self) -> None:
        for group in self.groups.values():
            first_of: dict[str, int] = {}
            for index in sorted(group):
                domain = self.records[index].key.domain
                if domain in first_of:
                    self._ask(TaskKind.SAME_DOMAIN_DUPLICATE, first_of[domain], index)
                else:
                    first_of[domain] = index

    def _memberships(self, person: tuple[int, ...]) -> dict[RecordKey, Membership]:
        """Grade and evidence of each record of a person; the largest group of certain links is its core."""
        if len(person) == 1:
            return {self.records[person[0]].key: Membership(Grade.CERTAIN)}
        steward = set(self.same)
        joins: list[tuple[int, int, tuple[int, int]]] = []
        for position, i in enumerate(person):
            for j in person[position + 1 :]:
                pair = (i, j)
                grade = Grade.CERTAIN if pair in steward else self._grade(pair)
                rank = Grade.CERTAIN.rank if grade is Grade.CERTAIN else Grade.PROBABLE.rank
                joins.append((rank, -self._score(i, j).weight_units, pair))
        joins.sort()
        core = self._core(person, [pair for rank, _, pair in joins if rank == Grade.CERTAIN.rank])
        members: dict[RecordKey, Membership] = {}
        for rank, negative_units, pair in joins:
            for index in pair:
                key = self.records[index].key
                if key in members or (rank == Grade.CERTAIN.rank and (pair[0] in core) != (pair[1] in core)):
                    continue
                members[key] = Membership(
                    Grade.CERTAIN if index in core else Grade.PROBABLE,
                    pair_of(self.records[pair[0]].key, self.records[pair[1]].key),
                    pair in steward,
                    -negative_units / 256,
                )
        return members

    @staticmethod
    def _core(person: tuple[int, ...], certain: list[tuple[int, int]]) -> frozenset[int]:
        """The largest set of records held together by certain links; the smallest key decides between equals."""
        root = {index: index for index in person}

        def find(index: int) -> int:
            while root[index] != index:
                index = root[index]
            return index

        for i, j in certain:
            one, other = find(i), find(j)
            if one != other:
                root[max(one, other)] = min(one, other)
        sets: defaultdict[int, list[int]] = defaultdict(list)
        for index in person:
            sets[find(index)].append(index)
        largest = sorted(sets.values(), key=_size_then_first)[0]
        return frozenset(largest)


def _size_then_first(members: list[int]) -> tuple[int, int]:
    return -len(members), members[0]

"""How good a linkage is, measured against ground truth after clustering.

A *pair* is two records. Precision and recall count pairs after clustering, so that one wrong link between two large
persons costs as much as it does in life.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counts of one linkage and the shares made of them (1.0 where there is nothing to count).

    Attributes:
        records: records of the file.
        people: people in truth.
        clusters: persons that the linkage made.
        true_pairs: pairs of records of one human.
        linked_pairs: pairs of records in one cluster.
        correct_pairs: pairs that are both.
        waiting_pairs: true pairs not linked, that are linked once every right task is accepted.
        mixed_clusters: clusters that hold records of different people.
        split_people: people whose records lie in several clusters.
        tasks: tasks that ask whether two clusters are one; questions inside a cluster (a doublon that its site
            should merge) wait for nothing and are not counted.
        right_tasks: tasks about two records of one human.
        records_with_task: records that appear in a task.
    """

    records: int
    people: int
    clusters: int
    true_pairs: int
    linked_pairs: int
    correct_pairs: int
    waiting_pairs: int
    mixed_clusters: int
    split_people: int
    tasks: int
    right_tasks: int
    records_with_task: int

    @property
    def precision(self) -> float:
        """Share of linked pairs that are right."""
        return self.correct_pairs / self.linked_pairs if self.linked_pairs else 1.0

    @property
    def recall(self) -> float:
        """Share of true pairs that are linked."""
        return self.correct_pairs / self.true_pairs if self.true_pairs else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.linked_pairs + self.true_pairs
        return 2 * self.correct_pairs / total if total else 1.0

    @property
    def linked_or_waiting(self) -> float:
        """Share of true pairs that are linked or that a right task would link."""
        return (self.correct_pairs + self.waiting_pairs) / self.true_pairs if self.true_pairs else 1.0

    @property
    def task_share(self) -> float:
        """Share of records that appear in a task."""
        return self.records_with_task / self.records if self.records else 0.0

    @property
    def task_precision(self) -> float:
        """Share of tasks about two records of one human."""
        return self.right_tasks / self.tasks if self.tasks else 1.0


class Forest(Generic[K]):
    """Disjoint sets of keys that grow together; each knows how many records of which human it holds."""

    def __init__(self, truth: Mapping[K, str]) -> None:
        self._parent: dict[K, K] = {key: key for key in truth}
        self._people: dict[K, Counter[str]] = {key: Counter((person,)) for key, person in truth.items()}
        self._sizes: dict[K, int] = dict.fromkeys(truth, 1)
        self.linked_pairs = self.correct_pairs = 0

    def root(self, key: K) -> K:
        """The set's representative."""
        parent = self._parent
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    def join(self, a: K, b: K) -> None:
        """Put the sets of two keys together."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        if self._sizes[a] < self._sizes[b]:
            a, b = b, a
        big, small = self._people[a], self._people.pop(b)
        self.linked_pairs += self._sizes[a] * self._sizes[b]
        self.correct_pairs += sum(count * big[person] for person, count in small.items())
        big.update(small)
        self._sizes[a] += self._sizes.pop(b)
        self._parent[b] = a

    def mixed(self) -> int:
        """How many sets hold records of different people."""
        return sum(len(people) > 1 for people in self._people.values())

    def clusters(self) -> dict[K, K]:
        """The representative of every key."""
        return {key: self.root(key) for key in self._parent}


def evaluate(truth: Mapping[K, str], clusters: Mapping[K, Hashable], tasks: Iterable[tuple[K, K]] = ()) -> Metrics:
    """Measure a linkage.

    Args:
        truth: the human of each record.
        clusters: the person that the linkage gave each record; a record missing here stands alone.
        tasks: pairs of records that wait for a person's decision.
    """
    forest: Forest[K] = Forest(truth)
    first_of: dict[Hashable, K] = {}
    for key in truth:
        if key in clusters:
            forest.join(first_of.setdefault(clusters[key], key), key)
    linked, correct, mixed = forest.linked_pairs, forest.correct_pairs, forest.mixed()
    roots = {key: forest.root(key) for key in truth}
    clusters_of: defaultdict[str, set[K]] = defaultdict(set)
    for key, person in truth.items():
        clusters_of[person].add(roots[key])
    distinct_tasks = {frozenset(pair) for pair in tasks if roots[pair[0]] != roots[pair[1]]}
    right = [tuple(pair) for pair in distinct_tasks if len({truth[key] for key in pair}) == 1]
    for a, b in right:
        forest.join(a, b)
    return Metrics(
        records=len(truth),
        people=len(clusters_of),
        clusters=len(set(roots.values())),
        true_pairs=sum(n * (n - 1) // 2 for n in Counter(truth.values()).values()),
        linked_pairs=linked,
        correct_pairs=correct,
        waiting_pairs=forest.correct_pairs - correct,
        mixed_clusters=mixed,
        split_people=sum(len(found) > 1 for found in clusters_of.values()),
        tasks=len(distinct_tasks),
        right_tasks=len(right),
        records_with_task=len({key for pair in distinct_tasks for key in pair}),
    )

"""How good a linkage is, measured against ground truth after clustering.

A *pair* is two records of the file. Precision and recall count pairs after clustering, so that one wrong link
between two large persons costs as much as it does in life.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
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


def kind_of_false_pair(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    """What two rows of different people are to each other, by the generator's truth columns."""
    record_kinds = {*a["kinds"].split("|"), *b["kinds"].split("|")}
    parents_a, parents_b = set(a["parents"].split()), set(b["parents"].split())
    if record_kinds & {"overlay", "test_ins", "wrong_ins", "insured_number"}:
        return "wrong attachment"
    if record_kinds & {"newborn"}:
        return "newborn"
    if a["delivery"] and a["delivery"] == b["delivery"]:
        return "twins"
    if b["person"] == a["homonym_of"] or a["person"] == b["homonym_of"]:
        return "injected homonym"
    if a["person"] in parents_b or b["person"] in parents_a:
        return "parent and child"
    if parents_a & parents_b:
        return "siblings"
    if a["family"] == b["family"]:
        return "other relatives"
    return "unrelated"


def kind_of_missed_pair(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    """What was done to two rows of one human, most telling kinds first."""
    kinds = {kind for kind in (*a["kinds"].split("|"), *b["kinds"].split("|")) if kind}
    for wanted in ("overlay", "newborn", "crossed", "married_as_birth", "used_given", "given_other", "surname_other"):
        if wanted in kinds:
            return wanted
    groups = sorted({kind.split("_")[0] for kind in kinds} - {"place", "mother", "insured"})
    return " + ".join(groups) if groups else "no error"

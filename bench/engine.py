"""Our own engine over a file in memory: clean, block, weigh, divide. What a database adds is not measured here."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ihe.values import PartialDate
from mpi.domain.blocking import keys
from mpi.domain.cleaning import Cleaned, clean
from mpi.domain.default_models import default_french
from mpi.domain.grades import LinkPolicy
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.domain.model import MatchModel
from mpi.domain.partition import Pair, RecordView, TaskRequest, is_edge, pair_of, partition
from mpi.domain.scoring import PairScore, score

Row = Mapping[str, str]


def key_of(row: Row) -> RecordKey:
    """A row's record key."""
    return RecordKey(row["domain"], row["local_id"])


def traits_of(row: Row) -> Traits:
    """A bulk CSV row as traits."""
    return Traits(
        birth_family_name=row["birth_family_name"] or None,
        birth_given_names=tuple(row["birth_given_names"].split()),
        first_birth_given_name=row["first_birth_given_name"] or None,
        used_family_name=row["used_family_name"] or None,
        used_given_name=row["used_given_name"] or None,
        sex=Sex(row["sex"]) if row["sex"] else None,
        birth_date=PartialDate.parse(row["birth_date"]) if row["birth_date"] else None,
        birth_place_code=row["birth_place_code"] or None,
        address=row["address"] or None,
        postal_code=row["postal_code"] or None,
        city=row["city"] or None,
        phone=row["phone"] or None,
        email=row["email"] or None,
        ins=row["ins"] or None,
        ins_oid=row["ins_oid"] or None,
        identity_status=IdentityStatus(row["identity_status"] or "VIDE"),
        identity_attributes=frozenset(row["identity_attributes"].split("|")) - {""},
    )


@dataclass(frozen=True, slots=True)
class Linkage:
    """What the engine made of a file.

    Attributes:
        clusters: a person's number for each record.
        tasks: questions for a person.
        candidates: pairs that shared a blocking key.
        scored: weight in bits and both records, of candidates at or above the kept weight.
        seconds: wall time of each step.
    """

    clusters: dict[RecordKey, int]
    tasks: list[TaskRequest]
    candidates: int
    scored: list[tuple[float, RecordKey, RecordKey]]
    seconds: dict[str, float]

    @property
    def task_pairs(self) -> list[Pair]:
        """The records of each task."""
        return [task.pair for task in self.tasks]


def link(
    records: Iterable[tuple[RecordKey, Traits]],
    model: MatchModel | None = None,
    policy: LinkPolicy | None = None,
    keep_bits: float = 0.0,
) -> Linkage:
    """Link records that nobody has decided on yet.

    Args:
        model: the French default when ``None``.
        policy: the calibrated one when ``None``.
        keep_bits: scored pairs below this weight are not kept for curves.
    """
    model, policy = model or default_french(), policy or LinkPolicy.calibrated()
    clock = [time.perf_counter()]
    cleaned = {key: clean(traits) for key, traits in records}
    clock.append(time.perf_counter())
    pairs = candidate_pairs(cleaned)
    clock.append(time.perf_counter())
    edges: dict[Pair, PairScore] = {}
    scored: list[tuple[float, RecordKey, RecordKey]] = []
    for a, b in pairs:
        found = score(cleaned[a], cleaned[b], model)
        if found.weight_bits >= keep_bits:
            scored.append((found.weight_bits, a, b))
        if is_edge(found, cleaned[a], cleaned[b], model):
            edges[a, b] = found
    clock.append(time.perf_counter())
    clusters, tasks = _divide(cleaned, edges, model, policy)
    clock.append(time.perf_counter())
    steps = ("clean", "block", "score", "divide")
    return Linkage(
        clusters,
        tasks,
        len(pairs),
        scored,
        {step: clock[at + 1] - clock[at] for at, step in enumerate(steps)},
    )


def candidate_pairs(cleaned: Mapping[RecordKey, Cleaned]) -> list[Pair]:
    """Pairs of records that share a blocking key, each once and in order of key."""
    blocks: defaultdict[int, list[RecordKey]] = defaultdict(list)
    for key, record in cleaned.items():
        for block in keys(record):
            blocks[block].append(key)
    return list({pair_of(*pair) for block in blocks.values() if len(block) > 1 for pair in combinations(block, 2)})


def _divide(
    cleaned: Mapping[RecordKey, Cleaned], edges: Mapping[Pair, PairScore], model: MatchModel, policy: LinkPolicy
) -> tuple[dict[RecordKey, int], list[TaskRequest]]:
    clusters: dict[RecordKey, int] = {}
    tasks: list[TaskRequest] = []
    for component, inner in _components(edges):
        views = [RecordView(key, cleaned[key]) for key in component]
        result = partition(views, inner, (), (), model, policy)
        tasks.extend(result.tasks)
        for person in result.persons:
            number = len(clusters)
            clusters.update(dict.fromkeys(person, number))
    for key in cleaned:
        clusters.setdefault(key, -1 - len(clusters))
    return clusters, tasks


def _components(edges: Mapping[Pair, PairScore]) -> Iterable[tuple[Sequence[RecordKey], dict[Pair, PairScore]]]:
    root: dict[RecordKey, RecordKey] = {}

    def find(key: RecordKey) -> RecordKey:
        root.setdefault(key, key)
        while root[key] != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for a, b in edges:
        root[find(a)] = find(b)
    members: defaultdict[RecordKey, list[RecordKey]] = defaultdict(list)
    for key in list(root):
        members[find(key)].append(key)
    inner: defaultdict[RecordKey, dict[Pair, PairScore]] = defaultdict(dict)
    for pair, edge in edges.items():
        inner[find(pair[0])][pair] = edge
    return [(component, inner[head]) for head, component in members.items()]

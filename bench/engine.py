"""Our own engine over a file in memory: clean, block, weigh, divide. What a database adds is not measured here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ihe.values import PartialDate
from mpi.domain.blocking import keys
from mpi.domain.cleaning import clean
from mpi.domain.columns import Columns
from mpi.domain.default_models import default_french
from mpi.domain.edges import Edges, Ints, candidate_pairs, joined_edges, scored_chunks
from mpi.domain.grades import LinkPolicy
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.domain.linkage import divide
from mpi.domain.model import UNITS_PER_BIT, MatchModel
from mpi.domain.partition import Pair, RecordView, TaskRequest
from mpi.domain.scored_pairs import NO_GRADE, ScoredPairs

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
    views = [RecordView(key, clean(traits)) for key, traits in records]
    clock.append(time.perf_counter())
    codes = candidate_pairs([keys(view.cleaned, french=model.french) for view in views])
    clock.append(time.perf_counter())
    edges, scored = _weigh(views, codes, model, keep_bits)
    clock.append(time.perf_counter())
    clusters: dict[RecordKey, int] = {}
    tasks: list[TaskRequest] = []
    for part in divide(views, edges, model, policy):
        tasks.extend(part.tasks)
        for person in part.persons:
            clusters.update(dict.fromkeys(person, len(clusters)))
    clock.append(time.perf_counter())
    steps = ("clean", "block", "score", "divide")
    seconds = {step: clock[at + 1] - clock[at] for at, step in enumerate(steps)}
    return Linkage(clusters, tasks, len(codes), scored, seconds)


def _weigh(
    views: list[RecordView], codes: Ints, model: MatchModel, keep_bits: float
) -> tuple[Edges, list[tuple[float, RecordKey, RecordKey]]]:
    """Weigh the candidates: the edges to divide by, and every pair at or above a weight."""
    kept: list[tuple[Ints, Ints, ScoredPairs]] = []
    columns = Columns(view.cleaned for view in views)
    scored: list[tuple[float, RecordKey, RecordKey]] = []
    for left, right, found in scored_chunks(columns, codes, model):
        worth = found.grades != NO_GRADE
        kept.append((left[worth], right[worth], found.chosen(worth)))
        shown = np.flatnonzero(found.weight_units >= keep_bits * UNITS_PER_BIT)
        scored += [
            (units / UNITS_PER_BIT, views[one].key, views[other].key)
            for units, one, other in zip(
                found.weight_units[shown].tolist(), left[shown].tolist(), right[shown].tolist(), strict=True
            )
        ]
    return joined_edges(kept, len(codes), columns, model), scored

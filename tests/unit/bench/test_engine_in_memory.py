"""The engine over a small population: better than chance, independent of the order of rows."""

from __future__ import annotations

import random

from bench.engine import key_of, link, traits_of
from bench.evaluation import evaluate
from bench.population import generate


def test_a_small_population_is_linked_well_and_in_any_order() -> None:
    rows = list(generate(1_500, 5))
    truth = {key_of(row): row["person"] for row in rows}
    first = link((key_of(row), traits_of(row)) for row in rows)
    metrics = evaluate(truth, first.clusters, first.task_pairs)
    assert metrics.precision > 0.995
    assert metrics.recall > 0.9
    random.Random(1).shuffle(rows)
    second = link((key_of(row), traits_of(row)) for row in rows)
    assert evaluate({key: str(person) for key, person in first.clusters.items()}, second.clusters).f1 == 1.0
    assert sorted(first.tasks, key=repr) == sorted(second.tasks, key=repr)

"""Measures of a linkage: small cases counted by hand, and properties over random partitions."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.evaluation import calibration, clusters_at, curve, evaluate, false_pairs, missed_pairs

TRUTH = {1: "a", 2: "a", 3: "a", 4: "b", 5: "b", 6: "c"}


def test_a_perfect_linkage_has_no_error() -> None:
    metrics = evaluate(TRUTH, TRUTH)
    assert (metrics.precision, metrics.recall, metrics.f1) == (1.0, 1.0, 1.0)
    assert (metrics.mixed_clusters, metrics.split_people) == (0, 0)


def test_pairs_clusters_and_tasks_are_counted() -> None:
    # The linkage joins 1-2 rightly, 3-4 wrongly, leaves 5 and 6 alone; one right task (2, 3), one
    # wrong (5, 6), and one about records already together (3, 4).
    metrics = evaluate(TRUTH, {1: "x", 2: "x", 3: "y", 4: "y", 5: "z", 6: "w"}, [(2, 3), (6, 5), (3, 2), (3, 4)])
    assert (metrics.true_pairs, metrics.linked_pairs, metrics.correct_pairs) == (4, 2, 1)
    assert (metrics.mixed_clusters, metrics.split_people) == (1, 2)
    assert metrics.waiting_pairs == 2  # accepting 2-3 brings 1-3 and 2-3 together
    assert (metrics.tasks, metrics.right_tasks, metrics.records_with_task) == (2, 1, 4)
    assert metrics.linked_or_waiting == 0.75
    assert metrics.task_share == pytest.approx(4 / 6)


def test_a_record_without_a_cluster_stands_alone() -> None:
    assert evaluate(TRUTH, {}).linked_pairs == 0


def test_a_curve_joins_transitively_and_falls() -> None:
    scored = [(9.0, 1, 2), (5.0, 2, 3), (3.0, 3, 4), (7.0, 4, 5)]
    points = curve(TRUTH, scored)
    assert [point.threshold for point in points] == [9.0, 7.0, 5.0, 3.0]
    assert [point.recall for point in points] == [0.25, 0.5, 1.0, 1.0]
    assert points[-1].precision == 4 / 10
    assert clusters_at(TRUTH, scored, 5.0)[1] == clusters_at(TRUTH, scored, 5.0)[3]


def test_calibration_counts_expected_and_measured_false_pairs() -> None:
    low, high = calibration([(0.2, False), (0.95, True), (0.95, False)], limits=(0.0, 0.9))
    assert (low.pairs, low.measured_false, low.expected_false) == (1, 1, 0.8)
    assert (high.pairs, high.measured_false) == (2, 1)
    assert high.expected_false == pytest.approx(0.1)


def test_errors_are_listed() -> None:
    clusters = {1: "x", 2: "x", 3: "y", 4: "y", 5: "z", 6: "w"}
    assert list(false_pairs(TRUTH, clusters)) == [(3, 4)]
    assert list(missed_pairs(TRUTH, clusters)) == [(1, 3), (4, 5)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_counts_agree_with_counting_every_pair(labels: list[tuple[int, int]]) -> None:
    truth = {at: str(person) for at, (person, _) in enumerate(labels)}
    clusters = {at: cluster for at, (_, cluster) in enumerate(labels)}
    pairs = list(combinations(truth, 2))
    linked = [pair for pair in pairs if clusters[pair[0]] == clusters[pair[1]]]
    metrics = evaluate(truth, clusters)
    assert metrics.linked_pairs == len(linked)
    assert metrics.correct_pairs == sum(truth[a] == truth[b] for a, b in linked)
    assert metrics.true_pairs == sum(truth[a] == truth[b] for a, b in pairs)
    assert len(list(false_pairs(truth, clusters))) == metrics.linked_pairs - metrics.correct_pairs

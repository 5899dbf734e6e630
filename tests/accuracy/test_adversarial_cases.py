"""The adversarial suite itself: enough cases, unique names, readable records."""

from __future__ import annotations

from collections import Counter

from bench.adversarial import OUTCOMES, cases


def test_there_are_at_least_two_hundred_cases_with_names_of_their_own() -> None:
    names = Counter((case.topic, case.name) for case in cases())
    assert len(names) >= 200
    assert [name for name, count in names.items() if count > 1] == []


def test_each_case_has_an_expectation_and_two_different_keys() -> None:
    for case in cases():
        assert case.expect in OUTCOMES
        assert case.keys[0] != case.keys[1]


def test_both_errors_are_asked_for() -> None:
    expected = Counter(case.expect for case in cases())
    assert expected["not-link"] + expected["separate"] >= 100
    assert expected["link"] + expected["not-separate"] >= 100

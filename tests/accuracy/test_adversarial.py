"""The engine against the adversarial suite: both records, weighed and divided as if nothing else existed."""

from __future__ import annotations

import pytest

from bench.adversarial import Case, cases, outcome
from bench.matching import trained
from mpi.domain.model import MatchModel

CASES = cases()


@pytest.fixture(scope="module")
def learned() -> MatchModel:
    """A model learned without labels: its weights differ from those that the thresholds were tried with."""
    return trained(2_000, 7)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.topic}: {case.name}" for case in CASES])
def test_the_outcome_is_one_that_the_rules_allow(case: Case) -> None:
    assert outcome(case) in case.allowed


def test_what_must_not_link_does_not_link_with_a_learned_model_either(learned: MatchModel) -> None:
    linked = [case.name for case in CASES if "link" not in case.allowed and outcome(case, learned) == "link"]
    assert not linked

"""The engine against the adversarial suite: both records, weighed and divided as if nothing else existed."""

from __future__ import annotations

import pytest

from bench.adversarial import Case, cases, outcome

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.topic}: {case.name}" for case in CASES])
def test_the_outcome_is_one_that_the_rules_allow(case: Case) -> None:
    assert outcome(case) in case.allowed

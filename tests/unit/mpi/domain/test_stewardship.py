"""The rules by which stewards' votes become decisions."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpi.domain.stewardship import BallotPolicy, Stage, Vote, outcome, risk_of

SITES = ("CHUSE", "ROANNE")
BOTH, SINGLE = BallotPolicy(), BallotPolicy(both_sites=False)


def vote(site: str, answer: str, by: str = "") -> Vote:
    return Vote(site, by or f"somebody at {site}", answer)


def test_nobody_has_answered() -> None:
    assert outcome(BOTH, SITES, [], qualified=False).stage is Stage.NEW


def test_both_owners_for_it_decide() -> None:
    assert outcome(BOTH, SITES, [vote("CHUSE", "same")], qualified=False).waiting_for == ("ROANNE",)
    for votes in permutations([vote("CHUSE", "same"), vote("ROANNE", "same")]):
        assert outcome(BOTH, SITES, votes, qualified=False).verdict == "same"


def test_a_vote_against_goes_to_the_region_which_decides() -> None:
    against = [vote("CHUSE", "different")]
    assert outcome(BOTH, SITES, against, qualified=False).stage is Stage.ARBITRATION
    assert outcome(BOTH, SITES, [*against, vote("ROANNE", "same")], qualified=False).stage is Stage.ARBITRATION
    assert outcome(BOTH, SITES, [*against, vote("", "different")], qualified=False).verdict == "different"
    assert outcome(BOTH, SITES, [*against, vote("", "same")], qualified=False).verdict == "same"


def test_who_does_not_know_leaves_the_question_open() -> None:
    found = outcome(BOTH, SITES, [vote("CHUSE", "unknown"), vote("ROANNE", "same")], qualified=False)
    assert (found.stage, found.waiting_for) == (Stage.VOTING, ("CHUSE",))


def test_one_answer_decides_by_policy_or_when_there_is_one_owner() -> None:
    assert outcome(SINGLE, SITES, [vote("CHUSE", "different")], qualified=False).verdict == "different"
    assert outcome(BOTH, ("CHUSE",), [vote("CHUSE", "same")], qualified=False).verdict == "same"


def test_a_qualified_identity_needs_two_people() -> None:
    one = [vote("CHUSE", "same", "a")]
    assert outcome(SINGLE, SITES, one, qualified=True).stage is Stage.SECOND_PERSON
    assert outcome(SINGLE, SITES, [*one, vote("CHUSE", "same", "a")], qualified=True).verdict is None
    assert outcome(SINGLE, SITES, [*one, vote("CHUSE", "same", "b")], qualified=True).verdict == "same"
    assert outcome(BOTH, SITES, [vote("", "same", "r")], qualified=True).stage is Stage.SECOND_PERSON
    assert outcome(BallotPolicy(four_eyes=False), SITES, [vote("", "same")], qualified=True).verdict == "same"


def test_of_one_person_the_last_answer_counts() -> None:
    changed = [vote("CHUSE", "different", "a"), vote("CHUSE", "same", "a"), vote("ROANNE", "same", "b")]
    assert outcome(BOTH, SITES, changed, qualified=False).verdict == "same"


votes = st.lists(
    st.builds(
        Vote,
        st.sampled_from(("CHUSE", "ROANNE", "")),
        st.sampled_from("abc"),
        st.sampled_from(("same", "different", "unknown")),
    ),
    max_size=6,
)


@given(votes, st.booleans(), st.booleans())
def test_nothing_is_decided_that_nobody_said(cast: list[Vote], qualified: bool, both: bool) -> None:
    found = outcome(BallotPolicy(both_sites=both), SITES, cast, qualified=qualified)
    assert (found.stage is Stage.DECIDED) == (found.verdict is not None)
    if found.verdict:
        last = {each.by: each for each in cast}
        supporters = {each.by for each in last.values() if each.answer == found.verdict}
        assert len(supporters) >= (2 if qualified else 1)


@pytest.mark.parametrize("kind", ["suspected-overlay", "ins-conflict", "possible-duplicate"])
def test_risk_is_a_share(kind: str) -> None:
    assert 0 < risk_of(kind, None) <= risk_of(kind, 500.0) <= 1

"""Where two values differ, letter by letter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from web.difference import segments


def test_case_and_accents_are_no_difference() -> None:
    assert segments("Éloïse", "ELOISE") == ([("Éloïse", True)], [("ELOISE", True)])


def test_a_letter_more_is_marked() -> None:
    assert segments("OUALI", "NOUALI") == ([("OUALI", True)], [("N", False), ("OUALI", True)])


def test_what_the_other_side_does_not_state_differs_nowhere() -> None:
    assert segments("MARTIN", "") == ([("MARTIN", True)], [])


@given(st.text(), st.text())
def test_nothing_is_lost(one: str, other: str) -> None:
    left, right = segments(one, other)
    assert "".join(piece for piece, _ in left) == one
    assert "".join(piece for piece, _ in right) == other

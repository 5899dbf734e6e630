"""How well names fit what was asked: whole, by first letters, by sound, by spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpi.domain.identity import Traits
from mpi.domain.match_quality import is_match, match_quality
from mpi.domain.search import Likeness, NameCriterion, NameGroup, PatientSearch, fold, search_names, sounds_of

BORNE = Traits(birth_family_name="MATTHIEU-LEROUX", used_family_name="DUPONT", birth_given_names=("PHILIPPE", "JEAN"))


def asked(like, family="", first="", least=0):
    named = [NameCriterion(text, like=like) if text else None for text in (family, first)]
    families, givens = (tuple(n for n in [each] if n is not None) for each in named)
    return PatientSearch(families=families, givens=givens, least_quality=least)


@pytest.mark.parametrize(
    ("like", "family", "first", "fits"),
    [
        (Likeness.PHONETIC, "MATHIEU", "", True),
        (Likeness.PHONETIC, "DUPOND", "", True),
        (Likeness.PHONETIC, "", "FILIPE", True),
        (Likeness.PHONETIC, "DUPONT", "FILIPE", True),
        (Likeness.PHONETIC, "DUPANT", "", False),
        (Likeness.FUZZY, "DUPANT", "", True),
        (Likeness.FUZZY, "UDPONT", "", True),
        (Likeness.FUZZY, "", "PHILLIPE", True),
        (Likeness.FUZZY, "DURAND", "", False),
        (Likeness.FUZZY, "DUPONT", "PAULINE", False),
        (Likeness.FUZZY, "", "JEANNE", False),
    ],
)
def test_what_is_alike(like, family, first, fits):
    assert is_match(asked(like, family, first), BORNE) is fits
    assert is_match(PatientSearch(name_groups=(NameGroup("FG", asked(like, family or first).families),)), BORNE) is (
        fits or (like is Likeness.FUZZY and family == "DUPONT" and bool(first))
    )


def test_the_liker_the_better():
    whole, sound, letter = (match_quality(asked(Likeness.FUZZY, f), BORNE) for f in ("DUPONT", "DUPOND", "DUPANT"))
    assert whole == 100
    assert whole > sound >= letter >= 75
    assert is_match(asked(Likeness.FUZZY, "DUPANT", least=83), BORNE)
    assert not is_match(asked(Likeness.FUZZY, "DUPANT", least=84), BORNE)


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ -'ÉÈÇ", min_size=2, max_size=20).filter(fold))
def test_a_name_is_like_itself_and_found_by_its_sound(name):
    traits = Traits(birth_family_name=name)
    for like in Likeness:
        assert match_quality(asked(like, fold(name)), traits) == 100
        assert is_match(asked(like, fold(name), least=100), traits)
    assert {part for part, _ in sounds_of(search_names(traits))} == {"f"}

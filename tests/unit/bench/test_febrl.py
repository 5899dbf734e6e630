"""The FEBRL sets as traits: sizes and truth as published, bad dates degraded, one human's records near each other."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.febrl import load, measure
from mpi.domain.default_models import generic


@pytest.mark.parametrize(("number", "records", "people"), [(1, 1000, 500), (2, 5000, 4000), (3, 5000, 2000)])
def test_the_sets_have_their_published_sizes(number: int, records: int, people: int) -> None:
    data = load(number)
    assert (len(data.records), len(set(data.truth.values()))) == (records, people)


def test_the_fourth_set_links_two_files_one_to_one() -> None:
    data = load(4)
    assert Counter(key.domain for key in data.records) == {"A": 5000, "B": 5000}
    assert set(Counter(data.truth.values()).values()) == {2}


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 4"):
        load(5)


def test_the_untrained_model_makes_no_false_link_on_the_first_set() -> None:
    metrics, _ = measure(load(1), generic())
    assert metrics.precision == 1.0
    assert metrics.recall > 0.85

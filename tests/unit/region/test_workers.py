"""How many processes serve where nobody says it."""

from __future__ import annotations

import os

import pytest

from region.running import workers
from region.settings import Settings

ELSEWHERE = "postgresql://somewhere/traitdunion"


@pytest.mark.parametrize(
    ("cores", "url", "expected"),
    [(1, None, 1), (2, None, 1), (8, None, 7), (8, ELSEWHERE, 8), (None, None, 1), (500, ELSEWHERE, 64)],
)
def test_one_for_each_core_but_the_one_that_the_database_has(monkeypatch, cores, url, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert workers(Settings(database_url=url)) == expected


def test_what_is_said_counts_and_a_port_of_the_systems_choice_has_one_process():
    assert workers(Settings(workers=5)) == 5
    assert workers(Settings(workers=5, http_port=0)) == 1

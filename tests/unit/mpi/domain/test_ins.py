"""Structure and key of the INS matricule."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpi.domain import ins

SHARED = Path(os.environ.get("TRAITDUNION_SHARED", Path(__file__).parents[5] / "shared"))
VECTORS = SHARED / "data" / "nir_test_vectors.csv"


@pytest.mark.skipif(not VECTORS.exists(), reason="the folder ../shared/data with nir_test_vectors.csv is not here")
def test_independent_vectors() -> None:
    with VECTORS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 10
    for row in rows:
        assert ins.key_of(row["nir13"]) == int(row["key"])
        read = ins.parse(row["nir15"])
        assert read is not None
        assert read.number == row["nir13"]


def test_parts_of_a_matricule() -> None:
    read = ins.parse("2 85 05 2B 033 000 62")
    assert read is not None
    assert (read.sex, read.year, read.month, read.place) == ("F", 85, 5, "2B033")
    fictitious = ins.parse("2602042218000")
    assert fictitious is not None
    assert fictitious.month is None


@pytest.mark.parametrize("text", ["", "123", "279035121518988", "9790351215189", "27903512151898X", "2790351215189890"])
def test_what_is_no_matricule(text: str) -> None:
    assert ins.parse(text) is None


@given(st.from_regex(r"[12][0-9]{2}(0[1-9]|1[0-2])([0-9]{2}|2[AB])[0-9]{6}", fullmatch=True))
def test_only_the_right_key_is_accepted(number: str) -> None:
    key = ins.key_of(number)
    assert 1 <= key <= 97
    assert ins.parse(f"{number}{key:02d}") == ins.parse(number)
    assert ins.parse(f"{number}{key % 97 + 1:02d}") is None

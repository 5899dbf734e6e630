"""The FEBRL sets as traits: sizes and truth as published, bad dates degraded, one human's records near each other."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from bench.febrl import learned, load, measure, write
from mpi.domain.default_models import generic
from mpi.translate.bulk_row import COLUMNS, read_row


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


def test_a_model_learned_without_labels_finds_everybody_in_the_first_set() -> None:
    metrics, _ = measure(load(1), learned(load(1)))
    assert metrics.f1 == 1.0


def test_a_set_written_as_a_bulk_file_reads_back_as_it_was(tmp_path: Path) -> None:
    data = load(1)
    write(data, tmp_path / "febrl1.csv")
    with (tmp_path / "febrl1.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    read = {row["local_id"]: read_row({name: row[name] for name in COLUMNS})[1] for row in rows}
    assert read == {key.local_id: traits for key, traits in data.records.items()}
    assert {row["local_id"]: row["person"] for row in rows} == {key.local_id: p for key, p in data.truth.items()}


@pytest.mark.soak
@pytest.mark.parametrize(("number", "bar"), [(3, 0.9995), (4, 0.9998)])
def test_a_model_learned_without_labels_finds_nearly_everybody(number: int, bar: float) -> None:
    metrics, _ = measure(load(number), learned(load(number)))
    assert metrics.f1 >= bar

"""Splink runs on a bulk CSV and separates people well at its best threshold."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bench.baselines import splink_linker
from bench.evaluation import curve
from bench.population import CSV_COLUMNS, generate


@pytest.mark.filterwarnings("ignore")  # Splink and its dependencies warn about themselves
def test_splink_trains_and_links_a_small_population(tmp_path: Path) -> None:
    path = tmp_path / "population.csv"
    truth: dict[str, str] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(CSV_COLUMNS)
        for row in generate(2_000, 2):
            truth[f"{row['domain']}/{row['local_id']}"] = row["person"]
            out.writerow([row[column] for column in CSV_COLUMNS])
    result = splink_linker.link(path)
    best = max(curve(truth, result.pairs), key=lambda point: point.f1)
    assert best.f1 > 0.95

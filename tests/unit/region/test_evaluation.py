"""A file with a truth, linked in a scratch database: figures, calibration, and a page."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlalchemy import create_engine, text

from bench.population import CSV_COLUMNS, generate
from mpi.domain.default_models import generic
from region.evaluation.command import evaluate_file, lines
from region.loading import LoadFault
from region.settings import load_settings


def write(path: Path, records: int) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*CSV_COLUMNS, "person"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(generate(records, seed=5, profile="hard"))
    return path


def test_a_file_is_measured_and_shown(database_url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "people.csv", 300)
    settings = load_settings(database_url=database_url, data_dir=tmp_path)
    found = evaluate_file(settings, file, "person", with_page=True)
    said = dict(line.split(": ") for line in lines(found))
    assert found.metrics.records == int(said["records"]) == 300
    assert float(said["false links measured"]) == pytest.approx(1 - found.metrics.precision, abs=0.01)
    assert (said["false links wanted"], said["false links expected"]) == ("not stated", "not stated")
    assert float(said["linked from bits"]) == found.model.thresholds.automatic
    page = found.page or ""
    for wanted in ("Precision and recall", "Weights of candidate pairs", "Calibration", "Missed links", "<details>"):
        assert wanted in page
    assert "http" not in page
    drawings = ["<svg" + part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert [ElementTree.fromstring(each).tag for each in drawings] == ["svg", "svg"]
    # Nothing of it stays, neither a database nor a record.
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM record")).scalar() == 0
    engine.dispose()


def test_another_model_may_be_measured_and_a_file_without_a_truth_is_refused(database_url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "people.csv", 20)
    settings = load_settings(database_url=database_url, data_dir=tmp_path)
    found = evaluate_file(settings, file, "person", generic())
    assert (found.model, found.page) == (generic(), None)
    with pytest.raises(LoadFault, match="unknown column person"):
        evaluate_file(settings, file, "human")

"""The matching benchmark from generating to the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import matching
from bench.evaluation import CurvePoint, evaluate
from region.evaluation.page import Contender


def test_precision_is_compared_at_equal_recall() -> None:
    metrics = evaluate({1: "a", 2: "a", 3: "b", 4: "b"}, {1: 1, 2: 1, 3: 3, 4: 4})
    contender = Contender("other", metrics, [CurvePoint(3.0, 1.0, 0.5, 0.67), CurvePoint(2.0, 0.9, 0.9, 0.9)])
    assert matching.precision_at(0.5, contender) == 1.0
    assert matching.precision_at(0.8, contender) == 0.9
    assert matching.precision_at(0.95, contender) is None


def test_the_benchmark_writes_a_page_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "results" / "matching.html"
    arguments = [
        "matching",
        "--records",
        "800",
        "--seeds",
        "4",
        "--profiles",
        "hard",
        "--no-baselines",
        "-o",
        str(page),
    ]
    monkeypatch.setattr("sys.argv", arguments)
    matching.main()
    printed = capsys.readouterr().out
    assert "hard, 800 records, seed 4" in printed
    assert "at our recall" in printed
    figures, by_hand = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert figures["records"] == 800
    assert figures["linker"] == "Trait d'Union, trained"
    assert figures["precision"] > 0.99
    assert by_hand["precision"] > 0.99
    assert "<svg" in page.read_text("utf-8")

"""The matching benchmark from generating to the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import matching


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
    assert "hard, 800 records, seed 4" in capsys.readouterr().out
    (figures,) = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert figures["records"] == 800
    assert figures["precision"] > 0.99
    assert "<svg" in page.read_text("utf-8")

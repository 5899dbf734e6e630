"""Alert rules and dashboard name figures that the service tells, in the language of Prometheus, and point to advice."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import parse
from sqlalchemy import create_engine

from ihe.database_copy import DatabaseCopy
from region.metrics import Metrics, Watched

ROOT = Path(__file__).resolve().parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "docker/monitoring/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = json.loads((ROOT / "docker/monitoring/dashboard.json").read_text())["panels"]
EXPRESSIONS = [
    *(rule["expr"] for rule in RULES),
    *(target["expr"] for panel in PANELS for target in panel["targets"]),
]


@pytest.fixture(scope="module")
def told(module_database_url: str) -> set[str]:
    """Names of all figures."""
    engine = create_engine(module_database_url)
    metrics = Metrics(engine, lambda: ["SISRA"], DatabaseCopy(engine, engine, 1.0), Watched(dict, {"data": ROOT}))
    names = set()
    for family in text_string_to_metric_families(metrics.render().decode()):
        suffixes = {"counter": ("_total",), "histogram": ("_bucket",)}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    engine.dispose()
    return names


def test_rules_and_panels_name_figures_that_are_told(told: set[str]) -> None:
    for expression in EXPRESSIONS:
        named = set(re.findall(r"traitdunion_\w+", expression))
        assert named, expression
        assert named <= told, expression


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_well_formed(expression: str) -> None:
    parse(expression)


def test_every_alert_says_what_to_do() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for rule in RULES:
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert file == "docs/operations.md"
        assert anchor in anchors, rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_no_panel_hides_another() -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in PANELS]
    assert len(set(places)) == len(places)

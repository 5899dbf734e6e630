"""The quality dashboard: figures with their definitions, charts, and CSV; no patient data."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from markupsafe import Markup

from mpi.services.quality_measures import all_measures, read_quality
from mpi.store.quality import MEASURES
from web.charts import bar_chart, line_chart
from web.page import Download, Pages, Template, View, Visit
from web.rendering import environment

PAGES = Pages()
SHARES = frozenset({"qualified", "incomplete", "duplicate_rate", "precision"})
_DECIMAL = frozenset({"task_age_days", "days_to_correct", "silent_hours"})
_COMPARED = (
    "qualified",
    "incomplete",
    "duplicate_rate",
    "overlays",
    "tasks_open",
    "tasks_opened",
    "tasks_closed",
    "task_age_days",
    "days_to_correct",
    "silent_hours",
    "feed_delay_minutes",
)
_PARTS = {"incomplete": "missing", "drift": "drift"}
"""Measures that are told by field, too, each with what stands before the field."""


@PAGES.get("/quality", "Quality", event_code="110112")
def quality(visit: Visit) -> View:
    """All figures."""
    found = read_quality(visit.uow, visit.app.mpi)
    filters = environment(visit.language).filters

    def number_of(measure: str) -> Callable[[float], str]:
        if measure == "drift":
            return lambda value: str(filters["index"](value))
        kind = "share" if measure in SHARES else "bits" if measure in _DECIMAL else "count"
        return lambda value: str(filters[kind](value))

    def trend_of(measure: str) -> Markup:
        days = [(day.isoformat(), value) for day, value in found.trend.get(measure, ())]
        return line_chart(days, visit.t(f"measure.{measure}"), number_of(measure))

    def sites_of(measure: str) -> Markup:
        rows = sorted(((site, value) for site, value in found.latest[measure].items() if site), key=lambda r: -r[1])
        return bar_chart(rows, visit.t(f"measure.{measure}"), number_of(measure))

    def parts_of(measure: str) -> Markup:
        before = _PARTS.get(measure, "-") + "."
        told = {m.removeprefix(before): v[""] for m, v in found.latest.items() if m.startswith(before) and "" in v}
        rows = sorted(((visit.t(f"field.{name}"), value) for name, value in told.items()), key=lambda r: -r[1])
        return bar_chart(rows, visit.t(f"measure.{measure}"), number_of(measure))

    figures = [
        {
            "measure": m,
            "value": number_of(m)(found.latest[m][""]) if "" in found.latest.get(m, {}) else "–",
            "trend": trend_of(m),
            "parts": parts_of(m),
        }
        for m in MEASURES
    ]
    bars = [{"measure": m, "chart": sites_of(m)} for m in _COMPARED if m in found.latest]
    return Template("quality.html", {"found": found, "figures": figures, "bars": bars})


@PAGES.get("/quality/measures.csv", "Quality exported", event_code="110106")
def export(visit: Visit) -> View:
    """The measures of the last 90 days."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["day", "domain", "measure", "value"])
    rows.writerows([each.day, each.domain or "REGION", each.measure, each.value] for each in all_measures(visit.uow))
    return Download("quality.csv", "text/csv; charset=utf-8", text.getvalue().encode())

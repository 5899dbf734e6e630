"""Charts as SVG. Colours come from the page's style by class, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_LEFT, _WIDTH, _ROW = 206, 306, 24


def waterfall(evidence: Mapping[str, Any], t: Callable[[str], str], number: Callable[[float], str]) -> Markup:
    """How the weight of a pair adds up: one bar a field, thresholds as lines."""
    steps = [
        (t(f"field.{row['field']}"), t(f"level.{row['level']}"), row["bits"] + row["rarity_bits"])
        for row in evidence["fields"]
        if row["level"] != "MISSING"
    ]
    total: float = evidence["weight_bits"]
    automatic: float = evidence["thresholds"]["automatic_bits"]
    possible: float = evidence["thresholds"]["possible_bits"]
    edges, running = [0.0, automatic, possible, total], 0.0
    for _, _, bits in steps:
        running += bits
        edges.append(running)
    low, high = min(edges), max(edges)
    scale = _WIDTH / ((high - low) or 1.0)

    def x(bits: float) -> float:
        return round(_LEFT + (bits - low) * scale, 1)

    def bar(kind: str, start: float, end: float, y: int) -> Markup:
        left, right = sorted((x(start), x(end)))
        return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"/>').format(
            kind, left, y, max(round(right - left, 1), 1.5), _ROW - 8
        )

    def label(text: str, left: float, y: int, kind: str = "") -> Markup:
        return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(kind, left, y, text)

    height = _ROW * (len(steps) + 1) + 34
    summary = t("Weight {bits} bits").format(bits=number(total))
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            _LEFT + _WIDTH + 58, height, summary
        )
    ]
    for name, bits, side in ((t("to ask"), possible, "end"), (t("to link"), automatic, "")):
        parts.append(Markup('<line class="limit" x1="{0}" x2="{0}" y1="18" y2="{1}"/>').format(x(bits), height - 8))
        parts.append(label(name, x(bits) + (-3 if side else 3), 12, f"{side} quiet"))
    running, y = 0.0, 22
    for name, level, bits in steps:
        parts.append(Markup('<text x="0" y="{}">{} <tspan class="quiet">{}</tspan></text>').format(y + 12, name, level))
        parts.append(bar("for" if bits >= 0 else "against", running, running + bits, y))
        running += bits
        parts.append(label(("+" if bits >= 0 else "−") + number(abs(bits)), _LEFT + _WIDTH + 8, y + 12, "value"))
        y += _ROW
    parts.append(label(t("Total"), 0, y + 12, "strong"))
    parts.append(bar("total", 0.0, total, y))
    parts.append(label(number(total), _LEFT + _WIDTH + 8, y + 12, "value strong"))
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def meter(share: float, title: str) -> Markup:
    """A small bar from 0 to 1."""
    return Markup(
        '<svg class="meter" viewBox="0 0 50 8" width="50" height="8" role="img" aria-label="{}"><title>{}</title>'
        '<rect class="rest" width="50" height="8" rx="4"/><rect class="{}" width="{}" height="8" rx="4"/></svg>'
    ).format(title, title, "high" if share >= 0.7 else "low", round(max(share, 0.05) * 50, 1))


def line_chart(points: Sequence[tuple[str, float]], title: str, number: Callable[[float], str]) -> Markup:
    """A value over time: days in order, with the value of each."""
    if len(points) < 2:
        return Markup("")
    width, height, pad = 300, 70, 6
    values = [value for _, value in points]
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    places = [
        (
            round(pad + i * (width - 2 * pad) / (len(points) - 1), 1),
            round(height - pad - (value - low) / spread * (height - 2 * pad), 1),
        )
        for i, (_, value) in enumerate(points)
    ]
    path = " ".join(f"{x},{y}" for x, y in places)
    summary = f"{title}: {points[0][0]} {number(values[0])} – {points[-1][0]} {number(values[-1])}"
    return Markup(
        '<svg class="chart spark" viewBox="0 0 {} {}" role="img" aria-label="{}"><polyline points="{}"/>'
        '<circle cx="{}" cy="{}" r="3"/></svg>'
    ).format(width, height, escape(summary), path, *places[-1])


def bar_chart(rows: Sequence[tuple[str, float]], title: str, number: Callable[[float], str]) -> Markup:
    """One bar for each name, the longest as wide as the chart."""
    if not rows:
        return Markup("")
    left, width, row = max(104, round(6.8 * max(len(name) for name, _ in rows))), 210, 22
    most = max(value for _, value in rows) or 1.0
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            left + width + 56, row * len(rows) + 4, title
        )
    ]
    for index, (name, value) in enumerate(rows):
        y = index * row
        parts.append(
            Markup(
                '<text x="0" y="{}">{}</text><rect class="total" x="{}" y="{}" width="{}" height="{}" rx="2"/>'
                '<text class="value" x="{}" y="{}">{}</text>'
            ).format(
                y + 14,
                name,
                left,
                y + 4,
                max(round(value / most * width, 1), 1),
                row - 8,
                left + round(value / most * width, 1) + 6,
                y + 14,
                number(value),
            )
        )
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)

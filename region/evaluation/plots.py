"""Small SVG plots as text: no library, no script; colours come from the page, so they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 40

Point = tuple[float, float]
Scale = Callable[[float], float]


def _linear(low: float, high: float, start: float, end: float) -> Scale:
    span = high - low or 1.0
    return lambda value: start + (min(max(value, low), high) - low) / span * (end - start)


def _frame(title: str, x_label: str, y_label: str, ticks: str, body: str) -> str:
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f'<rect class="plot" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
        f"{ticks}{body}"
        f'<text x="{middle_x}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="translate(12 {middle_y}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text></svg>'
    )


def _x_tick(x: float, label: str) -> str:
    bottom = HEIGHT - BOTTOM
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{label}</text>'
    )


def _y_tick(y: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _legend(names: Sequence[str]) -> str:
    lines = [
        f'<rect class="series-{at}" x="{LEFT + 10}" y="{HEIGHT - BOTTOM - 18 * (len(names) - at)}" width="10" '
        f'height="10"/><text x="{LEFT + 26}" y="{HEIGHT - BOTTOM - 18 * (len(names) - at) + 9}">{escape(name)}</text>'
        for at, name in enumerate(names)
    ]
    return "".join(lines)


def lines(
    title: str,
    axes: tuple[str, str],
    series: Mapping[str, Sequence[Point]],
    dots: Mapping[str, Point],
    ranges: tuple[Point, Point],
) -> str:
    """Curves, each with an optional dot of its own colour.

    Args:
        axes: labels of x and y.
        series: points of each named curve, in order.
        dots: one marked point for some of the names.
        ranges: lowest and highest x, lowest and highest y; what lies outside is drawn at the border.
    """
    (x_low, x_high), (y_low, y_high) = ranges
    x = _linear(x_low, x_high, LEFT, WIDTH - RIGHT)
    y = _linear(y_low, y_high, HEIGHT - BOTTOM, TOP)
    ticks = "".join(
        _x_tick(x(value := x_low + step * (x_high - x_low) / 5), f"{value:.3g}")
        + _y_tick(y(other := y_low + step * (y_high - y_low) / 5), f"{other:.4g}")
        for step in range(6)
    )
    body = ""
    for at, (name, points) in enumerate(series.items()):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points if x_low <= a <= x_high and y_low <= b <= y_high)
        body += f'<polyline class="line series-{at}" points="{path}"/>'
        if name in dots:
            body += f'<circle class="series-{at}" cx="{x(dots[name][0]):.1f}" cy="{y(dots[name][1]):.1f}" r="5"/>'
    return _frame(title, *axes, ticks, body + _legend(list(series)))


def histogram(title: str, x_label: str, series: Mapping[str, Sequence[float]], width: float) -> str:
    """Overlaid histograms with a logarithmic count axis.

    Args:
        series: values by name.
        width: of a bar, in units of x.
    """
    counts = {name: _count(values, width) for name, values in series.items()}
    bins = sorted({at for found in counts.values() for at in found}) or [0]
    low, high = bins[0], bins[-1] + 1
    top = max((max(found.values(), default=1) for found in counts.values()), default=1)
    decades = max(1, math.ceil(math.log10(top + 1)))
    x, y = _linear(low, high, LEFT, WIDTH - RIGHT), _linear(0, decades, HEIGHT - BOTTOM, TOP)
    step = max(1, (high - low) // 8)
    ticks = "".join(_x_tick(x(at), f"{at * width:g}") for at in range(low, high + 1, step))
    ticks += "".join(_y_tick(y(power), f"{10**power:,}") for power in range(decades + 1))
    body = "".join(
        f'<rect class="bar series-{at}" x="{x(bar):.1f}" y="{y(math.log10(count + 1)):.1f}" '
        f'width="{x(bar + 1) - x(bar):.1f}" height="{HEIGHT - BOTTOM - y(math.log10(count + 1)):.1f}"/>'
        for at, found in enumerate(counts.values())
        for bar, count in sorted(found.items())
    )
    return _frame(title, x_label, "pairs", ticks, body + _legend(list(series)))


def _count(values: Sequence[float], width: float) -> dict[int, int]:
    found: dict[int, int] = {}
    for value in values:
        at = math.floor(value / width)
        found[at] = found.get(at, 0) + 1
    return found

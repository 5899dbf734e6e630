"""Studies on one axis of time, as SVG: a lane for each modality and region, a mark for each study.

Marks are links, so that the keyboard reaches them in order; colours come from the page's style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

_LEFT, _WIDTH, _LANE, _TOP = 250, 700, 26, 24


@dataclass(frozen=True, slots=True)
class Mark:
    """One study.

    Attributes:
        lane: what it is: modality and region.
        target: address of its description on the page.
        title: read out, and shown when pointed at.
    """

    day: date
    lane: str
    target: str
    title: str


def time_axis(marks: Sequence[Mark], title: str) -> Markup:
    """The axis; empty without marks. Lanes in the order of their first mark."""
    if not marks:
        return Markup("")
    first, last = min(mark.day for mark in marks).year, max(mark.day for mark in marks).year + 1
    start = date(first, 1, 1)
    days = (date(last, 1, 1) - start).days
    lanes = {lane: number for number, lane in enumerate(dict.fromkeys(mark.lane for mark in marks))}
    height = _TOP + _LANE * len(lanes) + 8

    def x(day: date) -> float:
        return round(_LEFT + (day - start).days * _WIDTH / days, 1)

    def y(lane: str) -> int:
        return _TOP + _LANE * lanes[lane] + _LANE // 2

    parts = [
        Markup('<svg class="chart axis" viewBox="0 0 {} {}" role="group" aria-label="{}">').format(
            _LEFT + _WIDTH + 20, height, title
        )
    ]
    step = max(1, (last - first) // 12)
    for year in range(first, last + 1, step):
        at = x(date(year, 1, 1))
        parts.append(Markup('<line class="limit" x1="{0}" x2="{0}" y1="16" y2="{1}"/>').format(at, height - 4))
        parts.append(Markup('<text class="quiet" x="{}" y="12">{}</text>').format(at - 12, year))
    for lane in lanes:
        parts.append(Markup('<text x="0" y="{}">{}</text>').format(y(lane) + 4, lane))
    for mark in marks:
        parts.append(
            Markup('<a href="{}" aria-label="{}"><title>{}</title><circle cx="{}" cy="{}" r="7"/></a>').format(
                mark.target, mark.title, mark.title, x(mark.day), y(mark.lane)
            )
        )
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)

"""Who joins whom: the records of a person on a circle, their pairs as lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from mpi.domain.record import Record
from mpi.store.pairs import Decision, ScoredPair

_EDGE = Markup('<line class="edge" x1="{}" y1="{}" x2="{}" y2="{}"/>')
_DECIDED = Markup('<line class="decided {}" x1="{}" y1="{}" x2="{}" y2="{}"/>')
_NODE = Markup('<rect class="node {}" x="{}" y="{}" width="116" height="34" rx="8"/>')
_LABEL = Markup('<text class="middle {}" x="{}" y="{}">{}</text>')


def link_graph(
    records: Sequence[Record],
    pairs: Sequence[ScoredPair],
    decisions: Sequence[Decision],
    number: Callable[[float], str],
    title: str,
) -> Markup:
    """The records and what was found between them; a steward's word is drawn strong."""
    if len(records) < 2:
        return Markup("")
    width, height = 460, 250
    radius_x, radius_y = 150, 88
    places = {
        record.id: (
            round(width / 2 + radius_x * math.cos(2 * math.pi * n / len(records) - math.pi / 2), 1),
            round(height / 2 + radius_y * math.sin(2 * math.pi * n / len(records) - math.pi / 2), 1),
        )
        for n, record in enumerate(records)
    }
    drawn = Markup('<svg class="chart graph" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    parts = [drawn.format(width, height, title)]
    for pair in pairs:
        if set(pair.pair) <= places.keys():
            (x1, y1), (x2, y2) = places[pair.pair[0]], places[pair.pair[1]]
            at = (round(x1 * 0.58 + x2 * 0.42, 1), round(y1 * 0.58 + y2 * 0.42 - 3, 1))
            parts.append(_EDGE.format(x1, y1, x2, y2) + _LABEL.format("quiet", *at, number(pair.weight_bits)))
    for decision in decisions:
        if set(decision.pair) <= places.keys():
            parts.append(_DECIDED.format(decision.verdict, *places[decision.pair[0]], *places[decision.pair[1]]))
    for record in records:
        x, y = places[record.id]
        kind = "gone" if not record.is_active else "sure" if record.grade in (None, "certain") else "likely"
        parts.append(_NODE.format(kind, x - 58, y - 17))
        parts.append(_LABEL.format("strong", x, y - 3, record.key.domain))
        parts.append(_LABEL.format("quiet", x, y + 11, record.key.local_id[:16]))
    return Markup("").join([*parts, Markup("</svg>")])

"""Why two records were linked, kept apart or asked about: field by field, from what was stored."""

from __future__ import annotations

from html import escape
from typing import Any

from mpi.domain.blocking import key_texts
from mpi.domain.cleaning import Cleaned
from mpi.domain.grades import Grade, grade_of
from mpi.domain.levels import FIELDS
from mpi.domain.model import UNITS_PER_BIT, MatchModel, units
from mpi.domain.scoring import PairScore

_SHOWN: dict[str, tuple[str, ...]] = {
    "family": ("family", "used_family"),
    "given": ("first", "given", "used_given"),
    "birth": ("year", "month", "day", "interpreted"),
    "sex": ("sex",),
    "place": ("place",),
    "ins": ("ins", "ins_oid", "qualified"),
    "contact": ("phone", "email", "street", "postal", "city"),
    "mother": ("mother",),
    "rank": ("multiple", "birth_rank"),
    "death": ("death",),
}


def explain(pair: PairScore, a: Cleaned, b: Cleaned, model: MatchModel) -> dict[str, Any]:
    """The decision about a pair as JSON values.

    Args:
        pair: the score, made by ``model`` (or stored, when it was made).

    Returns:
        ``fields`` (name, both values, level, bits, rarity_bits), ``vetoes``, ``hints``, ``blocking_keys`` that
        both share, ``weight_bits``, ``probability``, ``thresholds``, ``grade`` (``None``: nothing follows),
        ``what_would_change`` (sentences) and ``model`` (version and name).
    """
    grade = grade_of(pair, a, b, model)
    rows = [
        {
            "field": name,
            "a": _shown(a, name),
            "b": _shown(b, name),
            "level": kind(pair.levels[index]).name,
            "bits": pair.field_units[index] / UNITS_PER_BIT,
            "rarity_bits": pair.rarity_units[index] / UNITS_PER_BIT,
        }
        for index, (name, kind) in enumerate(FIELDS.items())
    ]
    return {
        "fields": rows,
        "vetoes": [{"code": veto.name, "text": veto.value} for veto in pair.vetoes],
        "hints": [{"code": hint.name, "text": hint.value} for hint in pair.hints],
        "blocking_keys": sorted(key_texts(a) & key_texts(b)),
        "weight_bits": pair.weight_bits,
        "probability": model.probability(pair.weight_bits),
        "thresholds": {
            "automatic_bits": model.thresholds.automatic,
            "possible_bits": model.thresholds.possible,
            "prior_bits": model.thresholds.prior,
        },
        "grade": grade.value if grade else None,
        "what_would_change": what_would_change(pair, grade, model),
        "model": {"version": pair.model_version, "name": model.name},
    }


def what_would_change(pair: PairScore, grade: Grade | None, model: MatchModel) -> list[str]:
    """What another decision would take, in sentences without patient data."""
    automatic, possible = units(model.thresholds.automatic), units(model.thresholds.possible)
    if grade is Grade.CERTAIN:
        return ["The link is certain: it would take a contradicting trait or a steward's decision."]
    said: list[str] = []
    for veto in pair.vetoes:
        said.append(f"It cannot be linked by itself because: {veto.value}.")
    if pair.weight_units < automatic:
        said.append(f"{(automatic - pair.weight_units) / UNITS_PER_BIT:.1f} bits are missing for an automatic link.")
        gains = _gains(pair, model)
        if gains:
            said.append("Most would be gained by: " + ", ".join(gains) + ".")
    if pair.weight_units < possible:
        said.append(f"{(possible - pair.weight_units) / UNITS_PER_BIT:.1f} bits are missing to ask a person.")
    if grade is Grade.PROBABLE:
        spare = (pair.weight_units - automatic) / UNITS_PER_BIT
        said.append(f"The link holds until it loses more than {spare:.1f} bits or meets a veto.")
    return said


def _gains(pair: PairScore, model: MatchModel) -> list[str]:
    """The three fields whose full agreement would add most."""
    gains = []
    for index, name in enumerate(FIELDS):
        reachable = max(model.unit_table[index]) - pair.field_units[index]
        if reachable > 0 and name != "ins":
            gains.append((reachable, name))
    return [f"{name} (up to {gain / UNITS_PER_BIT:.1f} bits)" for gain, name in sorted(gains, reverse=True)[:3]]


def _shown(record: Cleaned, name: str) -> str:
    if name == "birth":
        if not record.year:
            return ""
        shown = "-".join(
            f"{part:02d}" if index else f"{part:04d}"
            for index, part in enumerate((record.year, record.month, record.day))
            if part
        )
        return shown + (" (interpreted)" if record.interpreted else "")
    values = [getattr(record, part) for part in _SHOWN[name]]
    return " · ".join(str(value) for value in values if value)


def waterfall_svg(explanation: dict[str, Any]) -> str:
    """The weight as a waterfall: one bar a field, thresholds as lines. Colours follow the page (light or dark)."""
    rows = [row for row in explanation["fields"] if row["level"] != "MISSING"]
    steps: list[tuple[str, str, float]] = []
    for row in rows:
        steps.append((row["field"], row["level"], row["bits"] + row["rarity_bits"]))
    total: float = explanation["weight_bits"]
    automatic: float = explanation["thresholds"]["automatic_bits"]
    possible: float = explanation["thresholds"]["possible_bits"]
    edges, running = [0.0, automatic, possible, total], 0.0
    for _, _, bits in steps:
        running += bits
        edges.append(running)
    low, high = min(edges), max(edges)
    left, width, row_height = 190, 430, 26
    scale = width / ((high - low) or 1.0)

    def x(bits: float) -> float:
        return float(round(left + (bits - low) * scale, 1))

    height = row_height * (len(steps) + 1) + 44
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" role="img" '
            f'aria-label="Weight {total:.1f} bits" font-family="system-ui, sans-serif" font-size="12">'
        ),
        (
            "<style>.t{fill:currentColor}.p{fill:#2f9e6b}.n{fill:#d1495b}.s{fill:#4a7fb5}"
            ".l{stroke:currentColor;stroke-opacity:.45;stroke-dasharray:4 3}</style>"
        ),
    ]
    for label, bits in (("automatic", automatic), ("possible", possible)):
        parts.append(f'<line class="l" x1="{x(bits)}" x2="{x(bits)}" y1="18" y2="{height - 18}"/>')
        parts.append(f'<text class="t" x="{x(bits)}" y="12" text-anchor="middle">{label}</text>')
    running, y = 0.0, 24
    for name, level, bits in steps:
        start, end = sorted((running, running + bits))
        running += bits
        parts.append(f'<text class="t" x="4" y="{y + 14}">{escape(name)} · {escape(level.lower())}</text>')
        parts.append(
            f'<rect class="{"p" if bits >= 0 else "n"}" x="{x(start)}" y="{y}" rx="2" '
            f'width="{max(round((end - start) * scale, 1), 1)}" height="{row_height - 8}"/>'
        )
        parts.append(f'<text class="t" x="{x(high) + 8}" y="{y + 14}">{bits:+.1f}</text>')
        y += row_height
    start, end = sorted((0.0, total))
    parts.append(f'<text class="t" x="4" y="{y + 14}" font-weight="600">total</text>')
    parts.append(
        f'<rect class="s" x="{x(start)}" y="{y}" rx="2" width="{max(round((end - start) * scale, 1), 1)}" '
        f'height="{row_height - 8}"/>'
    )
    parts.append(f'<text class="t" x="{x(high) + 8}" y="{y + 14}" font-weight="600">{total:.1f}</text>')
    parts.append("</svg>")
    return "".join(parts)

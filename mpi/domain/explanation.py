"""Why two records were linked, kept apart or asked about: field by field, from what was stored."""

from __future__ import annotations

import math
from typing import Any

from mpi.domain.blocking import key_texts
from mpi.domain.cleaning import Cleaned
from mpi.domain.grades import Grade, grade_of, needed_bits
from mpi.domain.model import UNITS_PER_BIT, MatchModel, units
from mpi.domain.scoring import PairScore
from mpi.domain.vetoes import Veto

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
    "home": ("street",),
    "area": ("postal", "city"),
}


def explain(pair: PairScore, a: Cleaned, b: Cleaned, model: MatchModel) -> dict[str, Any]:
    """The decision about a pair as JSON values.

    Args:
        pair: the score, made by ``model`` (or stored, when it was made).

    Returns:
        ``fields`` (name, both values, level, bits, rarity_bits, and ``one_in``: of how many people one bears the
        agreeing value, where its rarity counted), ``vetoes``, ``hints``, ``blocking_keys`` that
        both share, ``weight_bits``, ``probability``, ``thresholds``, ``grade`` (``None``: nothing follows),
        ``changes`` (what another decision would take), ``what_would_change`` (the same in sentences) and ``model``
        (version and name).
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
            "one_in": _one_in(pair, index, name, model),
        }
        for index, (name, kind) in enumerate(model.fields.items())
    ]
    return {
        "fields": rows,
        "vetoes": [{"code": veto.name, "text": veto.value} for veto in pair.vetoes],
        "hints": [{"code": hint.name, "text": hint.value} for hint in pair.hints],
        "blocking_keys": sorted(key_texts(a, french=model.french) & key_texts(b, french=model.french)),
        "weight_bits": pair.weight_bits,
        "probability": model.probability(pair.weight_bits),
        "thresholds": {
            "automatic_bits": model.thresholds.automatic,
            "possible_bits": model.thresholds.possible,
            "prior_bits": model.thresholds.prior,
        },
        "grade": grade.value if grade else None,
        "changes": changes(pair, grade, model),
        "what_would_change": what_would_change(pair, grade, model),
        "model": {"version": pair.model_version, "name": model.name},
    }


def changes(pair: PairScore, grade: Grade | None, model: MatchModel) -> list[dict[str, Any]]:
    """What another decision would take: each with a ``code`` and, by code, ``veto``, ``field`` or ``bits``."""
    bits = needed_bits(pair.vetoes, pair.levels, model)
    needed = units(bits if bits < math.inf else model.thresholds.automatic)
    possible = units(model.thresholds.possible)
    if grade is Grade.CERTAIN:
        return [{"code": "certain"}]
    code = "outweighed" if grade is Grade.PROBABLE else "veto"
    said: list[dict[str, Any]] = [{"code": code, "veto": veto.name} for veto in pair.vetoes]
    if pair.weight_units < needed:
        said.append({"code": "missing-for-link", "bits": (needed - pair.weight_units) / UNITS_PER_BIT})
        said += [{"code": "gain", "field": name, "bits": bits} for name, bits in _gains(pair, model)]
    if pair.weight_units < possible:
        said.append({"code": "missing-for-task", "bits": (possible - pair.weight_units) / UNITS_PER_BIT})
    if grade is Grade.PROBABLE:
        said.append({"code": "spare", "bits": (pair.weight_units - needed) / UNITS_PER_BIT})
    return said


_SENTENCES = {
    "veto": "It cannot be linked by itself because: {reason}.",
    "outweighed": "Rare names outweigh this: {reason}.",
    "certain": "The link is certain: it would take a contradicting trait or a steward's decision.",
    "missing-for-link": "{bits:.1f} bits are missing for an automatic link.",
    "gain": "Agreement of {field} would add up to {bits:.1f} bits.",
    "missing-for-task": "{bits:.1f} bits are missing to ask a person.",
    "spare": "The link holds until it loses more than {bits:.1f} bits or meets a veto.",
}


def what_would_change(pair: PairScore, grade: Grade | None, model: MatchModel) -> list[str]:
    """The same in sentences without patient data."""
    return [
        _SENTENCES[change["code"]].format(**change, reason=Veto[change["veto"]].value if "veto" in change else "")
        for change in changes(pair, grade, model)
    ]


def _gains(pair: PairScore, model: MatchModel) -> list[tuple[str, float]]:
    """The three fields whose full agreement would add most, and how many bits."""
    gains = []
    for index, name in enumerate(model.fields):
        reachable = max(model.unit_table[index]) - pair.field_units[index]
        if reachable > 0 and name != "ins":
            gains.append((reachable, name))
    return [(name, gain / UNITS_PER_BIT) for gain, name in sorted(gains, reverse=True)[:3]]


def _one_in(pair: PairScore, index: int, name: str, model: MatchModel) -> int | None:
    """Of how many people one bears the agreeing value, as far as its rarity counted; ``None`` where it did not."""
    share = model.frequency_table[index][pair.levels[index]]
    if not share or not pair.rarity_units[index]:
        return None
    return round(2 ** (model.average_bits[name] + pair.rarity_units[index] / UNITS_PER_BIT / share))


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

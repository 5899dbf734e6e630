"""The page about one linked file: every candidate pair is weighed again, under the model in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain import blocking
from mpi.domain.cleaning import Cleaned
from mpi.domain.columns import Columns
from mpi.domain.edges import Ints, candidate_pairs, scored_chunks
from mpi.domain.identity import RecordKey
from mpi.domain.model import UNITS_PER_BIT, MatchModel
from mpi.domain.quality import Metrics
from mpi.domain.scoring import score
from mpi.store import bulk
from region.evaluation.measures import calibration, curve, false_pairs, missed_pairs
from region.evaluation.page import Contender, Row, Section, Specimen, render
from region.loading import rows_of

_NOTE = "This page shows traits of the persons of the file; keep it as you keep the file."


@dataclass(frozen=True, slots=True)
class Linked:
    """A linkage and its truth.

    Attributes:
        truth: the human of each record.
        clusters: the person of each record.
        seconds: wall time of loading and linking.
    """

    truth: Mapping[RecordKey, str]
    clusters: Mapping[RecordKey, int]
    metrics: Metrics
    seconds: float


def linkage_page(uow: UnitOfWork, app: MpiApplication, path: Path, linked: Linked) -> str:
    """Precision and recall, weights, calibration, and the errors by kind, as one page."""
    model, truth = app.model, linked.truth
    keys: list[RecordKey] = []
    forms: list[Cleaned] = []
    for _, key, form in bulk.active_forms(uow.connection):
        if key in truth:
            keys.append(key)
            forms.append(form)
    weights, left, right = _weighed(forms, model)
    numbers = {human: number for number, human in enumerate(sorted(set(truth.values())))}
    human = np.array([numbers[truth[key]] for key in keys], dtype=np.int64)
    same = human[left] == human[right]
    # Lighter pairs are two persons; the histogram counts them, no curve comes near them.
    heavy = np.flatnonzero(weights >= 0)
    scored = [
        (bits, keys[one], keys[other])
        for bits, one, other in zip(weights[heavy].tolist(), left[heavy].tolist(), right[heavy].tolist(), strict=True)
    ]
    wrong, missed = list(false_pairs(truth, linked.clusters)), list(missed_pairs(truth, linked.clusters))
    rows = rows_of(path, {key for pair in (*wrong, *missed) for key in pair})
    form_of = dict(zip(keys, forms, strict=True))
    stated, thresholds = model.false_links, model.thresholds
    section = Section(
        f"{path.name}, {linked.metrics.records:,} records",
        [Contender("Trait d'Union", linked.metrics, curve(truth, scored), linked.seconds)],
        matches=weights[same].tolist(),
        others=weights[~same].tolist(),
        calibration=calibration(
            (model.probability(bits), is_one) for bits, is_one in zip(weights.tolist(), same.tolist(), strict=True)
        ),
        wanted_false_share=stated.wanted if stated else None,
        expected_false_share=stated.estimated if stated else None,
        false_links=list(_specimens(wrong, rows, form_of, model)),
        missed=list(_specimens(missed, rows, form_of, model)),
    )
    return render(
        "How well a file is linked",
        [section],
        f"Model {model.name} ({model.version}): links from {thresholds.automatic:g} bits,"
        f" asks from {thresholds.possible:g} bits.",
        note=_NOTE,
    )


def _weighed(forms: list[Cleaned], model: MatchModel) -> tuple[NDArray[np.float64], Ints, Ints]:
    """Weight in bits and both positions of every pair that shares a key."""
    codes = candidate_pairs([blocking.keys(form, french=model.french) for form in forms])
    weights = [found.weight_units / UNITS_PER_BIT for _, _, found in scored_chunks(Columns(forms), codes, model)]
    left, right = np.divmod(codes, len(forms))
    return np.concatenate([np.zeros(0), *weights]), left, right


def _specimens(
    pairs: list[tuple[RecordKey, RecordKey]],
    rows: Mapping[RecordKey, Row],
    form_of: Mapping[RecordKey, Cleaned],
    model: MatchModel,
) -> Iterator[Specimen]:
    """Errors, each of the kind that its vetoes tell, else of the fields that speak against the pair."""
    for one, other in pairs:
        weighed = score(form_of[one], form_of[other], model)
        fields = zip(model.fields.items(), weighed.levels, weighed.field_units, strict=True)
        against = [f"{name} {_said(kinds(level))}" for (name, kinds), level, bits in fields if bits < 0]
        kind = "; ".join(map(str, weighed.vetoes)) or ", ".join(against) or "nothing speaks against it"
        yield Specimen(kind, rows[one], rows[other], f"{weighed.weight_bits:.1f} bits; {', '.join(against)}")


def _said(level: IntEnum) -> str:
    return level.name.lower().replace("_", " ")

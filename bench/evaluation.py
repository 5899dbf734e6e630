"""Measures of a linkage of a made-up population, and the kinds of its errors by the generator's truth columns."""

from __future__ import annotations

from collections.abc import Mapping

from mpi.domain.quality import Forest, Metrics, evaluate
from region.evaluation.measures import (
    CalibrationBin,
    CurvePoint,
    calibration,
    clusters_at,
    curve,
    false_pairs,
    missed_pairs,
)

__all__ = [
    "CalibrationBin",
    "CurvePoint",
    "Forest",
    "Metrics",
    "calibration",
    "clusters_at",
    "curve",
    "evaluate",
    "false_pairs",
    "kind_of_false_pair",
    "kind_of_missed_pair",
    "missed_pairs",
]


def kind_of_false_pair(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    """What two rows of different people are to each other, by the generator's truth columns."""
    record_kinds = {*a["kinds"].split("|"), *b["kinds"].split("|")}
    parents_a, parents_b = set(a["parents"].split()), set(b["parents"].split())
    if record_kinds & {"overlay", "test_ins", "wrong_ins", "insured_number"}:
        return "wrong attachment"
    if record_kinds & {"newborn"}:
        return "newborn"
    if a["delivery"] and a["delivery"] == b["delivery"]:
        return "twins"
    if b["person"] == a["homonym_of"] or a["person"] == b["homonym_of"]:
        return "injected homonym"
    if a["person"] in parents_b or b["person"] in parents_a:
        return "parent and child"
    if parents_a & parents_b:
        return "siblings"
    if a["family"] == b["family"]:
        return "other relatives"
    return "unrelated"


def kind_of_missed_pair(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    """What was done to two rows of one human, most telling kinds first."""
    kinds = {kind for kind in (*a["kinds"].split("|"), *b["kinds"].split("|")) if kind}
    for wanted in ("overlay", "newborn", "crossed", "married_as_birth", "used_given", "given_other", "surname_other"):
        if wanted in kinds:
            return wanted
    groups = sorted({kind.split("_")[0] for kind in kinds} - {"place", "mother", "insured"})
    return " + ".join(groups) if groups else "no error"

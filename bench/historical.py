"""Splink's public set of historical people (50,000 records) through our engine, where it is at hand.

``python -m bench.historical`` looks for ``historical_50k`` (CSV or Parquet) in the folder of independent material
beside the repository (``TRAITDUNION_SHARED``), learns a model without labels and prints pairs and clusters; without the
file it says so. A record is a person's name, birth date, birthplace, made-up postcode, gender and occupation.

Source: Splink documentation, "Datasets": ``historical_50k``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute, csv, parquet

from bench.engine import link
from bench.evaluation import Metrics, curve, evaluate
from ihe.values import PartialDate
from mpi.domain.cleaning import clean
from mpi.domain.default_models import generic
from mpi.domain.identity import RecordKey, Sex, Traits
from mpi.domain.learning import learn

NAME = "historical_50k"
_SEXES = {"male": Sex.MALE, "female": Sex.FEMALE}
_USED = ("unique_id", "cluster", "first_name", "surname", "dob", "birth_place", "postcode_fake", "gender")


@dataclass(frozen=True, slots=True)
class HistoricalSet:
    """Records and whose they are."""

    records: Mapping[RecordKey, Traits]
    truth: Mapping[RecordKey, str]


def find(folder: Path | None = None) -> Path | None:
    """The file below a folder, by default that of the independent material; ``None`` when there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    chosen = folder or Path(os.environ.get("TRAITDUNION_SHARED") or beside)
    return next((path for ending in ("parquet", "csv") for path in sorted(chosen.rglob(f"{NAME}.{ending}"))), None)


def load(path: Path) -> HistoricalSet:
    """Read the set.

    Raises:
        KeyError: a column is missing.
    """
    table = parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    texts = pa.table({name: compute.cast(table[name], pa.string()) for name in _USED})
    records: dict[RecordKey, Traits] = {}
    truth: dict[RecordKey, str] = {}
    for row in texts.to_pylist():
        key = RecordKey("CHUSE", row["unique_id"])
        records[key] = _traits(row)
        truth[key] = row["cluster"]
    return HistoricalSet(records, truth)


def _traits(row: Mapping[str, Any]) -> Traits:
    given = row["first_name"] or None
    return Traits(
        birth_family_name=row["surname"] or None,
        birth_given_names=tuple(given.split()) if given else (),
        first_birth_given_name=given,
        sex=_SEXES.get((row["gender"] or "").lower()),
        birth_date=next(_dates(row["dob"]), None),
        city=row["birth_place"] or None,
        postal_code=row["postcode_fake"] or None,
    )


def _dates(text: str | None) -> Iterator[PartialDate]:
    """A date, or as much of it as is possible."""
    for length in (10, 7, 4) if text else ():
        try:
            yield PartialDate.parse(str(text)[:length])
        except ValueError:
            continue


def measure(data: HistoricalSet) -> tuple[Metrics, float]:
    """Link the set with a model learned from it without labels; also the best F1 over thresholds."""
    model = learn([clean(traits) for traits in data.records.values()], generic()).model
    linkage = link(data.records.items(), model, keep_bits=-40.0)
    best = max((point.f1 for point in curve(data.truth, linkage.scored, 2_000)), default=0.0)
    return evaluate(data.truth, linkage.clusters, linkage.task_pairs), best


def main() -> None:
    """Print figures, or that the set is not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.historical", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    args = parser.parse_args()
    path = find()
    figures: dict[str, Any] = {}
    if path is None:
        print(f"{NAME} is not in the folder of independent material: nothing is measured")
    else:
        metrics, best = measure(load(path))
        figures = asdict(metrics) | {"f1": metrics.f1, "best_f1": best}
        print(
            f"{NAME}: precision {metrics.precision:.5f} recall {metrics.recall:.5f} F1 {metrics.f1:.5f}"
            f" mixed {metrics.mixed_clusters} split {metrics.split_people}; best over thresholds F1 {best:.5f}"
        )
    if args.output is not None:
        args.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

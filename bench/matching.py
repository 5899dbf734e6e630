"""The matching benchmark: our engine, Splink and RecordLinker on the same made-up files, side by side.

``python -m bench.matching --records 100000 --seeds 1 2 3 -o bench/results/matching.html`` prints the table of
every file, and writes the page and, beside it, the figures as JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import engine
from bench.baselines import recordlinker, splink_linker
from bench.evaluation import (
    calibration,
    clusters_at,
    curve,
    evaluate,
    false_pairs,
    kind_of_false_pair,
    kind_of_missed_pair,
    missed_pairs,
)
from bench.population import CSV_COLUMNS, generate
from bench.population.profiles import PROFILES
from bench.report import Contender, Row, Section, Specimen, render, table
from mpi.domain.cleaning import clean
from mpi.domain.default_models import default_french
from mpi.domain.identity import RecordKey
from mpi.domain.model import MatchModel
from mpi.domain.scoring import score


def run(profile: str, records: int, seed: int, model: MatchModel, baselines: bool = True) -> Section:
    """Link one generated file with every contender.

    Args:
        baselines: also run Splink and RecordLinker.
    """
    rows = {engine.key_of(row): row for row in generate(records, seed, profile)}
    truth = {key: row["person"] for key, row in rows.items()}
    linkage = engine.link(((key, engine.traits_of(row)) for key, row in rows.items()), model)
    ours = Contender(
        "Trait d'Union",
        evaluate(truth, linkage.clusters, linkage.task_pairs),
        curve(truth, linkage.scored),
        sum(linkage.seconds.values()),
    )
    contenders = [ours, *(_baselines(rows, truth) if baselines else ())]
    labelled = [(bits, truth[a] == truth[b]) for bits, a, b in linkage.scored]
    return Section(
        f"{profile}, {records:,} records, seed {seed}",
        contenders,
        matches=[bits for bits, same in labelled if same],
        others=[bits for bits, same in labelled if not same],
        calibration=calibration((model.probability(bits), same) for bits, same in labelled),
        false_links=[
            _specimen(kind_of_false_pair(rows[a], rows[b]), rows[a], rows[b], model)
            for a, b in false_pairs(truth, linkage.clusters)
        ],
        missed=[
            _specimen(kind_of_missed_pair(rows[a], rows[b]), rows[a], rows[b], model)
            for a, b in missed_pairs(truth, linkage.clusters)
        ],
    )


def _specimen(kind: str, a: Row, b: Row, model: MatchModel) -> Specimen:
    weighed = score(clean(engine.traits_of(a)), clean(engine.traits_of(b)), model)
    return Specimen(kind, a, b, f"{weighed.weight_bits:.1f} bits; " + "; ".join(str(veto) for veto in weighed.vetoes))


def _baselines(rows: Mapping[RecordKey, Row], truth: Mapping[RecordKey, str]) -> list[Contender]:
    texts = {f"{key.domain}/{key.local_id}": row for key, row in rows.items()}
    truth_by_text = {f"{key.domain}/{key.local_id}": person for key, person in truth.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "population.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(CSV_COLUMNS)
            out.writerows([row[column] for column in CSV_COLUMNS] for row in rows.values())
        splink = splink_linker.link(path)
    points = curve(truth_by_text, splink.pairs, 400)
    best = max(points, key=lambda point: point.f1)
    found = [
        Contender(
            "Splink, best threshold",
            evaluate(truth_by_text, clusters_at(truth_by_text, splink.pairs, best.threshold)),
            points,
            splink.training_seconds + splink.predicting_seconds,
        )
    ]
    for name, passes in (("default", recordlinker.DEFAULT_PASSES), ("expert", recordlinker.EXPERT_PASSES)):
        result = recordlinker.link(texts.items(), passes)
        metrics = evaluate(truth_by_text, result.clusters, result.tasks)
        found.append(Contender(f"RecordLinker, {name}", metrics, (), result.seconds))
    return found


def figures(sections: Sequence[Section]) -> list[dict[str, object]]:
    """Counts and shares of every contender, for JSON."""
    return [
        {
            "file": section.title,
            "linker": contender.name,
            "seconds": round(contender.seconds, 2),
            **asdict(contender.metrics),
            "precision": contender.metrics.precision,
            "recall": contender.metrics.recall,
            "f1": contender.metrics.f1,
            "linked_or_waiting": contender.metrics.linked_or_waiting,
            "task_share": contender.metrics.task_share,
            "task_precision": contender.metrics.task_precision,
        }
        for section in sections
        for contender in section.contenders
    ]


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.matching", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--profiles", nargs="+", choices=sorted(PROFILES), default=["easy", "realistic", "hard"])
    parser.add_argument("--model", type=Path, help="model file of `traitdunion train`; else the French default")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True, help="HTML page; figures go to the same name .json")
    args = parser.parse_args()
    model = MatchModel.from_json(json.loads(args.model.read_text("utf-8"))) if args.model else default_french()
    sections: list[Section] = []
    for profile in args.profiles:
        for seed in args.seeds:
            sections.append(run(profile, args.records, seed, model, not args.no_baselines))
            print(sections[-1].title)
            for row in table(sections[-1].contenders):
                print("  ".join(cell.rjust(24 if at == 0 else 10) for at, cell in enumerate(row)), flush=True)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    introduction = "Trait d'Union beside Splink and RecordLinker on the same files, by the same measures."
    args.output.write_text(render("Matching benchmark", sections, introduction), "utf-8")
    args.output.with_suffix(".json").write_text(json.dumps(figures(sections), indent=1), "utf-8")


if __name__ == "__main__":
    main()

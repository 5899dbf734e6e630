"""The matching benchmark: our engine, Splink and RecordLinker on the same made-up files, side by side.

``python -m bench.matching --records 100000 --seeds 1 2 3 -o bench/results/matching.html`` prints the table of
every file and the averages over the seeds, and writes the page and, beside it, the figures as JSON. Our engine runs
with the model set by hand and with one learned, without labels, from a realistic population of another seed.
RecordLinker takes records one by one and sees the first 20,000 of each file only; ours is measured on those as well.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections import defaultdict
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
from mpi.domain.cleaning import clean
from mpi.domain.default_models import default_french
from mpi.domain.identity import RecordKey
from mpi.domain.learning import learn
from mpi.domain.model import MatchModel
from mpi.domain.scoring import score
from region.evaluation.page import Contender, Row, Section, Specimen, render, table

OURS = "Trait d'Union"
RECORD_LINKER_RECORDS = 20_000


def run(profile: str, records: int, seed: int, models: Mapping[str, MatchModel], baselines: bool = True) -> Section:
    """Link one generated file with every contender.

    Args:
        models: of our engine, by what is said of them; the errors shown are those of the first.
        baselines: also run Splink and RecordLinker.
    """
    rows = {engine.key_of(row): row for row in generate(records, seed, profile)}
    truth = {key: row["person"] for key, row in rows.items()}
    linkages = {name: _link(rows, model) for name, model in models.items()}
    contenders = [_ours(f"{OURS}, {name}", truth, linkage) for name, linkage in linkages.items()]
    name, model = next(iter(models.items()))
    linkage = linkages[name]
    if baselines:
        contenders.append(_splink(rows, truth))
        few = dict(list(rows.items())[:RECORD_LINKER_RECORDS])
        few_truth = {key: truth[key] for key in few}
        said = "" if len(few) == len(rows) else f" on {len(few):,}"
        if said:
            contenders.append(_ours(f"{OURS}, {name}{said}", few_truth, _link(few, model)))
        contenders += _record_linker(few, few_truth, said)
    labelled = [(bits, truth[a] == truth[b]) for bits, a, b in linkage.scored]
    return Section(
        f"{profile}, {records:,} records, seed {seed}",
        contenders,
        matches=[bits for bits, same in labelled if same],
        others=[bits for bits, same in labelled if not same],
        wanted_false_share=model.false_links.wanted if model.false_links else None,
        expected_false_share=model.false_links.estimated if model.false_links else None,
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


def _link(rows: Mapping[RecordKey, Row], model: MatchModel) -> engine.Linkage:
    return engine.link(((key, engine.traits_of(row)) for key, row in rows.items()), model)


def _ours(name: str, truth: Mapping[RecordKey, str], linkage: engine.Linkage) -> Contender:
    metrics = evaluate(truth, linkage.clusters, linkage.task_pairs)
    return Contender(name, metrics, curve(truth, linkage.scored), sum(linkage.seconds.values()))


def _by_text(truth: Mapping[RecordKey, str]) -> dict[str, str]:
    return {f"{key.domain}/{key.local_id}": person for key, person in truth.items()}


def _splink(rows: Mapping[RecordKey, Row], truth: Mapping[RecordKey, str]) -> Contender:
    truth_by_text = _by_text(truth)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "population.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(CSV_COLUMNS)
            out.writerows([row[column] for column in CSV_COLUMNS] for row in rows.values())
        splink = splink_linker.link(path)
    points = curve(truth_by_text, splink.pairs, 400)
    best = max(points, key=lambda point: point.f1)
    return Contender(
        "Splink, best threshold",
        evaluate(truth_by_text, clusters_at(truth_by_text, splink.pairs, best.threshold)),
        points,
        splink.training_seconds + splink.predicting_seconds,
    )


def _record_linker(rows: Mapping[RecordKey, Row], truth: Mapping[RecordKey, str], said: str) -> list[Contender]:
    texts = {f"{key.domain}/{key.local_id}": row for key, row in rows.items()}
    truth_by_text = _by_text(truth)
    found = []
    for name, passes in (("default", recordlinker.DEFAULT_PASSES), ("expert", recordlinker.EXPERT_PASSES)):
        result = recordlinker.link(texts.items(), passes)
        metrics = evaluate(truth_by_text, result.clusters, result.tasks)
        found.append(Contender(f"RecordLinker, {name}{said}", metrics, (), result.seconds))
    return found


def precision_at(recall: float, contender: Contender) -> float | None:
    """The best precision that a linker reaches at a recall or above; ``None`` when it never gets there."""
    own = (contender.metrics.recall, contender.metrics.precision)
    reached = [
        precision for at, precision in (own, *((p.recall, p.precision) for p in contender.curve)) if at >= recall
    ]
    return max(reached, default=None)


def averages(sections: Mapping[str, Sequence[Section]]) -> list[tuple[str, ...]]:
    """Heading and rows of the table over all files: every contender's means over the seeds, by profile.

    The last two columns compare at equal recall: what the contender reaches at ours, and what ours has at its.
    """
    rows: list[tuple[str, ...]] = [
        ("profile", "linker", "precision", "recall", "F1", "mixed", "waiting", "tasks", "at our recall", "ours at its")
    ]
    for profile, of_profile in sections.items():
        found: defaultdict[str, list[tuple[Contender, Contender]]] = defaultdict(list)
        for section in of_profile:
            ours = section.contenders[0]
            for contender in section.contenders:
                if contender.name.startswith(OURS) and contender.metrics.records != ours.metrics.records:
                    ours = contender  # What follows saw the same few records.
                found[contender.name].append((contender, ours))
        for name, pairs in found.items():
            metrics = [contender.metrics for contender, _ in pairs]
            theirs = [precision_at(ours.metrics.recall, contender) for contender, ours in pairs]
            mine = [precision_at(contender.metrics.recall, ours) for contender, ours in pairs]
            rows.append(
                (
                    profile,
                    name,
                    f"{_mean([m.precision for m in metrics]):.5f}",
                    f"{_mean([m.recall for m in metrics]):.4f}",
                    f"{_mean([m.f1 for m in metrics]):.4f}",
                    f"{_mean([m.mixed_clusters for m in metrics]):.1f}",
                    f"{_mean([m.linked_or_waiting for m in metrics]):.4f}",
                    f"{_mean([m.task_share for m in metrics]):.2%}",
                    _mean_text(theirs),
                    _mean_text(mine),
                )
            )
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_text(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{_mean(known):.5f}" if len(known) == len(values) else "never"


def trained(records: int, seed: int) -> MatchModel:
    """A model learned without labels from a realistic population."""
    population = [clean(engine.traits_of(row)) for row in generate(records, seed, "realistic")]
    return learn(population, default_french()).model


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
    parser.add_argument("--model", type=Path, help="model file of `traitdunion train`, instead of learning one")
    parser.add_argument("--train-seed", type=int, default=7, help="of the population that a model is learned from")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True, help="HTML page; figures go to the same name .json")
    args = parser.parse_args()
    if args.train_seed in args.seeds:
        parser.error("a model must not be tested on the population it was learned from")
    if args.model:
        learned = MatchModel.from_json(json.loads(args.model.read_text("utf-8")))
    else:
        learned = trained(args.records, args.train_seed)
    models = {"trained": learned, "by hand": default_french()}
    by_profile: defaultdict[str, list[Section]] = defaultdict(list)
    for profile in args.profiles:
        for seed in args.seeds:
            by_profile[profile].append(run(profile, args.records, seed, models, not args.no_baselines))
            print(by_profile[profile][-1].title)
            _print(table(by_profile[profile][-1].contenders), 1)
    sections = [section for of_profile in by_profile.values() for section in of_profile]
    summary = averages(by_profile)
    _print(summary, 2)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    introduction = "Trait d'Union beside Splink and RecordLinker on the same files, by the same measures."
    args.output.write_text(render("Matching benchmark", sections, introduction, summary), "utf-8")
    args.output.with_suffix(".json").write_text(json.dumps(figures(sections), indent=1), "utf-8")


def _print(rows: Sequence[Sequence[str]], wide: int) -> None:
    for row in rows:
        cells = (cell.rjust(34 if at < wide else 10) for at, cell in enumerate(row))
        print("  ".join(cells), flush=True)


if __name__ == "__main__":
    main()

"""``python -m bench.population``: write a population as a bulk CSV with the truth column ``person``."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from bench.population import CSV_COLUMNS, TRUTH_COLUMNS, generate
from bench.population.profiles import PROFILES


def main() -> None:
    """Write the population; with ``--truth`` also what was done to each record."""
    parser = argparse.ArgumentParser(prog="python -m bench.population", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="realistic")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--truth", type=Path, help="CSV of domain, local_id and all truth columns")
    args = parser.parse_args()
    rows = generate(args.records, args.seed, args.profile)
    with args.output.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*CSV_COLUMNS, "person"])
        if args.truth is None:
            out.writerows([row[c] for c in (*CSV_COLUMNS, "person")] for row in rows)
            return
        with args.truth.open("w", encoding="utf-8", newline="") as truth_file:
            truth = csv.writer(truth_file, lineterminator="\n")
            columns = ("domain", "local_id", *TRUTH_COLUMNS)
            truth.writerow(columns)
            for row in rows:
                out.writerow([row[c] for c in (*CSV_COLUMNS, "person")])
                truth.writerow([row[c] for c in columns])


if __name__ == "__main__":
    main()

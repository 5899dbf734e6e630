"""Write the invented region to files: ``python -m region.synthetic FOLDER [--seed N] [--persons N] [--hard-cases]``.

``feed.hl7`` holds the messages of all sites in time order, ``truth.csv`` who each record really is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from region.synthetic.population import DEFAULT_PERSONS, DEFAULT_SEED, build


def main() -> None:
    """Read the arguments and write both files."""
    parser = argparse.ArgumentParser(prog="python -m region.synthetic", description="Write an invented region.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--persons", type=int, default=DEFAULT_PERSONS)
    parser.add_argument("--hard-cases", action="store_true", help="leave ordinary residents out")
    chosen = parser.parse_args()
    scenario = build(chosen.seed, chosen.persons)
    if chosen.hard_cases:
        scenario = scenario.hard_cases
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with (chosen.folder / "feed.hl7").open("wb") as feed:
        scenario.write_feed(feed)
    with (chosen.folder / "truth.csv").open("w", encoding="utf-8", newline="") as truth:
        scenario.write_truth(truth)


if __name__ == "__main__":
    main()

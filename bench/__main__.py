"""``make bench``: runs the suites one after the other and prints their tables, at the end the bars of the queries.

Writes ``bench/results/latest.json``.

Each suite is a module of its own, ``python -m bench.<suite>``, with its own options; here each runs in a process of
its own at a size that takes minutes, or with ``--full`` at the size that the bars are set for, which takes hours.
``make bench ARGS="linking registry --full"`` runs only these. All data are synthetic.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import Any

from bench import bars

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Suite:
    """A module of this package and its arguments.

    Attributes:
        output: suffix of the file that it writes; its figures lie beside it as JSON.
    """

    title: str
    brief: str
    full: str
    output: str = ".json"


SUITES = {
    "service": Suite(
        "queries and feeds over real sockets, beside the floor of the same run",
        "--records 10000 --seconds 1 --turns 3",
        "--records 10000 1000000",
    ),
    "hl7v2_parse": Suite("ADT messages read in a second of one core, beside python-hl7", "", ""),
    "matching": Suite(
        "precision and completeness, beside Splink and RecordLinker on the same files",
        "--records 5000 --seeds 1",
        "--records 100000 --seeds 1 2 3",
        output=".html",
    ),
    "febrl": Suite("the public FEBRL sets, learned without labels", "--learn", "--learn"),
    "historical": Suite("Splink's historical set, learned without labels, where it is at hand", "", ""),
    "linking": Suite(
        "linking in bulk, beside Splink, and one record at a time",
        "--records 2000 20000 --incoming 500",
        "--records 10000 1000000",
    ),
    "registry": Suite(
        "stored queries, registering, providing and retrieving",
        "--entries 20000 --seconds 2",
        "--entries 1000000 10000000",
    ),
    "imaging": Suite(
        "prior studies by QIDO-RS and /priors; pictures through the service, beside the archive itself",
        "--studies 20000 --instances 50 --seconds 2",
        "--studies 1000000 --instances 500",
    ),
    "trust": Suite(
        "what TLS, users and audit cost on PIX, FindDocuments and priors, beside the same in the clear",
        "--studies 20000 --seconds 2",
        "--studies 1000000 --seconds 10 --rounds 3",
    ),
    "workbench": Suite("pages of the workbench", "--records 20000 --tasks 500", "--records 1000000 --tasks 20000"),
}


def main() -> None:
    """Run and write; the exit status says whether every suite could be run."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"which, of {', '.join(SUITES)}; none: all of them")
    parser.add_argument("--full", action="store_true", help="at the size of the bars: hours")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.suites) - SUITES.keys()):
        parser.error(f"no such suite: {', '.join(unknown)}")
    RESULTS.mkdir(exist_ok=True)
    figures = {name: _run(name, chosen.full) for name in SUITES if name in (chosen.suites or SUITES)}
    machine = {"python": platform.python_version(), "cores": cpu_count(), "at": datetime.now(UTC).isoformat()}
    (RESULTS / "latest.json").write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
    read: dict[str, float] = figures.get("hl7v2_parse") or {}
    print(bars.table(figures.get("service") or {}, read.get("ihe.hl7v2.er7")))
    print(f"\nfigures: {RESULTS / 'latest.json'}")
    sys.exit(None in figures.values())


def _run(name: str, full: bool) -> Any:
    """Figures of a suite; None when it failed."""
    suite = SUITES[name]
    arguments = suite.full if full else suite.brief
    written = RESULTS / f"{name}{suite.output}"
    figures = written.with_suffix(".json")
    figures.unlink(missing_ok=True)
    print(f"\n== {name}: {suite.title} ({arguments})", flush=True)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", f"bench.{name}", *arguments.split(), "-o", str(written)], check=False)
    print(f"-- {name}: {time.perf_counter() - began:.0f} s", flush=True)
    return json.loads(figures.read_text()) if done.returncode == 0 else None


if __name__ == "__main__":
    main()

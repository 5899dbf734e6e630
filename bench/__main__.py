"""``make bench``: measures the running service and writes ``bench/results/latest.json`` and a table.

Options (``make bench ARGS="…"``): ``--records 100000 1000000``, ``--seconds 5``, ``--workers 2``.
"""

from __future__ import annotations

import argparse
import json
import platform
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path

from bench import service

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the index")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each load")
    parser.add_argument("--workers", type=int, default=cpu_count(), help="processes of the service")
    chosen = parser.parse_args()
    measured = service.run(tuple(chosen.records), chosen.seconds, chosen.workers)
    RESULTS.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "cores": cpu_count(), "at": datetime.now(UTC).isoformat()}
    (RESULTS / "latest.json").write_text(json.dumps({"machine": machine, "service": measured}, indent=2) + "\n")
    print(service.table(measured))


if __name__ == "__main__":
    main()

"""The pages of the workbench over a large index: milliseconds of each, one visitor, over HTTP.

``python -m bench.workbench POPULATION.csv --tasks 20000`` loads the file into an embedded database of its own, fills
the worklist up with made-up questions, and opens worklist, decision and person pages and searches, each many times with
other records. All data are synthetic.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from sqlalchemy import Engine, text

from mpi.translate.bulk_row import COLUMNS
from region import running
from region.bootstrap import build_service
from region.server import Listening, bind, listener_of
from region.settings import load_settings
from web.application import Workbench
from web.people import load_people
from xds.store.content import DiskContent

_FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
_STEWARD = "899700000052"
_PAUSE_SECONDS = 0.11
"""Between two pages, so that the limit of requests a minute is kept."""


def main() -> None:
    """Load, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.workbench", description=__doc__)
    parser.add_argument("population", type=Path)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=60)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRAITDUNION_DATA_DIR"] = folder
        records = Path(folder) / "records.csv"
        _without_truth(chosen.population, records)
        command = [sys.executable, "-c", "from region.cli import main; main()", "load", str(records)]
        subprocess.run(command, check=True)
        settings = load_settings()
        with running.database(settings) as url:
            _measure(url, Path(folder), chosen.population, chosen.tasks, chosen.rounds)


def _without_truth(population: Path, records: Path) -> None:
    """The columns that a bulk file may have, of a file that tells more."""
    with (
        population.open(encoding="utf-8", newline="") as given,
        records.open("w", encoding="utf-8", newline="") as kept,
    ):
        rows = csv.DictWriter(kept, COLUMNS, extrasaction="ignore")
        rows.writeheader()
        rows.writerows(csv.DictReader(given))


def _measure(url: str, folder: Path, population: Path, tasks: int, rounds: int) -> None:
    table = running.region_table(load_settings())
    people = load_people(_FIXTURES / "people.toml", [domain.code for domain in table])
    service = build_service(
        url, table, DiskContent(folder / "documents"), workbench=Workbench(people=people, demo_login=True)
    )
    _fill(service.engine, tasks)
    bound = bind(Listening(http_port=0))
    server = listener_of(service, Listening(mllp_port=0))
    thread = threading.Thread(target=lambda: server.run(sockets=[bound]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=60) as client:
        client.post("/login/demo", data={"subject": _STEWARD})
        token = re.findall(r'name="form_token" value="(\w+)"', client.get("/worklist").text)[0]
        _report(client, token, service.engine, population, rounds)
    server.should_exit = True
    thread.join(30)
    service.close()


def _fill(engine: Engine, wanted: int) -> None:
    """Open made-up questions between neighbouring records until there are so many."""
    with engine.begin() as connection:
        present = connection.execute(text("SELECT count(*) FROM task WHERE state = 'open'")).scalar_one()
        connection.execute(
            text(
                "INSERT INTO task (kind, state, record_a, record_b, domain_a, domain_b, weight_bits, risk, details,"
                " opened_event_id, opened_at) SELECT 'possible-duplicate', 'open', a.id, b.id, a.domain, b.domain,"
                " 20 + a.id % 20, 0.3 + (a.id % 7) / 20.0, '{}', (SELECT max(id) FROM identity_event),"
                " now() - (a.id % 90) * interval '1 day' FROM record a JOIN record b ON b.id = a.id + 1"
                " WHERE a.state = 'active' AND b.state = 'active' ORDER BY a.id DESC LIMIT :missing"
                " ON CONFLICT DO NOTHING"
            ),
            {"missing": max(0, wanted - present)},
        )
        connection.execute(text("ANALYZE task"))


def _report(client: httpx.Client, token: str, engine: Engine, population: Path, rounds: int) -> None:
    chance = random.Random(7)
    with engine.connect() as connection:
        size, open_now = connection.execute(
            text("SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM task WHERE state = 'open')")
        ).one()
        tasks = connection.execute(text("SELECT id FROM task WHERE state = 'open' ORDER BY id")).scalars().all()
        persons = connection.execute(text("SELECT person_id FROM record WHERE grade IS NOT NULL LIMIT 5000")).scalars()
        known = list(persons)
    with population.open(encoding="utf-8") as lines:
        rows = [row for _, row in zip(range(5000), csv.DictReader(lines), strict=False)]
    searched = [row for row in rows if len(row["birth_date"]) == 10 and row["birth_family_name"]]

    def search() -> httpx.Response:
        row = chance.choice(searched)
        asked = {"form_token": token, "birth": row["birth_date"], "family": row["birth_family_name"][:3]}
        return client.post("/search", data=asked)

    pages: dict[str, Callable[[], httpx.Response]] = {
        "worklist": lambda: client.get("/worklist"),
        "worklist of a site": lambda: client.get(f"/worklist?site={chance.choice(('CHUSE', 'ROANNE', 'FEURS'))}"),
        "decision": lambda: client.get(f"/tasks/{chance.choice(tasks)}"),
        "person": lambda: client.get(f"/persons/{chance.choice(known)}"),
        "search": search,
    }
    sys.stdout.write(f"{size} records, {open_now} open tasks; milliseconds\n")
    for name, visit in pages.items():
        visit()
        taken = []
        for _ in range(rounds):
            time.sleep(_PAUSE_SECONDS)
            started = time.perf_counter()
            answer = visit()
            taken.append((time.perf_counter() - started) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{name}: HTTP {answer.status_code}")
        p95 = statistics.quantiles(taken, n=20)[18]
        sys.stdout.write(f"{name:20} median {statistics.median(taken):7.1f}   p95 {p95:7.1f}\n")


if __name__ == "__main__":
    main()

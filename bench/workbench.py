"""The pages of the workbench over a large index: milliseconds of each, one visitor, over HTTP.

``python -m bench.workbench --records 1000000 --tasks 20000`` makes a population, loads it into an embedded database of
its own, fills the worklist up with made-up questions, and opens worklist, decision and person pages and searches, each
many times with other records. All data are synthetic.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, text

from bench.service import load_population
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
_BAR_MS = 300


def main() -> None:
    """Make, load, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.workbench", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="size of the index")
    parser.add_argument("--tasks", type=int, default=20_000, help="open questions at least")
    parser.add_argument("--rounds", type=int, default=60, help="visits of each page")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sample, _seconds = load_population(Path(folder), chosen.records)
        os.environ["TRAITDUNION_DATA_DIR"] = str(Path(folder) / "data")
        with running.database(load_settings()) as url:
            measured = _measure(url, Path(folder), sample, chosen.tasks, chosen.rounds)
    print(table(measured))
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(measured, indent=2) + "\n")


def table(measured: dict[str, Any]) -> str:
    """The figures in lines, each beside its bar."""
    lines = [f"{measured['records']} records, {measured['open tasks']} open tasks; milliseconds (bar: p95 {_BAR_MS})"]
    for name, page in measured["pages"].items():
        holds = "holds" if page["p95_ms"] <= _BAR_MS else "does not hold"
        lines.append(f"{name:20} median {page['median_ms']:7.1f}   p95 {page['p95_ms']:7.1f}   {holds}")
    return "\n".join(lines)


def _measure(url: str, folder: Path, sample: list[dict[str, str]], tasks: int, rounds: int) -> dict[str, Any]:
    region = running.region_table(load_settings())
    people = load_people(_FIXTURES / "people.toml", [domain.code for domain in region])
    service = build_service(
        url, region, DiskContent(folder / "documents"), workbench=Workbench(people=people, demo_login=True)
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
        measured = _visit(client, token, service.engine, sample, rounds)
    server.should_exit = True
    thread.join(30)
    service.close()
    return measured


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


def _visit(
    client: httpx.Client, token: str, engine: Engine, sample: list[dict[str, str]], rounds: int
) -> dict[str, Any]:
    chance = random.Random(7)
    with engine.connect() as connection:
        size, open_now = connection.execute(
            text("SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM task WHERE state = 'open')")
        ).one()
        tasks = connection.execute(text("SELECT id FROM task WHERE state = 'open' ORDER BY id")).scalars().all()
        persons = connection.execute(text("SELECT person_id FROM record WHERE grade IS NOT NULL LIMIT 5000")).scalars()
        known = list(persons)
    searched = [row for row in sample if len(row["birth_date"]) == 10 and row["birth_family_name"]]

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
    found: dict[str, Any] = {"records": size, "open tasks": open_now, "pages": {}}
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
        found["pages"][name] = {"median_ms": round(statistics.median(taken), 1), "p95_ms": round(p95, 1)}
    return found


if __name__ == "__main__":
    main()

"""The running service under load, beside the floor of the same run.

PIX and PDQ queries, feed and FindDocuments, at some sizes of the index. Floor and queries are measured in turns over
the same database, and the medians of the turns count: a machine is faster at one moment than at another. Ratios say
more than figures: they hold from one machine to the next.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import create_engine

from bench import bars, floor
from bench.load import Connection, HttpConnection, Measured, MllpConnection, at_rate, measure, median, once
from bench.population import generate
from bench.queries import post, queries
from ihe.store import audit_chain
from mpi.translate.bulk_row import COLUMNS
from region.embedded_postgres import EmbeddedPostgres
from region.embedded_postgres.binaries import ServerUser, server_programs
from region.region_table import load_region
from region.running import usual_workers
from region.settings import Settings
from region.synthetic.population import build
from region.synthetic.provide_and_register import to_provide_and_register

_FEED_PERSONS = 200
_DOCUMENTS = 60
_SAMPLE = 2000
_ASKED_BY = ("domain", "local_id", "birth_family_name", "birth_date")


@dataclass(frozen=True, slots=True)
class Running:
    """The service under test.

    Attributes:
        tls: what is connected with; ``None`` where the service speaks in the clear.
    """

    http_port: int
    mllp_port: int
    folder: Path
    pid: int = 0
    tls: ssl.SSLContext | None = None

    def http(self) -> HttpConnection:
        """One more HTTP connection."""
        return HttpConnection("127.0.0.1", self.http_port, self.tls)

    def mllp(self) -> MllpConnection:
        """One more MLLP connection."""
        return MllpConnection("127.0.0.1", self.mllp_port, self.tls)

    def is_ready(self) -> bool:
        """Whether the service serves."""
        try:
            connection = self.http()
        except OSError:
            return False
        try:
            return b"200 OK" in connection.ask(b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        except OSError:
            return False
        finally:
            connection.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Words and environment of our command over the data in a folder."""
    environment = {**os.environ, "TRAITDUNION_DATA_DIR": str(folder / "data")}
    environment.pop("TRAITDUNION_DATABASE_URL", None)
    return [sys.executable, "-c", "from region.cli import main; main()", *arguments], environment


@contextmanager
def serving(
    folder: Path, workers: int, settings: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Running]:
    """`traitdunion serve` over the embedded, durable database in a folder.

    Args:
        settings: further ones, as variables.
        tls: what is connected with, where the settings make the service speak TLS.
    """
    found = Running(free_port(), free_port(), folder, tls=tls)
    words, environment = command(
        folder, "serve", "--port", str(found.http_port), "--mllp-port", str(found.mllp_port), "--workers", str(workers)
    )
    with subprocess.Popen(words, env={**environment, **(settings or {})}, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            if found.is_ready() or process.poll() is not None:
                break
            time.sleep(0.1)
        try:
            yield replace(found, pid=process.pid)
        finally:
            process.terminate()
            process.wait(60)


def load_population(folder: Path, records: int) -> tuple[list[dict[str, str]], float]:
    """Load a population in bulk; returns a sample of its rows, in random order, and the seconds it took."""
    file = folder / "population.csv"
    sample = []
    with file.open("w", encoding="utf-8") as stream:
        stream.write(",".join(COLUMNS) + "\n")
        for number, row in enumerate(generate(records, seed=1)):
            stream.write(",".join(_quoted(row.get(name, "")) for name in COLUMNS) + "\n")
            if number % max(1, records // _SAMPLE) == 0:
                sample.append({name: row.get(name, "") for name in _ASKED_BY})
            if number % 100_000 == 0:
                _say(f"generating: {number:,} of {records:,}")
    _say(f"loading {records:,} records")
    started = time.perf_counter()
    words, environment = command(folder, "load", str(file))
    subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL)
    random.Random(1).shuffle(sample)
    return sample, time.perf_counter() - started


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text


def run(sizes: Sequence[int], seconds: float, turns: int, workers: int, rates: Sequence[float]) -> dict[str, Any]:
    """Measure at each size; JSON values.

    Args:
        seconds: of each load in each turn.
        turns: how often floor and queries are measured, one after the other; the medians of the turns count.
        rates: queries a second of the open loops.
    """
    return {str(size): _run_size(size, seconds, turns, workers, rates) for size in sizes}


def _run_size(size: int, seconds: float, turns: int, workers: int, rates: Sequence[float]) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        rows, load_seconds = load_population(folder, size)
        with EmbeddedPostgres(folder / "data" / "postgres") as server:
            url = server.url("traitdunion")
            limits = _limits(folder, url, seconds, workers)
            _settle(url)
            found = _serve_and_measure(folder, url, rows, _ways(seconds, rates), seconds, turns, workers)
        floors = limits | {name: load for name, load in found.items() if name.startswith("floor")}
        loads = {name: load for name, load in found.items() if name not in floors}
        return {
            "bulk load records/s": round(size / load_seconds, 1),
            "floors": floors,
            "loads": loads,
            "ratios": {name: _ratios(name, load, floors) for name, load in loads.items()},
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ratios(name: str, load: dict[str, Any], floors: dict[str, Any]) -> dict[str, float]:
    """A load beside the bare endpoint, and a query beside the floors of its wire with as many connections."""
    rates = {"to bare endpoint": floors["bare endpoint"]["per_second"]}
    wire, how = "MLLP" if "v2" in name else "HTTP", name.rpartition(", ")[2]
    for to, same in (("to floor", f"floor {wire}, {how}"), ("to floor in threads", f"floor {wire} in threads, {how}")):
        if same in floors:
            rates[to] = floors[same]["per_second"]
    return {to: round(load["per_second"] / rate, 3) for to, rate in rates.items() if rate}


def _limits(folder: Path, url: str, seconds: float, workers: int) -> dict[str, Any]:
    """What the machine can do: bare endpoint and pgbench."""
    port = free_port()
    with floor.bare_endpoint(port, workers):
        bare = measure(
            lambda: HttpConnection("127.0.0.1", port),
            [_ANY_REQUEST % b""],
            b"200 OK",
            connections=bars.CONNECTIONS,
            seconds=seconds,
        )
    programs = server_programs(ServerUser.for_owner(folder.stat().st_uid))
    plain = url.replace("+psycopg", "")
    found: dict[str, Any] = {"bare endpoint": asdict(bare)}
    for name, script in _PGBENCH.items():
        found[f"pgbench {name}, transactions/s"] = floor.pgbench(
            programs, plain, script, max(1, int(seconds)), bars.CONNECTIONS
        )
    return found


def _serve_and_measure(
    folder: Path,
    url: str,
    rows: list[dict[str, str]],
    ways: dict[str, _Way],
    seconds: float,
    turns: int,
    workers: int,
) -> dict[str, dict[str, Any]]:
    """Floor and queries in turns, then what writes; by name."""
    beneath = Running(free_port(), free_port(), folder)
    settings = {"TRAITDUNION_DATABASE_URL": url}
    with (
        floor.serving_floor(url, beneath.http_port, beneath.mllp_port, workers),
        serving(folder, workers, settings) as running,
    ):
        _wait_for_subscribers(running)
        asked: list[tuple[str, Callable[[], Connection], list[bytes], bytes]] = [
            ("floor HTTP", beneath.http, [_ANY_REQUEST % b""], b"200 OK"),
            ("floor MLLP", beneath.mllp, [_ANY_MESSAGE % b"1"], b"MSA|AA"),
            ("floor HTTP in threads", beneath.http, [_ANY_REQUEST % floor.IN_THREAD.encode()], b"200 OK"),
            ("floor MLLP in threads", beneath.mllp, [_ANY_MESSAGE % floor.IN_THREAD.encode()], b"MSA|AA"),
        ]
        for name, wire, requests, expected in queries(load_region(Settings().region_table), rows):
            asked.append((name, running.mllp if wire == "MLLP" else running.http, requests, expected))
        measured: dict[str, list[Measured]] = {}
        for turn in range(turns):
            for how, way in ways.items():
                for name, connect, requests, expected in asked:
                    time.sleep(_BREATH_SECONDS)
                    load = way(connect, requests, expected)
                    measured.setdefault(f"{name}, {how}", []).append(load)
                    _say(f"turn {turn + 1} of {turns}: {name}, {how}: {load.per_second}/s, p99 {load.p99_ms} ms")
        found = {name: median(loads) for name, loads in measured.items()} | dict(_writing(running, seconds))
    return {name: asdict(load) for name, load in found.items()}


_Way = Callable[[Callable[[], Connection], Sequence[bytes], bytes], Measured]
"""Puts a load on connections, with requests and what each good answer holds."""


def _ways(seconds: float, rates: Sequence[float]) -> dict[str, _Way]:
    """Closed loops of more and more connections, then as many as before at one rate after the other."""
    ways: dict[str, _Way] = {
        f"{connections} connections": partial(measure, connections=connections, seconds=seconds)
        for connections in _CONNECTIONS
    }
    most = _CONNECTIONS[-1]
    for rate in rates:
        ways[f"{most} connections at {rate:g}/s"] = partial(
            at_rate, connections=most, per_second=rate, seconds=max(seconds, _LEAST_SECONDS)
        )
    return ways


def _settle(url: str) -> None:
    """Do at once what is done in the minutes after a large load, in the middle of what is measured.

    Events are sealed here: the service would do it while it answers its first questions.
    """
    engine = create_engine(url)
    sealed = 1
    while sealed:
        with engine.begin() as connection:
            sealed = audit_chain.seal(connection, datetime.now(UTC))
    engine.dispose()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def _wait_for_subscribers(running: Running) -> None:
    """Wait until the events of the load are with their subscribers: of a million records there are some 400,000."""
    connection = running.http()
    for _ in range(_PATIENCE_SECONDS):
        measures = connection.ask(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n").decode().splitlines()
        if all(line.endswith(" 0.0") for line in measures if line.startswith(_AGES_OF_WAITING)):
            break
        time.sleep(1)
    else:
        _say("events of the load still wait: what is measured first carries them")
    connection.close()


_CONNECTIONS = (1, 4, bars.CONNECTIONS)
_PATIENCE_SECONDS = 180
_AGES_OF_WAITING = ("traitdunion_outbox_undistributed_age_seconds", "traitdunion_subscriber_lag_seconds")
_BREATH_SECONDS = 0.3
"""Until the connections of the load before are gone: they would count when those of the next are shared out."""
_LEAST_SECONDS = 3.0
"""For a percentile of an open loop, which asks less in the same time."""
_ANY_REQUEST = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
_ANY_MESSAGE = b"MSH|^~\\&|BENCH|BENCH|IPR|R|20260101||QBP^Q23^QBP_Q21|%b|P|2.5\rQPD|IHE PIX Query|1|1\rRCP|I\r"
_PGBENCH = {
    "select": "\\set i random(1, 1000)\nSELECT domain FROM record WHERE id = :i;\n",
    "insert": "INSERT INTO received_message VALUES ('bench', gen_random_uuid()::text, '\\x00', now(), '\\x00');\n",
}


def _writing(running: Running, seconds: float) -> Iterator[tuple[str, Measured]]:
    """Feed, provide and register, and questions for what was registered."""
    table = load_region(Settings().region_table)
    scenario = build(persons=_FEED_PERSONS)
    messages = [sent.data for sent in scenario.messages]
    yield "feed, 1 connection", once(running.mllp, [messages[: len(messages) // 2]], b"MSA|AA")
    by_site = [[sent.data for sent in scenario.messages if sent.site == site.code] for site in table.establishments]
    yield "feed, each site at once", once(running.mllp, by_site, b"MSA|AA")
    yield from _documents(running, scenario, seconds)


def _documents(running: Running, scenario: Any, seconds: float) -> Iterator[tuple[str, Measured]]:
    requests, finds = [], []
    for submission in scenario.submissions[:_DOCUMENTS]:
        patient = submission.source_patient_id.xds_cx
        content_type, body = to_provide_and_register(submission, patient).body()
        requests.append(post("/ihe/repository", content_type, body))
        finds.append(post("/ihe/registry", "application/soap+xml; charset=UTF-8", find_documents(patient)))
    yield (
        "provide and register, 4 connections",
        once(running.http, [requests[number::4] for number in range(4)], b"Success"),
    )
    for connections in (1, 16):
        yield (
            f"FindDocuments, {connections} connections",
            measure(running.http, finds, b"Success", connections=connections, seconds=seconds),
        )


def find_documents(patient: str, header: str = "") -> bytes:
    """FindDocuments.

    Args:
        patient: as CX.
        header: further header blocks.
    """
    escaped = patient.replace("&", "&amp;")
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        '<s:Header><a:Action s:mustUnderstand="true">urn:ihe:iti:2007:RegistryStoredQuery</a:Action>'
        f"{header}</s:Header><s:Body>"
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"'
        ' xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">'
        '<q:ResponseOption returnType="LeafClass" returnComposedObjects="true"/>'
        '<r:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">'
        '<r:Slot name="$XDSDocumentEntryPatientId"><r:ValueList>'
        f"<r:Value>'{escaped}'</r:Value></r:ValueList></r:Slot>"
        '<r:Slot name="$XDSDocumentEntryStatus"><r:ValueList>'
        "<r:Value>('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')</r:Value></r:ValueList></r:Slot>"
        "</r:AdhocQuery></q:AdhocQueryRequest></s:Body></s:Envelope>"
    ).encode()


def table(results: dict[str, Any]) -> str:
    """The results as a readable table."""
    lines = []
    for size, found in results.items():
        lines.append(f"\n{int(size):,} records: bulk load {found['bulk load records/s']:,} records/s")
        floors = found["floors"]
        lines.append(", ".join(f"{name} {value:,}" for name, value in floors.items() if isinstance(value, float)))
        heads = f"{'per s':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'/bare':>8}{'/floor':>8}{'/threads':>9}"
        lines.append(f"{'':48}{heads}{'bad':>5}")
        measured = {name: value for name, value in floors.items() if isinstance(value, dict)}
        for name, load in (measured | found["loads"]).items():
            ratio = found["ratios"].get(name, {})
            lines.append(
                f"{name:48}{load['per_second']:>9,}{load['p50_ms']:>9}{load['p95_ms']:>9}{load['p99_ms']:>9}"
                f"{ratio.get('to bare endpoint', ''):>8}{ratio.get('to floor', ''):>8}"
                f"{ratio.get('to floor in threads', ''):>9}{load['failures']:>5}"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the index")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each load in each turn")
    parser.add_argument("--turns", type=int, default=5, help="how often floor and queries are measured, in turns")
    usual = usual_workers(beside_database=True)
    parser.add_argument("--workers", type=int, default=usual, help=f"processes of the service (usually {usual})")
    parser.add_argument("--rate", type=float, nargs="+", default=[300.0], help="queries a second of the open loops")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    chosen = parser.parse_args()
    measured = run(chosen.records, chosen.seconds, chosen.turns, chosen.workers, chosen.rate)
    print(table(measured))
    print(bars.table(measured, None))
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()

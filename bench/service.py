"""The running service under load, beside pgbench and a bare endpoint in the same run.

Feed, PIX query over HL7 v2 and FHIR, and FindDocuments, at two sizes of the index. Ratios say more than figures: they
hold from one machine to the next.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from bench import floor
from bench.load import HttpConnection, Measured, MllpConnection, measure, once
from bench.population import generate
from mpi.translate.bulk_row import COLUMNS
from region.embedded_postgres import EmbeddedPostgres
from region.embedded_postgres.binaries import ServerUser, server_programs
from region.region_table import load_region
from region.settings import Settings
from region.synthetic.population import build
from region.synthetic.provide_and_register import to_provide_and_register

_FEED_PERSONS = 200
_DOCUMENTS = 60


@dataclass(frozen=True, slots=True)
class Running:
    """The service under test."""

    http_port: int
    mllp_port: int
    folder: Path

    def http(self) -> HttpConnection:
        """One more HTTP connection."""
        return HttpConnection("127.0.0.1", self.http_port)

    def mllp(self) -> MllpConnection:
        """One more MLLP connection."""
        return MllpConnection("127.0.0.1", self.mllp_port)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "TRAITDUNION_DATA_DIR": str(folder / "data")}
    environment.pop("TRAITDUNION_DATABASE_URL", None)
    return [sys.executable, "-c", "from region.cli import main; main()", *arguments], environment


@contextmanager
def serving(folder: Path, workers: int) -> Iterator[Running]:
    """`traitdunion serve` over the embedded, durable database in a folder."""
    found = Running(free_port(), free_port(), folder)
    command, environment = _command(
        folder, "serve", "--port", str(found.http_port), "--mllp-port", str(found.mllp_port), "--workers", str(workers)
    )
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{found.http_port}/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        try:
            yield found
        finally:
            process.terminate()
            process.wait(60)


def load_population(folder: Path, records: int) -> tuple[list[dict[str, str]], float]:
    """Load a population in bulk; returns its rows' names and the seconds it took."""
    file = folder / "population.csv"
    rows = []
    with file.open("w", encoding="utf-8") as stream:
        stream.write(",".join(COLUMNS) + "\n")
        for row in generate(records, seed=1):
            stream.write(",".join(_quoted(row.get(name, "")) for name in COLUMNS) + "\n")
            rows.append({"domain": row["domain"], "local_id": row["local_id"]})
    started = time.perf_counter()
    command, environment = _command(folder, "load", str(file))
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return rows, time.perf_counter() - started


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text


def run(sizes: tuple[int, ...], seconds: float, workers: int) -> dict[str, Any]:
    """Measure at each size; JSON values."""
    return {str(size): _run_size(size, seconds, workers) for size in sizes}


def _run_size(size: int, seconds: float, workers: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        rows, load_seconds = load_population(folder, size)
        measured: dict[str, Any] = {"bulk load records/s": round(size / load_seconds, 1)}
        measured["floors"] = _floors(folder, seconds)
        with serving(folder, workers) as running:
            measured["loads"] = {name: asdict(found) for name, found in _loads(running, rows, seconds)}
        bare = measured["floors"]["bare endpoint"]["per_second"]
        select = measured["floors"]["pgbench select, transactions/s"]
        insert = measured["floors"]["pgbench insert, transactions/s"]
        measured["ratios"] = {
            name: {
                "to bare endpoint": round(found["per_second"] / bare, 3),
                "to pgbench select": round(found["per_second"] / select, 3),
                "to pgbench insert": round(found["per_second"] / insert, 3),
            }
            for name, found in measured["loads"].items()
        }
        return measured
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _floors(folder: Path, seconds: float) -> dict[str, Any]:
    port = free_port()
    with floor.bare_endpoint(port):
        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        bare = measure(lambda: HttpConnection("127.0.0.1", port), [request], b"200 OK", connections=16, seconds=seconds)
    with EmbeddedPostgres(folder / "data" / "postgres") as server:
        url = server.url("traitdunion").replace("+psycopg", "")
        programs = server_programs(ServerUser.for_owner(folder.stat().st_uid))
        select = floor.pgbench(
            programs, url, "\\set i random(1, 1000)\nSELECT domain FROM record WHERE id = :i;\n", int(seconds), 16
        )
        insert = floor.pgbench(
            programs,
            url,
            "INSERT INTO received_message VALUES ('bench', gen_random_uuid()::text, '\\x00', now(), '\\x00');\n",
            int(seconds),
            16,
        )
    return {
        "bare endpoint": asdict(bare),
        "pgbench select, transactions/s": select,
        "pgbench insert, transactions/s": insert,
    }


def _loads(running: Running, rows: list[dict[str, str]], seconds: float) -> Iterator[tuple[str, Measured]]:
    table = load_region(Settings().region_table)
    sample = rows[:: max(1, len(rows) // 2000)]
    scenario = build(persons=_FEED_PERSONS)
    messages = [sent.data for sent in scenario.messages]
    yield "feed, 1 connection", once(running.mllp, messages[: len(messages) // 2], b"MSA|AA", 1)
    by_site = [sent.data for site in table.establishments for sent in scenario.messages if sent.site == site.code]
    yield "feed, 8 connections", once(running.mllp, by_site, b"MSA|AA", 8)
    queries = []
    for number, row in enumerate(sample):
        authority = table.by_code(row["domain"]).authority
        queries.append(
            (
                f"MSH|^~\\&|BENCH|BENCH|IPR|R|20260101||QBP^Q23^QBP_Q21|{number}|P|2.5\r"
                f"QPD|IHE PIX Query|{number}|{row['local_id']}^^^&{authority.oid}&ISO\rRCP|I\r"
            ).encode()
        )
    for connections in (1, 16):
        yield (
            f"PIX query v2, {connections} connections",
            measure(running.mllp, queries, b"MSA|AA", connections=connections, seconds=seconds),
        )
    asked = [
        (
            f"GET /fhir/Patient/$ihe-pix?sourceIdentifier={table.by_code(row['domain']).oid.urn}%7C{row['local_id']}"
            " HTTP/1.1\r\nHost: x\r\n\r\n"
        ).encode()
        for row in sample
    ]
    for connections in (1, 16):
        yield (
            f"PIX query FHIR, {connections} connections",
            measure(running.http, asked, b"200 OK", connections=connections, seconds=seconds),
        )
    yield from _documents(running, scenario, seconds)


def _documents(running: Running, scenario: Any, seconds: float) -> Iterator[tuple[str, Measured]]:
    requests, finds = [], []
    for submission in scenario.submissions[:_DOCUMENTS]:
        patient = submission.source_patient_id.xds_cx
        content_type, body = to_provide_and_register(submission, patient).body()
        requests.append(_post("/ihe/repository", content_type, body))
        finds.append(_post("/ihe/registry", "application/soap+xml; charset=UTF-8", _find(patient)))
    yield "provide and register, 4 connections", once(running.http, requests, b"Success", 4)
    for connections in (1, 16):
        yield (
            f"FindDocuments, {connections} connections",
            measure(running.http, finds, b"Success", connections=connections, seconds=seconds),
        )


def _post(path: str, content_type: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _find(patient: str) -> bytes:
    escaped = patient.replace("&", "&amp;")
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        '<s:Header><a:Action s:mustUnderstand="true">urn:ihe:iti:2007:RegistryStoredQuery</a:Action></s:Header><s:Body>'
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
        lines.append(
            f"floors: bare endpoint {floors['bare endpoint']['per_second']:,}/s, pgbench select "
            f"{floors['pgbench select, transactions/s']:,}/s, insert {floors['pgbench insert, transactions/s']:,}/s"
        )
        lines.append(f"{'':38}{'per s':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'/bare':>8}{'/insert':>9}{'bad':>5}")
        for name, load in found["loads"].items():
            ratio = found["ratios"][name]
            lines.append(
                f"{name:38}{load['per_second']:>9,}{load['p50_ms']:>9}{load['p95_ms']:>9}{load['p99_ms']:>9}"
                f"{ratio['to bare endpoint']:>8}{ratio['to pgbench insert']:>9}{load['failures']:>5}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(run((10_000,), 3.0, 1), indent=2))

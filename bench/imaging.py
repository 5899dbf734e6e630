"""Prior studies and pictures, through the running service over real sockets.

``python -m bench.imaging --studies 1000000`` fills the registry with manifested studies, 10 and 500 to a patient, and
asks for the history of patients whom three sites know under numbers of their own: by QIDO-RS and by ``/priors``. Where
Orthanc is installed, a series is fetched from it directly, through a plain pass-through that only moves the bytes (the
most that any service between can reach on this machine) and through the service (WADO-RS), in turns, and by RAD-69,
while the service's memory is watched. ``--only pictures`` leaves the priors out. All data are synthetic.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg

from bench.load import at_rate, measure
from bench.service import Running, command, free_port, serving
from ihe.values import Code, Oid, PartialDate
from mpi.domain.identity import RecordKey, Sex, Traits
from region.embedded_postgres import EmbeddedPostgres
from region.migrations import upgrade
from region.pacs.orthanc import Orthanc, program
from region.pacs.pictures import dicom_files
from region.region_table import RegionTable, load_region
from region.settings import Settings
from region.synthetic.imaging import DICOM_CODES, LOINC, SNOMED_CT, ZONE, Study
from xds.domain.imaging import ImagingSeries, Instance
from xds.store.packing import pack

_SITES = ("CHUSE", "ROANNE", "ICL")
_FEW, _MANY = 10, 500
_SHARE_OF_MANY = 20
"""One study in so many is of a patient with many."""
_ASKED = {_FEW: 80, _MANY: 30}
"""Patients who are asked about, by number of studies; the index knows only these."""
_SIDE = 512
_CT = "1.2.840.10008.5.1.4.1.1.2"
_RATE = 10.0
"""Questions a second of the open loop."""
_LEAST_SECONDS = 20.0
"""Of the open loop, which asks little: for a percentile."""
_KNOWN = b"2.25.8."
"""Every right answer holds the beginning of the studies' UIDs."""
_TURNS = 5


def run(studies: int, instances: int, seconds: float, workers: int, only: str | None = None) -> dict[str, Any]:
    """Fill and measure; JSON values.

    Args:
        only: ``priors`` or ``pictures``; ``None``: both.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-imaging-"))
    folder.chmod(0o755)
    archive = _archive(folder)
    try:
        table = load_region(_table_for(folder, archive))
        started = time.perf_counter()
        with EmbeddedPostgres(folder / "data" / "postgres") as server:
            url = server.url(server.ensure_database("traitdunion"))
            upgrade(url)
            fill(url, table, studies)
        measured: dict[str, Any] = {"studies": studies, "filled_seconds": round(time.perf_counter() - started, 1)}
        load_people(folder)
        with serving(folder, workers) as running:
            if only != "pictures":
                measured["priors"] = _priors(running, studies, seconds)
            if archive is None:
                _say("Orthanc is not installed (make pacs): pictures are not measured")
            elif only != "priors":
                measured["pictures"] = _pictures(running, archive, table, instances)
        return measured
    finally:
        if archive is not None:
            archive.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _archive(folder: Path) -> Orthanc | None:
    if program() is None:
        return None
    archive = Orthanc("CHUSE", free_port(), free_port(), folder / "orthanc")
    archive.start()
    return archive


def _table_for(folder: Path, archive: Orthanc | None) -> Path:
    """The region's table, with that archive as CHUSE's, published by the service."""
    text = Settings().region_table.read_text(encoding="utf-8")
    if archive is not None:
        mine = f'"{archive.dicomweb_url}"\npublish = true\nchange_feed = "{archive.rest_url}/changes"'
        text = text.replace('"http://localhost:8141/dicom-web"', mine)
    path = folder / "region.toml"
    path.write_text(text, encoding="utf-8")
    os.environ["TRAITDUNION_REGION_TABLE"] = str(path)
    return path


_FILL = """
INSERT INTO content VALUES (decode(repeat('00', 32), 'hex'), decode(repeat('00', 20), 'hex'), 0, now())
    ON CONFLICT DO NOTHING;
INSERT INTO repository_document
SELECT '2.25.7.' || n, '2.25.50', decode(repeat('00', 32), 'hex'), 'application/dicom', NULL, now()
FROM generate_series(0, %(studies)s - 1) AS n;
INSERT INTO document_entry
SELECT gen_random_uuid(), gen_random_uuid(), 1, 'Approved', '2.25.7.' || n, anchor, anchor, NULL, %(body)s,
    now(), false, 'application/dicom', '2.25.50', NULL, NULL, anchor, '31^^1.2.250.1.213.1.1.4.1',
    'IMG-KOS^^1.2.250.1.213.1.1.4.12', '1.2.840.10008.5.1.4.1.1.88.59^^1.2.840.10008.2.6.1', NULL, NULL,
    '{N^^2.16.840.1.113883.5.25}', '{}', ARRAY['2.25.8.' || n || '^^^^urn:ihe:iti:xds:2016:studyInstanceUID'],
    '{}', NULL, 20250310101500, 20250310000000, NULL
FROM (SELECT n, (CASE WHEN n %% %(share)s = 0 THEN 'M' || (n / %(share)s) %% %(many)s ELSE 'F' || n %% %(few)s END)
        || '^^^&' || (%(oids)s::text[])[1 + (n / 7) %% 3] || '&ISO' AS anchor
      FROM generate_series(0, %(studies)s - 1) AS n) AS numbered;
INSERT INTO imaging_study (document_unique_id, study_uid, manifest_created_at, started_at, study_date, study_time,
    description, modalities, regions, accessions, accession_numbers, patient_ids, retrieve_location_uid,
    series_count, instance_count, patient_name, patient_sex)
SELECT '2.25.7.' || n, '2.25.8.' || n, now(), timestamptz '2015-01-01' + n %% 4000 * interval '1 day',
    date '2015-01-01' + n %% 4000, '08:30', 'Scanner thoracique fictif', '{CT}',
    '[{"code": "67734004", "scheme": "2.16.840.1.113883.6.96", "display": "Thorax"}]',
    jsonb_build_array(jsonb_build_object('value', 'A' || n, 'namespace', NULL, 'oid', '2.25.12')), ARRAY['A' || n],
    jsonb_build_array(jsonb_build_object('value', 'X', 'namespace', 'CHUSE', 'oid', '2.25.11')),
    (%(locations)s::text[])[1 + (n / 7) %% 3], 2, 300, 'FICTIF^EXEMPLE', 'F'
FROM generate_series(0, %(studies)s - 1) AS n
"""


def fill(url: str, table: RegionTable, studies: int) -> None:
    """Entries and studies, one by one of different patients; all documents have the same, empty bytes."""
    domains = [table.by_code(code) for code in _SITES]
    parameters = {
        "studies": studies,
        "share": _SHARE_OF_MANY,
        "many": max(1, studies // _SHARE_OF_MANY // _MANY),
        "few": max(1, studies // _FEW),
        "oids": [str(each.oid) for each in domains],
        "locations": [str(each.imaging_source_id) for each in domains],
        "body": pack(b"<ExtrinsicObject/>"),
    }
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in _FILL.split(";"):
            connection.execute(statement, parameters)
        connection.execute("VACUUM ANALYZE document_entry")
        connection.execute("VACUUM ANALYZE imaging_study")


def load_people(folder: Path) -> None:
    """The patients who are asked about, as three sites know them; the traits are the same, so they are linked."""
    file = folder / "people.csv"
    columns = (
        "domain,local_id,birth_family_name,birth_given_names,first_birth_given_name,sex,birth_date,birth_place_code"
    )
    lines = [columns]
    rng = random.Random(1)
    for kind, count in (("F", _ASKED[_FEW]), ("M", _ASKED[_MANY])):
        for number in range(count):
            surname, given = (_word(rng, syllables) for syllables in (4, 3))
            born = f"{rng.randint(1930, 2010)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
            traits = f"{surname},{given},{given},F,{born},42218"
            lines += [f"{site},{kind}{number},{traits}" for site in _SITES]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words, environment = command(folder, "load", str(file))
    subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL)


def _word(rng: random.Random, syllables: int) -> str:
    return "".join(rng.choice("BCDFGLMNPRSTV") + rng.choice("AEIOU") for _ in range(syllables))


def _priors(running: Running, studies: int, seconds: float) -> dict[str, Any]:
    """Latencies by way of asking and number of studies: one question at a time, eight at once, and some each second.

    Eight at once keep all processors busy all the time; what each then waits for is the other seven.
    """
    found: dict[str, Any] = {}
    for count, kind, patients in (
        (_FEW, "F", min(_ASKED[_FEW], max(1, studies // _FEW))),
        (_MANY, "M", min(_ASKED[_MANY], max(1, studies // _SHARE_OF_MANY // _MANY))),
    ):
        for way, path in (
            ("QIDO-RS", "/dicom-web/domains/ROANNE/studies?PatientID={}"),
            ("/priors", "/priors?patient=ROANNE%7C{}&modality=CT"),
        ):
            requests = [
                f"GET {path.format(f'{kind}{n}')} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
                for n in range(patients)
                if kind == "M" or n % _SHARE_OF_MANY  # those in between have none
            ]
            loads = {
                f"{connections} connections": measure(
                    running.http, requests, _KNOWN, connections=connections, seconds=seconds
                )
                for connections in (1, 8)
            }
            loads[f"8 connections at {_RATE}/s"] = at_rate(
                running.http, requests, _KNOWN, connections=8, per_second=_RATE, seconds=max(seconds, _LEAST_SECONDS)
            )
            for how, measured in loads.items():
                name = f"{way}, {count} studies, {how}"
                found[name] = asdict(measured)
                _say(f"{name}: p50 {measured.p50_ms} ms, p99 {measured.p99_ms} ms, {measured.failures} failures")
    return found


def _study(table: RegionTable, instances: int) -> Study:
    """A series of the first patient, at CHUSE."""
    uid = str(Oid("2.25.9"))
    members = tuple(Instance(_CT, f"{uid}.3.{n}") for n in range(1, instances + 1))
    return Study(
        key=RecordKey("CHUSE", "F0"),
        person=1,
        traits=Traits(
            birth_family_name="FICTIVE", first_birth_given_name="EXEMPLE", sex=Sex.FEMALE, birth_date=PartialDate(1930)
        ),
        uid=f"{uid}.1",
        accession="BENCH",
        started_at=datetime(2024, 7, 14, 8, 30, tzinfo=ZONE),
        ended_at=datetime(2024, 7, 14, 9, 0, tzinfo=ZONE),
        procedure=Code("24627-2", LOINC, "Scanner thoracique fictif"),
        modality=Code("CT", DICOM_CODES, "CT"),
        region=Code("67734004", SNOMED_CT, "Thorax"),
        series=(ImagingSeries(uid=f"{uid}.2", instances=members, modality="CT", description="Série"),),
        has_report=False,
        manifest_uid=f"{uid}.4",
        manifest_series_uid=f"{uid}.5",
    )


def _pictures(running: Running, archive: Orthanc, table: RegionTable, instances: int) -> dict[str, Any]:
    """Throughput of one series, directly, passed through and through the service, in turns; MB/s, medians."""
    study = _study(table, instances)
    _say(f"storing {instances} pictures")
    with httpx.Client(trust_env=False, timeout=60) as client:
        for data in dicom_files(study, table.by_code("CHUSE"), side=_SIDE):
            client.post(f"{archive.rest_url}/instances", content=data).raise_for_status()
        listed = f"http://127.0.0.1:{running.http_port}/dicom-web/studies/{study.uid}/instances"
        until = time.monotonic() + 120
        while client.get(listed).status_code != 200:
            if time.monotonic() > until:
                raise SystemExit("the series was not published in time")
            time.sleep(0.5)
    path = f"/studies/{study.uid}/series/{study.series[0].uid}"
    direct: list[float] = []
    plain: list[float] = []
    passed: list[float] = []
    used: list[float] = []
    with _pass_through(archive.http_port) as port, _memory(running.pid) as memory:
        for turn in range(_TURNS + 1):
            before = _processor_seconds(running.pid)
            size, speed = _wado(running.http_port, f"/dicom-web/domains/ROANNE{path}")
            after = _processor_seconds(running.pid)
            others = [_wado(each, f"/dicom-web{path}")[1] for each in (archive.http_port, port)]
            if turn:  # the first fills caches
                direct.append(others[0])
                plain.append(others[1])
                passed.append(speed)
                used.append((after - before) / size * 1e9)
    soap = [_rad69(running, table, study) for _ in range(_TURNS)]
    found = {
        "instances": instances,
        "megabytes": round(size / 1e6, 1),
        "archive directly, MB/s": round(statistics.median(direct), 1),
        "plain pass-through, MB/s": round(statistics.median(plain), 1),
        "through the service, MB/s": round(statistics.median(passed), 1),
        "share": round(statistics.median(p / d for p, d in zip(passed, direct, strict=True)), 3),
        "share of the pass-through": round(statistics.median(p / d for p, d in zip(passed, plain, strict=True)), 3),
        "processor of the service, ms/MB": round(statistics.median(used), 2),
        "memory before, MB": memory["before"],
        "memory at most, MB": memory["most"],
        "RAD-69, MB/s": round(statistics.median(soap), 1),
    }
    _say(json.dumps(found))
    return found


@contextmanager
def _pass_through(port: int) -> Iterator[int]:
    """A process that moves the bytes between its clients and a port, and does nothing else, while the block runs."""
    waiting, offered = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_pass_on, args=(port, offered), daemon=True)
    process.start()
    try:
        yield waiting.recv()
    finally:
        process.terminate()
        process.join()


def _pass_on(port: int, offered: Connection) -> None:
    """One client after the other: its request to the port, the answer back."""
    buffer = memoryview(bytearray(1024 * 1024))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        offered.send(listener.getsockname()[1])
        while True:
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as archive, suppress(OSError):
                archive.sendall(client.recv(64 * 1024))
                while size := archive.recv_into(buffer):
                    client.sendall(buffer[:size])


def _wado(port: int, path: str) -> tuple[int, float]:
    """Bytes of an answer, and MB/s."""
    headers = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    return _fetched(port, lambda connection: connection.request("GET", quote(path, safe="/."), headers=headers))


def _rad69(running: Running, table: RegionTable, study: Study) -> float:
    source = table.by_code("CHUSE").imaging_source_id
    action = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
    named = "".join(
        f"<b:DocumentRequest><b:RepositoryUniqueId>{source}</b:RepositoryUniqueId>"
        f"<b:DocumentUniqueId>{each.sop_instance_uid}</b:DocumentUniqueId></b:DocumentRequest>"
        for each in study.series[0].instances
    )
    body = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f'<s:Header><a:Action s:mustUnderstand="true">{action}</a:Action><a:MessageID>urn:x</a:MessageID></s:Header>'
        '<s:Body><i:RetrieveImagingDocumentSetRequest xmlns:i="urn:ihe:rad:xdsi-b:2009"'
        f' xmlns:b="urn:ihe:iti:xds-b:2007"><i:StudyRequest studyInstanceUID="{study.uid}"><i:SeriesRequest'
        f' seriesInstanceUID="{study.series[0].uid}">{named}</i:SeriesRequest></i:StudyRequest>'
        "<i:TransferSyntaxUIDList><i:TransferSyntaxUID>1.2.840.10008.1.2.1</i:TransferSyntaxUID>"
        "</i:TransferSyntaxUIDList></i:RetrieveImagingDocumentSetRequest></s:Body></s:Envelope>"
    )
    headers = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{action}"'}
    size, speed = _fetched(
        running.http_port, lambda connection: connection.request("POST", "/ihe/imaging", body.encode(), headers)
    )
    assert size > 1000 * len(study.series[0].instances), "RAD-69 answered without pictures"
    return speed


def _fetched(port: int, ask: Callable[[http.client.HTTPConnection], None]) -> tuple[int, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    started = time.perf_counter()
    ask(connection)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    size = 0
    while piece := answer.read(1024 * 1024):
        size += len(piece)
    connection.close()
    return size, size / (time.perf_counter() - started) / 1e6


@contextmanager
def _memory(pid: int) -> Iterator[dict[str, float]]:
    """Resident memory of the service's processes while the block runs, the database's apart; MB."""
    found = {"before": _resident(pid), "most": 0.0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            found["most"] = max(found["most"], _resident(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def _resident(pid: int) -> float:
    """Resident memory of a process and all that it started, database servers apart; MB."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for number in _processes(pid):
        with suppress(OSError):
            total += int(Path(f"/proc/{number}/statm").read_text().split()[1]) * page
    return round(total / 1e6, 1)


def _processor_seconds(pid: int) -> float:
    """Used so far by a process and all that it started, database servers apart."""
    ticks = 0
    for number in _processes(pid):
        with suppress(OSError):
            words = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _processes(pid: int) -> Iterator[int]:
    """A process and all that it started, database servers apart."""
    waiting = [pid]
    while waiting:
        number = waiting.pop()
        with suppress(OSError):
            if b"postgres" in Path(f"/proc/{number}/cmdline").read_bytes().partition(b"\0")[0]:
                continue
            for task in Path(f"/proc/{number}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
            yield number


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.imaging", description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--instances", type=int, default=500, help="of the series that is fetched")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement of priors")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=("priors", "pictures"), help="measure nothing else")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures there")
    chosen = parser.parse_args()
    report = run(chosen.studies, chosen.instances, chosen.seconds, chosen.workers, chosen.only)
    print(json.dumps(report, indent=2))
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

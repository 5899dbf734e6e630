"""Mixed load on all listeners while workers and database are killed, the disk is full, clocks jump, and subscribers are
slow or dead: nothing acknowledged is lost or doubled, memory stays flat, and no hand is needed.

All persons are invented.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import pytest
from sqlalchemy import create_engine, text

from ihe.errors import MalformedRequest, Unavailable
from ihe.hl7v2.client import MllpClient
from ihe.hl7v2.er7 import Message
from region.embedded_postgres import EmbeddedPostgres
from region.region_table import load_region
from tests.e2e.test_repository_process import SITE, Served, _entry
from tests.mllp_consumer import Consumer, wait_for
from tests.ports import free_port
from tests.service_process import started_by
from tests.soak.test_kill_during_feed import consumer_order, own, patient_messages

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "fixtures" / "region.toml"
COMPILER = shutil.which("cc")
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long long *offset_seconds;

__attribute__((constructor)) static void open_offset(void) {
    int file = open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
    if (file >= 0) offset_seconds = mmap(0, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t clock, struct timespec *found) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, found);
    if (clock == CLOCK_REALTIME && offset_seconds) found->tv_sec += *offset_seconds;
    return result;
}

int gettimeofday(struct timeval *found, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
"""
"""A wall clock that is as far from the right one as a file says; the clock that only goes forward is left alone."""
LONGEST_ANSWER_SECONDS = 60.0
"""Of a question while everything is broken; nobody waits for ever."""
DAY = 86_400
DOCUMENTS_EACH = 50
"""Provided of one patient."""


class SlowConsumer(Consumer):
    """Takes its time over each notification."""

    def _answer(self, frame: bytes, peer: object) -> list[bytes]:
        time.sleep(0.2)
        return super()._answer(frame, peer)


def region_with(folder: Path, ports: dict[str, int]) -> Path:
    """The region's table with consumers of notifications."""
    table = folder / "region.toml"
    lines = TABLE.read_text(encoding="utf-8")
    for code, port in ports.items():
        block = re.search(rf'code = "{code}".*?(notification = \{{[^}}]*\}})', lines, re.DOTALL)
        assert block is not None
        told = f'{{ enabled = true, host = "127.0.0.1", port = {port}, application = "GAM", facility = "{code}" }}'
        lines = lines[: block.start(1)] + f"notification = {told}" + lines[block.end(1) :]
    table.write_text(lines, encoding="utf-8")
    return table


@dataclass
class Load:
    """What partners do meanwhile, and what they were told."""

    service: Served
    acknowledged: set[str] = field(default_factory=set)
    documents: dict[str, str] = field(default_factory=dict)
    answered: int = 0
    slowest: float = 0.0
    surprises: list[str] = field(default_factory=list)
    has_documents: str = "CHUSE1"
    """The patient whose documents are provided now; nobody's history grows without end."""
    _persons: Iterator[int] = field(default_factory=itertools.count)
    _known: str = "CHUSE1"
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        work = [self._feed, self._feed, self._ask, self._ask, self._provide]
        self._threads = [threading.Thread(target=each, daemon=True) for each in work]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(300)
            assert not thread.is_alive(), "a partner still waits for an answer"

    def _feed(self) -> None:
        with MllpClient("127.0.0.1", self.service.ports[1], timeout_seconds=30) as client:
            while not self._ended.is_set():
                person = next(self._persons)
                for message in patient_messages(person):
                    self._until_acknowledged(client, message)
                self._known = f"C{person}"

    def _until_acknowledged(self, client: MllpClient, message: bytes) -> None:
        while True:
            try:
                answer = client.send(message).segment("MSA")
            except (Unavailable, MalformedRequest):
                time.sleep(0.1)
                continue
            if answer is not None and answer.text(1) == "AA":
                self.acknowledged.add(answer.text(2))
                return
            time.sleep(0.2)

    def _ask(self) -> None:
        chance = random.Random()
        authority = load_region(TABLE).by_code("ROANNE").authority
        with httpx.Client(base_url=self.service.address, timeout=LONGEST_ANSWER_SECONDS) as client:
            while not self._ended.is_set():
                number = f"R{chance.randrange(max(len(self.acknowledged) // 4, 1))}"
                path = chance.choice(
                    [
                        f"/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{authority.oid}|{number}",
                        f"/fhir/Patient?identifier=urn:oid:{authority.oid}|{number}",
                        f"/dicom-web/domains/ROANNE/studies?PatientID={number}",
                        f"/priors?domain=ROANNE&patient={number}",
                        f"/fhir/DocumentReference?patient.identifier=urn:oid:{SITE.oid}|{self.has_documents}&status=current",
                        "/metrics",
                        "/",
                    ]
                )
                began = time.monotonic()
                try:
                    status = client.get(path).status_code
                except httpx.TimeoutException:
                    self.surprises.append(f"no answer within {LONGEST_ANSWER_SECONDS} s: {path.partition('?')[0]}")
                    continue
                except httpx.TransportError:
                    time.sleep(0.1)
                    continue
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answered += 1
                if status >= 500 and status != 503:
                    self.surprises.append(f"{status}: {path.partition('?')[0]}")

    def _provide(self) -> None:
        for number in itertools.count():
            if self._ended.is_set():
                return
            if number % DOCUMENTS_EACH == 0:
                self.has_documents = self._known
            entry, data = _entry(self.has_documents), os.urandom(random.randrange(1, 200_000))
            try:
                if self.service.provide(entry, len(data), iter([data])):
                    self.documents[str(entry.unique_id)] = hashlib.sha256(data).hexdigest()
            except (httpx.HTTPError, Unavailable, MalformedRequest, IndexError, AttributeError):
                time.sleep(0.1)
            time.sleep(0.05)


@dataclass
class Region:
    """The service under load with those who listen to it."""

    service: Served
    good: Consumer
    slow: Consumer

    def postmaster(self) -> int:
        found = EmbeddedPostgres(self.service.folder / "postgres").status().pid
        assert found is not None
        return found

    def workers(self) -> list[int]:
        """Two that listen, and one beside them."""
        assert self.service.process is not None
        pid = self.service.process.pid
        return started_by(pid)

    def resident_bytes(self) -> int:
        """Of all workers together."""
        total = 0
        for pid in self.workers():
            found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
            total += int(found[1]) * 1024 if found else 0
        return total

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.service.address}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def goes_on(self, load: Load, seconds: float = 120) -> None:
        """Wait until everybody is served again, without a hand."""
        wait_for(self.is_ready, seconds)
        fed, answered, provided = len(load.acknowledged), load.answered, len(load.documents)
        wait_for(
            lambda: (
                len(load.acknowledged) > fed + 8 and load.answered > answered + 8 and len(load.documents) > provided + 1
            ),
            seconds,
        )


@contextmanager
def region(folder: Path, data: Path, **environment: str) -> Iterator[Region]:
    """Two workers over an embedded database; one consumer is quick, one slow, one dead.

    Args:
        environment: further variables of the service's processes.
    """
    with Consumer() as good, SlowConsumer() as slow:
        table = region_with(folder, {"ROANNE": good.port, "ANNONAY": slow.port, "FEURS": free_port()})
        chosen = {"region_table": str(table), "outbox_max_attempts": "1000"}
        service = Served(data, settings=chosen, workers=2, variables=environment)
        try:
            service.start()
            service.feed("CHUSE1", str(SITE.oid))
            yield Region(service, good, slow)
        finally:
            service.end(signal.SIGTERM)
            EmbeddedPostgres(data / "postgres").destroy()


def settle(found: Region, load: Load, folder: Path) -> None:
    """Everything that was acknowledged is there, once; who listens has heard of it; a backup gives the same."""
    service = found.service
    assert load.surprises == []
    assert load.slowest < LONGEST_ANSWER_SECONDS
    told: dict[str, frozenset[str]] = {}

    def everybody_is_told() -> bool:
        told.update({own(message): _values(message) for message in list(found.good.received)})
        at_roanne = {each for each in load.acknowledged if each.startswith("RA28")}
        return {f"R{each[4:]}" for each in at_roanne} <= told.keys()

    wait_for(everybody_is_told, 240)
    assert consumer_order(found.good.received) == []
    for unique_id, address in load.documents.items():
        assert service.retrieved_hash(unique_id) == address
    with EmbeddedPostgres(service.folder / "postgres") as postgres:
        engine = create_engine(postgres.url("traitdunion"))
        with engine.connect() as connection:
            kept = connection.execute(text("SELECT control_id, count(*) FROM received_message GROUP BY control_id"))
            counts = {row[0]: row[1] for row in kept}
            entries = connection.execute(text("SELECT unique_id, count(*) FROM document_entry GROUP BY unique_id"))
            registered = {row[0]: row[1] for row in entries}
        engine.dispose()
    lost = load.acknowledged - counts.keys()
    assert not lost, f"{len(lost)} acknowledged messages are gone"
    assert {count for name, count in counts.items() if name in load.acknowledged} == {1}
    assert not load.documents.keys() - registered.keys()
    assert set(registered.values()) <= {1}

    backup = folder / "backup"
    assert service.run("backup", backup).returncode == 0
    before = _links(service)
    service.end(signal.SIGTERM)
    assert service.run("check").returncode == 0
    restored = Served(folder / "restored", settings={"region_table": service.settings["region_table"]})
    try:
        done = restored.run("restore", backup)
        assert done.returncode == 0, done.stderr
        assert _links(restored) == before
    finally:
        EmbeddedPostgres(restored.folder / "postgres").destroy()


def _links(service: Served) -> list[list[str]]:
    return sorted(csv.reader(service.run("export", "links").stdout.splitlines()))


def _values(message: Message) -> frozenset[str]:
    pid = message.segment("PID")
    assert pid is not None
    return frozenset(each.text(1) for each in pid.field(3).repetitions)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that the unprivileged user of the embedded server may pass."""
    for folder in (tmp_path.parent, tmp_path):
        folder.chmod(0o711)
    found = tmp_path / "data"
    found.mkdir(mode=0o711)
    return found


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.timeout(3600)
def test_killed_workers_and_a_killed_database_are_replaced(tmp_path: Path, data: Path, rounds: int) -> None:
    with region(tmp_path, data) as found, Load(found.service) as load:
        for _ in range(rounds):
            found.goes_on(load)
            os.kill(random.choice(found.workers()), signal.SIGKILL)
            found.goes_on(load)
            wait_for(lambda: len(found.workers()) == 3, 30)
            os.kill(found.postmaster(), signal.SIGKILL)
            found.goes_on(load)
            found.service.end(signal.SIGKILL)
            found.service.start()
            found.goes_on(load)
        load.__exit__()
        settle(found, load, tmp_path)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk that can be filled."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", folder], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024 * 1024))


def may_mount() -> bool:
    """Whether this user may mount a small disk."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="needs the right to mount a small disk (root)")
@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.soak)])
@pytest.mark.timeout(3600)
def test_a_full_disk_acknowledges_nothing_it_does_not_keep(tmp_path: Path, data: Path, rounds: int) -> None:
    with small_disk(data / "disk", 1500) as disk:
        folder = disk / "data"
        folder.mkdir(mode=0o711)
        with region(tmp_path, folder) as found, Load(found.service) as load:
            for _ in range(rounds):
                found.goes_on(load)
                filler = disk / "filler"
                with pytest.raises(OSError):
                    fill(filler)
                time.sleep(8)
                filler.unlink()
                found.goes_on(load)
            load.__exit__()
            settle(found, load, tmp_path)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler (cc), which makes the clock that jumps")
@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.timeout(3600)
def test_a_clock_that_jumps_confuses_nobody(tmp_path: Path, data: Path, rounds: int) -> None:
    offset, source, library = tmp_path / "offset", tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(CLOCK)
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    offset.write_bytes((0).to_bytes(8, sys.byteorder))
    with (
        region(tmp_path, data, LD_PRELOAD=str(library), CLOCK_OFFSET=str(offset)) as found,
        Load(found.service) as load,
    ):
        for _ in range(rounds):
            for seconds in (3600, -3600, DAY, 0):
                with offset.open("r+b") as file:
                    file.write(seconds.to_bytes(8, sys.byteorder, signed=True))
                found.goes_on(load)
        load.__exit__()
        settle(found, load, tmp_path)


@pytest.mark.parametrize(("seconds", "growth"), [(24, 0.05), pytest.param(1800, 0.05, marks=pytest.mark.soak)])
@pytest.mark.timeout(3600)
def test_memory_stays_flat_under_steady_load(tmp_path: Path, data: Path, seconds: int, growth: float) -> None:
    with region(tmp_path, data) as found, Load(found.service) as load:
        found.goes_on(load)
        time.sleep(seconds / 3)  # caches fill
        samples = []
        for _ in range(40):
            samples.append(found.resident_bytes())
            time.sleep(seconds / 60)
        early, late = median(samples[:10]), median(samples[-10:])
        print(f"resident: {early / 2**20:.0f} MiB, then {late / 2**20:.0f} MiB; {load.answered} answers")
        assert late < early * (1 + growth)
        load.__exit__()
        settle(found, load, tmp_path)

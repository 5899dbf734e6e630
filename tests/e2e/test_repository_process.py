"""The repository as a process of its own: flat memory for large documents, nothing lost or halved by kill -9."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, text

from ihe.soap.envelope import read_envelope, soap_request
from ihe.soap.mtom import MessageReader, mtom_message
from ihe.soap.multipart import OutgoingPart
from ihe.soap.sinks import SpoolFacts, SpoolSink
from ihe.unit_of_work import Database
from ihe.values import Oid
from ihe.xml import parse_xml
from region.region_table import load_region
from tests import xds_samples
from tests.service_process import ServiceProcess
from tests.xds_repository import include, provide_body, retrieve_body
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.services.upkeep import check, sweep
from xds.store.content import DiskContent

ROOT = Path(__file__).resolve().parents[2]
TABLE = load_region(ROOT / "fixtures" / "region.toml")
SITE = TABLE.by_code("CHUSE")
REPOSITORY = str(TABLE.region.repository_unique_id)
RS = "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}"
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
MEBIBYTE = 1024 * 1024


@dataclass
class HashingSink:
    """A document that the client receives and doesn't keep."""

    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)

    def facts(self) -> SpoolFacts:
        return SpoolFacts(self.size, "", self.digest.hexdigest())

    def discard(self) -> None:
        return None


class Served(ServiceProcess):
    """With documents sent and fetched."""

    def send(self, action: str, body: str, documents: dict[str, tuple[int, Iterator[bytes]]], open_sink: Any) -> Any:
        """The body of the answer and its documents."""
        envelope = soap_request(action, self.address, parse_xml(body.encode()))
        parts = [OutgoingPart(name, "text/plain", chunks, size) for name, (size, chunks) in documents.items()]
        message = mtom_message(envelope, parts, action)
        headers = {"Content-Type": message.content_type}
        with httpx.stream(
            "POST", f"{self.address}/ihe/repository", content=iter(message.body), headers=headers, timeout=600
        ) as answer:
            reader = MessageReader(answer.headers["content-type"], open_sink)
            for chunk in answer.iter_bytes():
                reader.feed(chunk)
        received = reader.close()
        return read_envelope(received.root).body_element, list(received.attachments.values())

    def provide(self, entry: Any, size: int, chunks: Iterator[bytes]) -> bool:
        body = provide_body(xds_samples.submission(entry.patient_id, entry), {entry.id: include("document@x")})
        answer, _ = self.send(PROVIDE, body, {"document@x": (size, chunks)}, SpoolSink)
        return bool(answer.get("status").endswith(":Success"))

    def retrieved_hash(self, unique_id: str) -> str:
        _, found = self.send(RETRIEVE, retrieve_body((REPOSITORY, unique_id)), {}, HashingSink)
        return found[0].facts.sha256 if found else ""


@pytest.fixture
def served(database_url: str, tmp_path: Path) -> Iterator[Served]:
    """A service that knows one patient of CHUSE."""
    service = Served(tmp_path, database_url)
    try:
        service.start()
        service.feed("CHUSE1", str(SITE.oid))
        yield service
    finally:
        service.end(signal.SIGTERM)


def _entry(local_id: str = "CHUSE1") -> Any:
    patient = xds_samples.pid(local_id, str(SITE.oid))
    made = xds_samples.entry(f"Document-{uuid4().hex}", patient, source_patient_id=patient)
    return replace(made, unique_id=Oid.from_uuid(uuid4()), hash=None, size=None, repository_unique_id=None)


def _blocks(mebibytes: int) -> Iterator[bytes]:
    """Distinct blocks without much work."""
    base = bytearray(random.Random(1).randbytes(MEBIBYTE))
    for number in range(mebibytes):
        base[:8] = number.to_bytes(8)
        yield bytes(base)


@pytest.mark.parametrize("mebibytes", [200, pytest.param(2048, marks=pytest.mark.soak)])
def test_a_large_document_streams_through_flat_memory(served: Served, mebibytes: int) -> None:
    small = _entry()
    assert served.provide(small, MEBIBYTE, _blocks(1))
    served.retrieved_hash(small.unique_id)
    before = served.peak_bytes()
    digest = hashlib.sha256()
    for block in _blocks(mebibytes):
        digest.update(block)
    large = _entry()
    started = time.perf_counter()
    assert served.provide(large, mebibytes * MEBIBYTE, _blocks(mebibytes))
    provided = time.perf_counter()
    assert served.retrieved_hash(large.unique_id) == digest.hexdigest()
    retrieved = time.perf_counter()
    growth = served.peak_bytes() - before
    print(
        f"{mebibytes} MiB: in {mebibytes / (provided - started):.0f} MiB/s, "
        f"out {mebibytes / (retrieved - provided):.0f} MiB/s, memory +{growth / MEBIBYTE:.0f} MiB"
    )
    assert growth < 48 * MEBIBYTE


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.soak)])
def test_what_was_acknowledged_survives_kill_9_whole(served: Served, kills: int) -> None:
    acknowledged: dict[str, str] = {}
    for number in range(kills):
        _provide_until_killed(served, acknowledged, random.Random(number).uniform(0.3, 2.5))
        served.start()
    for unique_id, address in acknowledged.items():
        assert served.retrieved_hash(unique_id) == address
    served.end(signal.SIGTERM)

    engine = create_engine(served.database_url)
    try:
        database, repository = Database(engine), _repository(served)
        assert {found.kind for found in check(database, repository, grace=timedelta())} <= {"unnamed"}
        sweep(database, repository, grace=timedelta())
        assert list(check(database, repository, grace=timedelta())) == []
        assert list(repository.content._staging.iterdir()) == []  # type: ignore[attr-defined]
        with engine.connect() as connection:
            entries = connection.execute(text("SELECT count(*) FROM document_entry")).scalar_one()
            sets = connection.execute(text("SELECT count(*) FROM submission_set")).scalar_one()
            members = connection.execute(text("SELECT count(*) FROM association")).scalar_one()
        assert len(acknowledged) <= entries == sets == members
    finally:
        engine.dispose()


def _provide_until_killed(served: Served, acknowledged: dict[str, str], seconds: float) -> None:
    stopped = threading.Event()

    def submit() -> None:
        while not stopped.is_set():
            entry, data = _entry(), os.urandom(random.randrange(1, 300_000))
            try:
                if served.provide(entry, len(data), iter([data])):
                    acknowledged[entry.unique_id] = hashlib.sha256(data).hexdigest()
            except httpx.TransportError:
                return

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    served.end(signal.SIGKILL)
    stopped.set()
    for thread in threads:
        thread.join()


def _repository(served: Served) -> Repository:
    nobody: Any = None
    return Repository(Registry(nobody), DiskContent(served.folder / "documents"), Oid(REPOSITORY))

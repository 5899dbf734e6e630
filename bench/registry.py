"""The registry alone, in process: stored queries and registrations over millions of entries.

``python -m bench.registry --entries 1000000`` fills a database of its own (every entry in a submission set of its own)
and measures FindDocuments for patients with 10 and with 1,000 entries (whole objects and references, from the
question's text to the answer's, past the reading policy), durable registrations, documents provided, and documents
retrieved beside reading a plain file. With several sizes (``--entries 1000000 10000000``) the growth from the first to
the last is measured too. Ten million take some 20 GB of the folder for temporary files, or of ``--kept FOLDER``, which
keeps what was filled for the next time. Ends with a table of what is demanded, and with the only figures that a peer
has published. All data are synthetic.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from lxml import etree
from sqlalchemy import create_engine

from bench.registry_fill import complete_entry, fill, patient, patients_of_few, patients_of_many
from bench.registry_table import ASKED, FEW, MANY, PROVIDED, table
from ihe.caller import REGION, Caller
from ihe.confidentiality import ReadingRules, Wishes
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import Code, Oid, PatientId
from region.embedded_postgres import EmbeddedPostgres
from region.migrations import upgrade
from xds.domain.document_set import DocumentRequest
from xds.domain.model import (
    Association,
    AssociationType,
    Submission,
    SubmissionSet,
)
from xds.domain.stored_query import STORED_QUERIES
from xds.ports import Person
from xds.services.provide_bytes import provide_bytes
from xds.services.reading import RegionPolicy
from xds.services.register import register
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.services.retrieve import retrieve
from xds.services.stored_query import answer
from xds.store.content import BLOCK_BYTES, DiskContent
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_response import query_response
from xds.translate.ebxml_vocabulary import QUERY, RIM

_DATABASE = "registry"
_REPOSITORY = Oid("2.25.50")
_LARGE_BYTES = 64 * 1024 * 1024


VIEWER = Caller("bench", roles=frozenset({"professional"}))
"""A caller to whom the reading policy applies whole."""


class Everybody:
    """A directory in which every number is a person of its own."""

    def resolve(self, uow: UnitOfWork, patient_id: PatientId, *, to_write: bool = False) -> Person | None:
        """The person of that number."""
        return Person(patient_id, frozenset({patient_id}))

    def wishes(self, uow: UnitOfWork, patient_id: PatientId) -> dict[str, Wishes]:
        """Nobody wants anything."""
        return {patient_id.xds_cx: Wishes()}

    def answered(self, uow: UnitOfWork, patient_id: PatientId) -> Person | None:
        """The same."""
        return self.resolve(uow, patient_id)

    def knows_authority(self, patient_id: PatientId) -> bool:
        """Every authority is known."""
        return True


def run(entries: int, seconds: float, kept: Path | None = None) -> dict[str, Any]:
    """Fill and measure; figures in milliseconds and per second.

    Args:
        kept: folder whose filled databases, one of each size, are used again; ``None`` fills one that is removed.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-registry-")))
        folder.chmod(0o755)
        home = folder if kept is None else kept / str(entries)
        home.mkdir(parents=True, exist_ok=True)
        server = stack.enter_context(EmbeddedPostgres(home / "postgres", volatile=False))
        filled = _filled(server, entries, home / "filled.json")
        engine = create_engine(server.url(_DATABASE), pool_size=2)
        stack.callback(engine.dispose)
        policy = RegionPolicy(ReadingRules(), Everybody())
        database, registry = Database(engine), Registry(Everybody(), may_read=policy)
        gc.collect()
        gc.freeze()  # as the service does once it is loaded
        measured: dict[str, Any] = {"entries": entries, **filled}
        for name, patients, count in (
            ("few", patients_of_few(entries), FEW),
            ("many", patients_of_many(entries), MANY),
        ):
            for return_type in ("LeafClass", "ObjectRef"):
                ask = _asker(database, registry, name, patients, return_type, count)
                measured[ASKED.format(count, return_type)] = _timed(ask, seconds)
        measured["register one entry, durable"] = _timed(_registrar(database, registry), seconds)
        repository = Repository(registry, DiskContent(folder / "content"), _REPOSITORY)
        measured[PROVIDED] = _timed(_provider(database, repository), seconds)
        measured["retrieve"] = _retrieval(database, repository, folder, seconds)
        return measured


def _filled(server: EmbeddedPostgres, entries: int, note: Path) -> dict[str, Any]:
    """Bytes of the entries, and seconds that filling took: now or, where the note says so, before."""
    if note.exists():
        with psycopg.connect(server.url(_DATABASE).replace("+psycopg", "")) as connection:
            connection.execute("SELECT count(body) FROM document_entry")  # into the cache, as filling leaves them
    else:
        with psycopg.connect(server.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {_DATABASE}")  # one half filled
        server.ensure_database(_DATABASE)
        upgrade(server.url(_DATABASE))
        started = time.perf_counter()
        size = fill(server.url(_DATABASE), entries)
        note.write_text(json.dumps({"table_bytes": size, "filled_seconds": round(time.perf_counter() - started, 1)}))
    filled: dict[str, Any] = json.loads(note.read_text())
    return filled


def _asker(
    database: Database, registry: Registry, kind: str, patients: int, return_type: str, count: int
) -> Callable[[int], None]:
    def ask(number: int) -> None:
        patient_id = patient(kind, number * 7919 % patients)
        request = _request(patient_id, return_type)
        with database.unit(VIEWER, isolation="REPEATABLE READ") as uow:
            query = read_query(etree.fromstring(request), STORED_QUERIES)
            text = query_response(answer(uow, registry, query))
        element = "<ExtrinsicObject " if return_type == "LeafClass" else "<ObjectRef "
        found = text.count(element.encode())
        assert found >= count // 2, found

    return ask


def _request(patient_id: PatientId, return_type: str) -> str:
    cx = patient_id.xds_cx.replace("&", "&amp;")
    return (
        f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns="{RIM}"><q:ResponseOption returnType="{return_type}"/>'
        '<AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"><Slot name="$XDSDocumentEntryPatientId">'
        f"<ValueList><Value>'{cx}'</Value></ValueList></Slot><Slot name=\"$XDSDocumentEntryStatus\"><ValueList>"
        "<Value>('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')</Value></ValueList></Slot></AdhocQuery>"
        "</q:AdhocQueryRequest>"
    )


def _registrar(database: Database, registry: Registry) -> Callable[[int], None]:
    def one(number: int) -> None:
        submission, _ = _submission(patient("new", number))
        with database.unit(REGION) as uow:
            register(uow, submission, registry)

    return one


def _submission(patient_id: PatientId, size: int = 1234, digest: str | None = None) -> tuple[Submission, str]:
    """A set with one entry, and the entry's uniqueId."""
    unique_id = str(Oid.from_uuid(uuid4()))
    submission_set = SubmissionSet(
        id="set",
        unique_id=str(Oid.from_uuid(uuid4())),
        source_id="2.25.60",
        patient_id=patient_id,
        submission_time="20250310",
        content_type_code=Code("04", "1.2.250.1.213.2.2"),
    )
    member = Association(
        id="member",
        type=AssociationType.HAS_MEMBER,
        source="set",
        target="doc",
        slots={"SubmissionSetStatus": ("Original",)},
    )
    entry = complete_entry("doc", unique_id, patient_id)
    if digest is not None:
        entry = replace(entry, size=size, hash=digest)
    return Submission(submission_set=submission_set, entries=(entry,), associations=(member,)), unique_id


def _provider(database: Database, repository: Repository) -> Callable[[int], None]:
    """Provide documents of 20 kB, each to disk and registered before the next."""

    def one(number: int) -> None:
        content = b"%PDF-1.4 synthetic " + uuid4().bytes * 1250
        submission, _ = _submission(patient("new", number), len(content), sha1(content).hexdigest())
        with database.unit(REGION) as uow:
            provide_bytes(uow, submission, {"doc": content}, repository)

    return one


def _retrieval(database: Database, repository: Repository, folder: Path, seconds: float) -> dict[str, float]:
    """MB/s of one large document, verified, beside reading a plain file of the same bytes."""
    content = uuid4().bytes * (_LARGE_BYTES // 16)
    plain = folder / "plain"
    plain.write_bytes(content)
    submission, unique_id = _submission(patient("large", 0), len(content), sha1(content).hexdigest())
    with database.unit(REGION) as uow:
        provide_bytes(uow, submission, {"doc": content}, repository)
    request = DocumentRequest(str(_REPOSITORY), unique_id)

    def retrieved() -> int:
        with database.unit(VIEWER, isolation="REPEATABLE READ") as uow:
            (document,) = retrieve(uow, [request], repository).documents
            return sum(len(block) for block in document.blocks)

    def read() -> int:
        with plain.open("rb") as file:
            return sum(len(block) for block in iter(lambda: file.read(BLOCK_BYTES), b""))

    return {
        "mb_per_second": _throughput(retrieved, seconds),
        "plain_file_mb_per_second": _throughput(read, seconds),
        "document_mb": _LARGE_BYTES / 1e6,
    }


def _throughput(step: Callable[[], int], seconds: float) -> float:
    step()
    moved, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        moved += step()
    return round(moved / (time.perf_counter() - started) / 1e6, 1)


def _timed(step: Callable[[int], None], seconds: float) -> dict[str, float]:
    """Run for a while, one after the other; the first runs warm caches and don't count."""
    for number in range(5):
        step(number)
    times: list[float] = []
    until = time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        step(len(times) + 5)
        times.append(time.perf_counter() - started)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "per_second": round(len(times) / sum(times), 1),
        "p50_ms": round(cuts[49] * 1000, 2),
        "p95_ms": round(cuts[94] * 1000, 2),
        "p99_ms": round(cuts[98] * 1000, 2),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.registry", description=__doc__)
    parser.add_argument("--entries", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--kept", type=Path, metavar="FOLDER", help="keep filled databases there, and use those it has")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures there")
    chosen = parser.parse_args()
    figures = [run(entries, chosen.seconds, chosen.kept) for entries in chosen.entries]
    print(table(figures))
    report: dict[str, Any] = {"registry": figures, "published_peer": "400 submissions and 600 queries an hour"}
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

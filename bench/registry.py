"""The registry alone, in process: stored queries and registrations over millions of entries.

``python -m bench.registry --entries 1000000`` fills a database of its own (every entry in a submission set of its own)
and measures FindDocuments for patients with 10 and with 1,000 entries (whole objects and references, from the
question's text to the answer's, past the reading policy), durable registrations, documents provided, and documents
retrieved beside reading a plain file. With several sizes (``--entries 1000000 10000000``) the growth from the first to
the last is measured too. Ends with a table of what is demanded, and with the only figures that a peer has published.
All data are synthetic.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from lxml import etree
from sqlalchemy import create_engine

from bench.registry_table import ASKED, FEW, MANY, PROVIDED, table
from ihe.caller import REGION, Caller
from ihe.confidentiality import ReadingRules, Wishes
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import AssigningAuthority, Code, Oid, PatientId
from region.embedded_postgres import EmbeddedPostgres
from region.migrations import upgrade
from xds.domain.document_set import DocumentRequest
from xds.domain.model import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    LocalizedText,
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
from xds.store.packing import pack
from xds.store.rows import described_row
from xds.store.tables import document_entry
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_response import query_response
from xds.translate.ebxml_vocabulary import QUERY, RIM
from xds.translate.ebxml_writer import body_of

_AUTHORITY = AssigningAuthority(None, Oid("2.25.2"))
_SHARE_OF_MANY = 0.05
_REPOSITORY = Oid("2.25.50")
_LARGE_BYTES = 64 * 1024 * 1024
_TEMPLATE_ID = "urn:uuid:00000000-0000-4000-8000-000000000000"


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


def run(entries: int, seconds: float) -> dict[str, Any]:
    """Fill and measure; figures in milliseconds and per second."""
    with tempfile.TemporaryDirectory(prefix="bench-registry-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "postgres", volatile=False) as server:
            url = server.url("registry")
            server.ensure_database("registry")
            upgrade(url)
            started = time.perf_counter()
            size = _fill(url, entries)
            filled = time.perf_counter() - started
            engine = create_engine(url, pool_size=2)
            policy = RegionPolicy(ReadingRules(), Everybody())
            database, registry = Database(engine), Registry(Everybody(), may_read=policy)
            many = max(1, int(entries * _SHARE_OF_MANY) // MANY)
            gc.collect()
            gc.freeze()  # as the service does once it is loaded
            measured: dict[str, Any] = {"entries": entries, "table_bytes": size, "filled_seconds": round(filled, 1)}
            for name, patients, count in (("few", _patients_of_few(entries), FEW), ("many", many, MANY)):
                for return_type in ("LeafClass", "ObjectRef"):
                    ask = _asker(database, registry, name, patients, return_type, count)
                    measured[ASKED.format(count, return_type)] = _timed(ask, seconds)
            measured["register one entry, durable"] = _timed(_registrar(database, registry), seconds)
            content = DiskContent(Path(folder) / "content")
            repository = Repository(registry, content, _REPOSITORY)
            measured[PROVIDED] = _timed(_provider(database, repository), seconds)
            measured["retrieve"] = _retrieval(database, repository, Path(folder), seconds)
            engine.dispose()
            return measured


def _patients_of_few(entries: int) -> int:
    return max(1, int(entries * (1 - _SHARE_OF_MANY)) // FEW)


def _patient(kind: str, number: int) -> PatientId:
    return PatientId(f"{kind}-{number}", _AUTHORITY)


def _entry(object_id: str, unique_id: str, patient_id: PatientId) -> DocumentEntry:
    """A complete report of synthetic content."""
    return DocumentEntry(
        id=object_id,
        unique_id=unique_id,
        patient_id=patient_id,
        source_patient_id=patient_id,
        source_patient_info=("PID-5|FICTIF^Exemple", "PID-7|19700101", "PID-8|F"),
        title=(LocalizedText("Compte rendu d'imagerie fictif", "fr-FR"),),
        authors=(Author(person="1^FICTIF^Auteur", institutions=("Hôpital fictif^^^^^^^^^2.25.11",)),),
        class_code=Code("10", "1.2.250.1.213.1.1.4.1", "Compte rendu"),
        type_code=Code("18748-4", "2.16.840.1.113883.6.1", "CR d'imagerie médicale"),
        format_code=Code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "PDF"),
        healthcare_facility_type_code=Code("SA01", "1.2.250.1.71.4.2.4", "Etablissement public de santé"),
        practice_setting_code=Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé"),
        confidentiality_codes=(Code("N", "2.16.840.1.113883.5.25", "Normal"),),
        event_code_list=(Code("CT", "1.2.840.10008.2.16.4", "Tomodensitométrie"),),
        creation_time="20250310101500",
        service_start_time="20250310",
        language_code="fr-FR",
        mime_type="application/pdf",
        hash="0123456789abcdef0123456789abcdef01234567",
        size=1234,
        repository_unique_id="2.25.50",
        reference_id_list=tuple(_accessions(unique_id)),
    )


def _accessions(unique_id: str) -> list[str]:
    return [f"{unique_id}^^^&2.25.12&ISO^urn:ihe:iti:xds:2013:accession"]


def _rows(entries: int) -> Iterator[list[Any]]:
    """Entries in an order in which no patient's stand together, as they arrive in life."""
    few, many = _patients_of_few(entries), max(1, int(entries * _SHARE_OF_MANY) // MANY)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    template_unique_id = "2.25.8.0"
    template = _entry(_TEMPLATE_ID, template_unique_id, _patient("few", 0))
    body = body_of(template)
    row = described_row(template, _patient("few", 0), body, start) | {"status": "Approved"}
    shared = _TEMPLATE_ID[:-4].encode()
    for number in range(entries):
        of_many, is_other = divmod(number, 20)
        patient_id = _patient("few", (number - of_many - 1) % few) if is_other else _patient("many", of_many % many)
        object_id, unique_id, cx = uuid4(), f"2.25.8.{number}", patient_id.xds_cx
        own = body.replace(shared, object_id.urn[:-4].encode()).replace(template_unique_id.encode(), unique_id.encode())
        row |= {
            "id": str(object_id),
            "logical_id": str(object_id),
            "unique_id": unique_id,
            "patient_id": cx,
            "anchor": cx,
            "source_patient_id": cx,
            "reference_id_list": _accessions(unique_id),
            "body": pack(own),
            "registered_at": start + timedelta(seconds=number),
        }
        yield [row[column.name] for column in document_entry.columns]


def _fill(url: str, entries: int) -> int:
    names = ",".join(column.name for column in document_entry.columns)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        with connection.cursor() as cursor, cursor.copy(f"COPY document_entry ({names}) FROM STDIN") as copy:
            for row in _rows(entries):
                copy.write_row(row)
        connection.execute(_SETS)
        connection.execute(_MEMBERSHIPS)
        for table in ("submission_set", "association", "document_entry"):  # the last stays in the cache
            connection.execute(f"VACUUM ANALYZE {table}")
        found = connection.execute("SELECT pg_total_relation_size('document_entry')").fetchone()
        assert found is not None
        return int(found[0])


_SET_OF: LiteralString = "md5(id::text)::uuid"
_SETS: LiteralString = f"""
    INSERT INTO submission_set (id, logical_id, version, status, unique_id, patient_id, anchor, body, registered_at,
        source_id, submission_time, author_persons)
    SELECT {_SET_OF}, {_SET_OF}, 1, 'Approved', '2.25.9' || substr(unique_id, 7), patient_id, anchor, '',
        registered_at, '2.25.60', 20250310000000, author_persons FROM document_entry"""
_MEMBERSHIPS: LiteralString = f"""
    INSERT INTO association (id, type, source, target, status, body, registered_at)
    SELECT md5(id::text || 'm')::uuid, '{AssociationType.HAS_MEMBER.value}', {_SET_OF}, id, 'Approved', '',
        registered_at FROM document_entry"""
"""What stands beside the entries, so that registering finds tables as large as in life; nobody reads their bodies."""


def _asker(
    database: Database, registry: Registry, kind: str, patients: int, return_type: str, count: int
) -> Callable[[int], None]:
    def ask(number: int) -> None:
        patient_id = _patient(kind, number * 7919 % patients)
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
        submission, _ = _submission(_patient("new", number))
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
    entry = _entry("doc", unique_id, patient_id)
    if digest is not None:
        entry = replace(entry, size=size, hash=digest)
    return Submission(submission_set=submission_set, entries=(entry,), associations=(member,)), unique_id


def _provider(database: Database, repository: Repository) -> Callable[[int], None]:
    """Provide documents of 20 kB, each to disk and registered before the next."""

    def one(number: int) -> None:
        content = b"%PDF-1.4 synthetic " + uuid4().bytes * 1250
        submission, _ = _submission(_patient("new", number), len(content), sha1(content).hexdigest())
        with database.unit(REGION) as uow:
            provide_bytes(uow, submission, {"doc": content}, repository)

    return one


def _retrieval(database: Database, repository: Repository, folder: Path, seconds: float) -> dict[str, float]:
    """MB/s of one large document, verified, beside reading a plain file of the same bytes."""
    content = uuid4().bytes * (_LARGE_BYTES // 16)
    plain = folder / "plain"
    plain.write_bytes(content)
    submission, unique_id = _submission(_patient("large", 0), len(content), sha1(content).hexdigest())
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
    parser.add_argument("-o", "--output", type=Path, help="also write the figures there")
    chosen = parser.parse_args()
    figures = [run(entries, chosen.seconds) for entries in chosen.entries]
    print(table(figures))
    report: dict[str, Any] = {"registry": figures, "published_peer": "400 submissions and 600 queries an hour"}
    if chosen.output is not None:
        chosen.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Fills a registry with synthetic entries, as many as a country has, in minutes.

Every entry is in a submission set of its own. Processes write the rows, each its share, into tables without indexes,
which are built when all stand there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise, repeat
from multiprocessing import get_context
from typing import Final, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from bench.registry_table import FEW, MANY
from ihe.values import AssigningAuthority, Code, Oid, PatientId
from xds.domain.model import AssociationType, Author, DocumentEntry, LocalizedText
from xds.store.packing import pack
from xds.store.rows import described_row
from xds.translate.ebxml_writer import body_of

_AUTHORITY = AssigningAuthority(None, Oid("2.25.2"))
_SHARE_OF_MANY = 0.05
_TEMPLATE_ID: Final = "urn:uuid:00000000-0000-4000-8000-000000000000"
_TEMPLATE_UNIQUE_ID: Final = "2.25.8.0"
_START: Final = datetime(2020, 1, 1, tzinfo=UTC)
_LINES_AT_ONCE: Final = 1000


def patients_of_few(entries: int) -> int:
    """How many patients have :data:`~bench.registry_table.FEW` of so many entries each."""
    return max(1, int(entries * (1 - _SHARE_OF_MANY)) // FEW)


def patients_of_many(entries: int) -> int:
    """How many patients have :data:`~bench.registry_table.MANY` of so many entries each."""
    return max(1, int(entries * _SHARE_OF_MANY) // MANY)


def patient(kind: str, number: int) -> PatientId:
    """A patient, of a kind (``few``, ``many``) counted from 0."""
    return PatientId(f"{kind}-{number}", _AUTHORITY)


def complete_entry(object_id: str, unique_id: str, patient_id: PatientId) -> DocumentEntry:
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
        reference_id_list=(_accession(unique_id),),
    )


def _accession(unique_id: str) -> str:
    return f"{unique_id}^^^&2.25.12&ISO^urn:ihe:iti:xds:2013:accession"


def fill(url: str, entries: int) -> int:
    """Fill the empty tables of a registry.

    Args:
        url: SQLAlchemy URL of the database.

    Returns:
        bytes of the entries with their indexes.
    """
    url = url.replace("+psycopg", "")
    writers = os.cpu_count() or 1
    bounds = list(pairwise(entries * share // writers for share in range(writers + 1)))
    with psycopg.connect(url, autocommit=True) as connection, _indexes_built_afterwards(connection, url):
        with _defaults(connection), ProcessPoolExecutor(writers, get_context("spawn")) as processes:
            list(processes.map(_copy, repeat(url), bounds, repeat(entries)))
        _each_by_itself(url, [[_SETS], [_MEMBERSHIPS]])
    _each_by_itself(url, [[f"VACUUM ANALYZE {table}"] for table in _TABLES[1:]])
    _each_by_itself(url, [["VACUUM ANALYZE document_entry", "CHECKPOINT"]])  # these stay in the cache
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT pg_total_relation_size('document_entry')").fetchone()
    assert found is not None
    return int(found[0])


_TABLES: Final[tuple[LiteralString, ...]] = ("document_entry", "submission_set", "association")
_OWN: Final = (
    "id",
    "logical_id",
    "unique_id",
    "patient_id",
    "anchor",
    "source_patient_id",
    "reference_id_list",
    "body",
    "registered_at",
)
"""Columns in which entries differ."""


def _copy(url: str, bounds: tuple[int, int], entries: int) -> None:
    statement = f"COPY document_entry ({','.join(_OWN)}) FROM STDIN"
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor().copy(statement) as copy:
        for start in range(*bounds, _LINES_AT_ONCE):
            copy.write("".join(_lines(start, min(start + _LINES_AT_ONCE, bounds[1]), entries)))


def _lines(start: int, stop: int, entries: int) -> Iterator[str]:
    """Entries in an order in which no patient's stand together, as they arrive in life."""
    few, many = patients_of_few(entries), patients_of_many(entries)
    body = body_of(complete_entry(_TEMPLATE_ID, _TEMPLATE_UNIQUE_ID, patient("few", 0)))
    # Parts of an object have its UUID with other last digits, which are the template's here.
    shared, template_unique_id = _TEMPLATE_ID[:-4].encode(), _TEMPLATE_UNIQUE_ID.encode()
    for number in range(start, stop):
        of_many, is_other = divmod(number, 20)
        cx = (patient("few", (number - of_many - 1) % few) if is_other else patient("many", of_many % many)).xds_cx
        object_id, unique_id = UUID(int=uuid4().int >> 16 << 16), f"2.25.8.{number}"
        own = body.replace(shared, object_id.urn[:-4].encode()).replace(template_unique_id, unique_id.encode())
        yield (
            f"{object_id}\t{object_id}\t{unique_id}\t{cx}\t{cx}\t{cx}\t{{{_accession(unique_id)}}}"
            f"\t\\\\x{pack(own).hex()}\t{_START + timedelta(seconds=number)}\n"
        )


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


@contextmanager
def _defaults(connection: psycopg.Connection) -> Iterator[None]:
    """In the block, columns in which entries do not differ need not be written."""
    template = complete_entry(_TEMPLATE_ID, _TEMPLATE_UNIQUE_ID, patient("few", 0))
    row = described_row(template, patient("few", 0), b"", _START) | {"status": "Approved"}
    shared = {name: value for name, value in row.items() if name not in _OWN and value is not None}
    alter = sql.SQL("ALTER TABLE document_entry ALTER COLUMN {} SET DEFAULT {}")
    for name, value in shared.items():
        connection.execute(alter.format(sql.Identifier(name), sql.Literal(value)))
    yield
    for name in shared:
        connection.execute(
            sql.SQL("ALTER TABLE document_entry ALTER COLUMN {} DROP DEFAULT").format(sql.Identifier(name))
        )


@contextmanager
def _indexes_built_afterwards(connection: psycopg.Connection, url: str) -> Iterator[None]:
    building: list[list[str]] = []
    for table in _TABLES:
        constraints = connection.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
            [table],
        ).fetchall()
        for name, _ in constraints:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        indexes = connection.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", [table])
        others = indexes.fetchall()
        for name, _ in others:
            connection.execute(f"DROP INDEX {name}")
        building.append([f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}" for name, definition in constraints])
        building[-1] += [definition for _, definition in others]
    yield
    _each_by_itself(url, building)


def _each_by_itself(url: str, work: Sequence[Sequence[str]]) -> None:
    """Run lists of statements side by side, those of a list one after the other."""

    def run(statements: Sequence[str]) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET maintenance_work_mem = '512MB'")
            for statement in statements:
                connection.execute(statement)

    with ThreadPoolExecutor(len(work)) as threads:
        list(threads.map(run, work))

"""Bulk load into the store: rows are staged by COPY, and written in one statement a table once their persons are known.

Everything happens in the caller's transaction; other writers wait until it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from mpi.domain.cleaning import Cleaned
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.search import search_names
from mpi.store import traits_json

_STAGE_COLUMNS = (
    "seq, domain, local_id, traits, cleaned, ins, ins_oid, identity_status, birth_date, sex, source_updated_at,"
    " parts, names, keys"
)
_MAINTENANCE_MEMORY = "256MB"


def lock_writers(connection: Connection) -> None:
    """Keep every other writer of records away until the end of the transaction; readers go on."""
    connection.execute(text("LOCK TABLE record IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(text(f"SET LOCAL maintenance_work_mem = '{_MAINTENANCE_MEMORY}'"))
    connection.execute(text(f"SET LOCAL work_mem = '{_MAINTENANCE_MEMORY}'"))


def known_keys(connection: Connection) -> dict[RecordKey, int]:
    """Every record, in whatever state, by name."""
    rows = connection.execute(text("SELECT domain, local_id, id FROM record"), execution_options={"yield_per": 10_000})
    return {RecordKey(row.domain, row.local_id): row.id for row in rows}


def active_forms(connection: Connection) -> Iterator[tuple[int, RecordKey, Cleaned]]:
    """The active records with their matching forms, streamed in order of id."""
    rows = connection.execute(
        text("SELECT id, domain, local_id, cleaned FROM record WHERE state = 'active' ORDER BY id"),
        execution_options={"yield_per": 10_000},
    )
    for row in rows:
        yield row.id, RecordKey(row.domain, row.local_id), Cleaned.from_json(row.cleaned)


def create_stage(connection: Connection) -> None:
    """Make the staging tables; they go with the transaction."""
    connection.execute(
        text(
            """
            CREATE TEMP TABLE bulk_row (seq bigint, domain text, local_id text, traits jsonb, cleaned jsonb, ins text,
                ins_oid text, identity_status text, birth_date text, sex text, source_updated_at timestamptz,
                parts text[], names text[], keys bigint[]) ON COMMIT DROP;
            """
        )
    )
    connection.execute(
        text(
            "CREATE TEMP TABLE bulk_link (seq bigint, person_id bigint, grade text, how text, evidence jsonb)"
            " ON COMMIT DROP"
        )
    )
    connection.execute(
        text(
            "CREATE TEMP TABLE bulk_pair (record_a bigint, record_b bigint, weight_bits double precision,"
            " evidence jsonb) ON COMMIT DROP"
        )
    )


def stage_row(
    seq: int,
    key: RecordKey,
    traits: Traits,
    cleaned: Cleaned,
    keys: Sequence[int],
    source_updated_at: datetime | None,
) -> tuple[Any, ...]:
    """One row of the staging table."""
    names = sorted(search_names(traits))
    return (
        seq,
        key.domain,
        key.local_id,
        traits_json.dumps(traits),
        traits_json.json_text(cleaned.to_json()),
        traits.ins,
        traits.ins_oid,
        str(traits.identity_status),
        traits.birth_date.iso if traits.birth_date else None,
        str(traits.sex) if traits.sex else None,
        source_updated_at,
        [part for part, _ in names],
        [name for _, name in names],
        list(keys),
    )


def copy_rows(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """COPY staged rows."""
    _copy(connection, f"COPY bulk_row ({_STAGE_COLUMNS}) FROM STDIN", rows)


def copy_links(connection: Connection, rows: Iterable[tuple[int, int, str | None, str, str]]) -> None:
    """COPY record id, person, grade, how and evidence JSON."""
    _copy(connection, "COPY bulk_link (seq, person_id, grade, how, evidence) FROM STDIN", rows)


def copy_pairs(connection: Connection, rows: Iterable[tuple[int, int, float, str]]) -> None:
    """COPY pairs of record ids (smaller first), weight and evidence JSON."""
    _copy(connection, "COPY bulk_pair (record_a, record_b, weight_bits, evidence) FROM STDIN", rows)


def _copy(connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def reserve_ids(connection: Connection, count: int) -> int:
    """Reserve consecutive record ids; returns the first."""
    last: int = connection.execute(
        text(
            "SELECT setval(pg_get_serial_sequence('record', 'id'),"
            " nextval(pg_get_serial_sequence('record', 'id')) + :count - 1)"
        ),
        {"count": count},
    ).scalar_one()
    return last - count + 1


def shift_stage(connection: Connection, by: int) -> None:
    """Turn the staged positions into record ids."""
    connection.execute(text("UPDATE bulk_row SET seq = seq + :by"), {"by": by})


def write_records(connection: Connection, *, event_id: int, now: datetime) -> None:
    """Write the staged rows as records, with names, versions and keys; their links must be staged too."""
    values = {"event_id": event_id, "now": now}
    connection.execute(text("ANALYZE bulk_link"))
    connection.execute(
        text(
            """
            INSERT INTO record (id, domain, local_id, state, person_id, grade, version, traits, cleaned, ins, ins_oid,
                identity_status, birth_date, sex, source_updated_at, created_at, updated_at)
            SELECT r.seq, r.domain, r.local_id, 'active', l.person_id, l.grade, 1, r.traits, r.cleaned, r.ins,
                r.ins_oid, r.identity_status, r.birth_date, r.sex, r.source_updated_at, :now, :now
            FROM bulk_row r JOIN bulk_link l ON l.seq = r.seq ORDER BY r.seq
            """
        ),
        values,
    )
    for statement in (
        (
            "INSERT INTO record_version (record_id, version, event_id, valid_from, source_updated_at, traits)"
            " SELECT seq, 1, :event_id, :now, source_updated_at, traits FROM bulk_row ORDER BY seq"
        ),
        (
            "INSERT INTO record_name (part, name, record_id)"
            " SELECT t.p, t.n, r.seq FROM bulk_row r, unnest(r.parts, r.names) AS t(p, n) ORDER BY 1, 2, 3"
        ),
        "INSERT INTO blocking_key (key, record_id) SELECT k, r.seq FROM bulk_row r, unnest(r.keys) AS k ORDER BY 1, 2",
    ):
        connection.execute(text(statement), values)


def write_links(connection: Connection, *, event_id: int, now: datetime, by: str) -> None:
    """Write the staged links."""
    connection.execute(
        text(
            "INSERT INTO link (record_id, person_id, grade, how, evidence, event_id, linked_by, valid_from)"
            " SELECT seq, person_id, grade, how, evidence, :event_id, :by, :now FROM bulk_link ORDER BY seq"
        ),
        {"event_id": event_id, "now": now, "by": by},
    )


def write_pairs(connection: Connection, *, model: str, now: datetime) -> None:
    """Write the staged pairs."""
    connection.execute(
        text(
            "INSERT INTO scored_pair (record_a, record_b, weight_bits, evidence, model, scored_at)"
            " SELECT record_a, record_b, weight_bits, evidence, :model, :now FROM bulk_pair ORDER BY 1, 2"
        ),
        {"model": model, "now": now},
    )


def analyze(connection: Connection) -> None:
    """Let the planner know the new sizes."""
    for table in ("record", "record_name", "blocking_key", "scored_pair", "link", "task"):
        connection.execute(text(f"ANALYZE {table}"))

"""The registry's benchmark measures tables as a registry leaves them, indexes and all."""

from __future__ import annotations

import psycopg

from bench.registry_fill import fill, patient, patients_of_few, patients_of_many
from bench.registry_table import FEW, MANY
from xds.store.packing import unpack

_SHAPE = """
    SELECT tablename || indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conrelid::regclass || conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid > 0
    UNION ALL SELECT table_name || column_name || column_default FROM information_schema.columns
        WHERE table_schema = 'public' AND column_default IS NOT NULL
    ORDER BY 1"""


def test_filling_leaves_every_index_constraint_and_default(database_url: str) -> None:
    entries = 20_000
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        before = connection.execute(_SHAPE).fetchall()
        fill(database_url, entries)
        assert connection.execute(_SHAPE).fetchall() == before
        for table in ("document_entry", "submission_set", "association"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (entries,)
        for kind, number, count in (
            ("few", patients_of_few(entries) - 1, FEW),
            ("many", patients_of_many(entries) - 1, MANY),
        ):
            found = connection.execute(
                "SELECT id::text, unique_id, body FROM document_entry WHERE anchor = %s", [patient(kind, number).xds_cx]
            ).fetchall()
            assert len(found) == count
            for object_id, unique_id, body in found:
                assert {object_id.encode(), unique_id.encode()} <= {*unpack(body).replace(b'"', b":").split(b":")}

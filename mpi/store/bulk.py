"""Bulk load into the store: rows go in by COPY, records once their persons are known.

Everything happens in the caller's transaction; other writers wait until it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Copy
from sqlalchemy import Connection, text

from mpi.domain.cleaning import Cleaned
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.search import search_names, sounds_of
from mpi.store import names, traits_json

_MAINTENANCE_MEMORY = "256MB"
_BUFFER_CHARACTERS = 1 << 18
_STAGED_ROWS = 20_000
_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_BINARY_END = b"\xff\xff"
_BINARY_ROWS = 500_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_NULL = "\\N"

Ints = NDArray[np.int64]


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


def say_nothing_new(connection: Connection, rows: Sequence[tuple[int, Traits, datetime | None]]) -> set[int]:
    """Which of some rows about records, by place, repeat what is known of an active one, or are older than that.

    Args:
        rows: id of the record, its traits, and when its source last changed them.
    """
    if not rows:
        return set()
    connection.execute(
        text("CREATE TEMP TABLE IF NOT EXISTS bulk_known (place int, id bigint, traits jsonb, at timestamptz)")
    )
    lines = (
        _line((str(place), str(record_id), traits_json.dumps(traits), at.isoformat() if at else None))
        for place, (record_id, traits, at) in enumerate(rows)
    )
    _copy_lines(connection, "COPY bulk_known FROM STDIN", lines)
    found = connection.execute(
        text(
            "SELECT k.place FROM bulk_known k JOIN record r ON r.id = k.id"
            " WHERE (r.state = 'active' AND r.traits = k.traits)"
            " OR (r.state <> 'subsumed' AND k.at < r.source_updated_at)"
        )
    ).scalars()
    places = set(found)
    connection.execute(text("DROP TABLE bulk_known"))
    return places


def next_record_id(connection: Connection) -> int:
    """The id from which new records may be numbered; nobody else takes one while writers are locked out."""
    first: int = connection.execute(text("SELECT nextval(pg_get_serial_sequence('record', 'id'))")).scalar_one()
    return first


def take_record_ids(connection: Connection, last: int) -> None:
    """Say up to which id the records were numbered."""
    connection.execute(text("SELECT setval(pg_get_serial_sequence('record', 'id'), :last)"), {"last": last})


class Stage:
    """New records on their way in: held in a table of the transaction, and under the names they are searched by.

    Rows are sent some thousands at a time; the last ones when the block ends.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[str] = []
        self._names: list[str] = []
        self._sounds: list[str] = []
        connection.execute(
            text(
                "CREATE TEMP TABLE bulk_row (id bigint, domain text, local_id text, traits jsonb, cleaned jsonb,"
                " ins text, ins_oid text, identity_status text, birth_date text, sex text, search_names text,"
                " source_updated_at timestamptz) ON COMMIT DROP"
            )
        )

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._send()

    def add(
        self, record_id: int, key: RecordKey, traits: Traits, cleaned: str, source_updated_at: datetime | None
    ) -> None:
        """Stage one record.

        Args:
            cleaned: its matching form as JSON.
        """
        found_by = sorted(search_names(traits))
        values = (
            str(record_id),
            key.domain,
            key.local_id,
            traits_json.dumps(traits),
            cleaned,
            traits.ins,
            traits.ins_oid,
            str(traits.identity_status),
            traits.birth_date.iso if traits.birth_date else None,
            str(traits.sex) if traits.sex else None,
            names.lines(found_by),
            source_updated_at.isoformat() if source_updated_at else None,
        )
        self._rows.append(_line(values))
        self._names += [f"{part}\t{name}\t{record_id}\n" for part, name in found_by]
        self._sounds += [f"{part}\t{each}\t{record_id}\n" for part, each in sounds_of(found_by)]
        if len(self._rows) >= _STAGED_ROWS:
            self._send()

    def _send(self) -> None:
        _copy_lines(self._connection, "COPY bulk_row FROM STDIN", self._rows)
        _copy_lines(self._connection, "COPY record_name (part, name, record_id) FROM STDIN", self._names)
        _copy_lines(self._connection, "COPY record_sound (part, sound, record_id) FROM STDIN", self._sounds)
        self._rows, self._names, self._sounds = [], [], []


def write_records(
    connection: Connection,
    ids: Ints,
    persons: Ints,
    grades: Iterable[str | None],
    *,
    event_id: int,
    now: datetime,
) -> None:
    """Write the staged records, each with its person and the grade of its link, and their first versions."""
    connection.execute(text("CREATE TEMP TABLE bulk_person (id bigint, person_id bigint, grade text) ON COMMIT DROP"))
    rows = zip(ids.tolist(), persons.tolist(), grades, strict=True)
    lines = (f"{record_id}\t{person_id}\t{grade or _NULL}\n" for record_id, person_id, grade in rows)
    _copy_lines(connection, "COPY bulk_person FROM STDIN", lines)
    for table in ("bulk_row", "bulk_person"):
        connection.execute(text(f"ANALYZE {table}"))
    connection.execute(
        text(
            """
            INSERT INTO record (id, domain, local_id, state, person_id, grade, version, traits, cleaned, ins, ins_oid,
                identity_status, birth_date, sex, search_names, source_updated_at, created_at, updated_at)
            SELECT r.id, r.domain, r.local_id, 'active', p.person_id, p.grade, 1, r.traits, r.cleaned, r.ins,
                r.ins_oid, r.identity_status, r.birth_date, r.sex, r.search_names, r.source_updated_at, :now, :now
            FROM bulk_row r JOIN bulk_person p ON p.id = r.id
            """
        ),
        {"now": now},
    )
    connection.execute(
        text(
            "INSERT INTO record_version (record_id, version, event_id, valid_from, source_updated_at, traits)"
            " SELECT id, 1, :event_id, :now, source_updated_at, traits FROM bulk_row"
        ),
        {"event_id": event_id, "now": now},
    )


def write_keys(connection: Connection, keys: Ints, record_ids: Ints) -> None:
    """Write the blocking keys of records; fastest in order of key."""
    row = np.dtype([("fields", ">i2"), ("b1", ">i4"), ("key", ">i8"), ("b2", ">i4"), ("record_id", ">i8")])
    with _copying(connection, "COPY blocking_key (key, record_id) FROM STDIN (FORMAT binary)") as copy:
        copy.write(_BINARY_HEADER)
        for begin in range(0, len(keys), _BINARY_ROWS):
            part = slice(begin, begin + _BINARY_ROWS)
            rows = np.empty(len(keys[part]), dtype=row)
            rows["fields"], rows["b1"], rows["b2"] = 2, 8, 8
            rows["key"], rows["record_id"] = keys[part], record_ids[part]
            copy.write(rows.tobytes())
        copy.write(_BINARY_END)


LinkRow = tuple[int, int, str | None, str, str]
"""Record, person, grade (``None`` for a record alone), how, evidence as JSON."""
PairRow = tuple[int, int, float, str]
"""Smaller and larger record id, weight in bits, evidence as JSON."""


def copy_links(
    connection: Connection, rows: Iterable[LinkRow], *, model: str, event_id: int, now: datetime, by: str
) -> None:
    """Write the links in force of new records.

    Args:
        model: version of the one that decided about those who are not alone.
    """
    common = f"{event_id}\t{escaped(by)}\t{now.isoformat()}\n"
    lines = (
        f"{record_id}\t{person_id}\t{grade or _NULL}\t{how}\t{escaped(evidence)}\t{model if grade else _NULL}\t{common}"
        for record_id, person_id, grade, how, evidence in rows
    )
    columns = "record_id, person_id, grade, how, evidence, model, event_id, linked_by, valid_from"
    _copy_lines(connection, f"COPY link ({columns}) FROM STDIN", lines)


def copy_pairs(connection: Connection, rows: Iterable[PairRow], *, model: str, now: datetime) -> None:
    """Write scored pairs; fastest in order."""
    common = f"{model}\t{now.isoformat()}\n"
    lines = (f"{a}\t{b}\t{bits!r}\t{escaped(evidence)}\t{common}" for a, b, bits, evidence in rows)
    columns = "record_a, record_b, weight_bits, evidence, model, scored_at"
    _copy_lines(connection, f"COPY scored_pair ({columns}) FROM STDIN", lines)


RECORD_TABLES, LINK_TABLES = ("record", "record_name", "record_sound", "blocking_key"), ("scored_pair", "link", "task")


def analyze(connection: Connection, tables: Iterable[str] = (*RECORD_TABLES, *LINK_TABLES)) -> None:
    """Let the planner know the new sizes."""
    for table in tables:
        connection.execute(text(f"ANALYZE {table}"))


def _line(values: Iterable[str | None]) -> str:
    return "\t".join([_NULL if value is None else escaped(value) for value in values]) + "\n"


def escaped(value: str) -> str:
    """A value as COPY reads it; nearly none needs it, and to see that is quicker than to translate."""
    return value if value.isprintable() and "\\" not in value else value.translate(_ESCAPES)


def _copy_lines(connection: Connection, statement: str, lines: Iterable[str]) -> None:
    """COPY lines of the text format, many in one message."""
    with _copying(connection, statement) as copy:
        waiting: list[str] = []
        size = 0
        for line in lines:
            waiting.append(line)
            size += len(line)
            if size >= _BUFFER_CHARACTERS:
                copy.write("".join(waiting))
                waiting, size = [], 0
        copy.write("".join(waiting))


@contextmanager
def _copying(connection: Connection, statement: str) -> Iterator[Copy]:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        yield copy

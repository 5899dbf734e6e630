"""Records and their versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from mpi.domain.cleaning import Cleaned
from mpi.domain.identity import RecordKey, Traits
from mpi.domain.record import Record, RecordState
from mpi.domain.search import search_names, sounds_of
from mpi.store import names, traits_json
from mpi.store.hiding import is_hidden

COLUMNS = f"""r.id, r.domain, r.local_id, r.state, r.person_id, r.grade, r.merged_into, r.version, r.traits,
    r.created_at, r.source_updated_at, {is_hidden("r")} AS is_hidden, r.opposes_indexing"""


def from_row(row: Row[Any]) -> Record:
    """A record from a row of :data:`COLUMNS`."""
    return Record(
        id=row.id,
        key=RecordKey(row.domain, row.local_id),
        state=RecordState(row.state),
        person_id=row.person_id,
        grade=row.grade,
        merged_into=row.merged_into,
        version=row.version,
        traits=traits_json.from_json(row.traits),
        created_at=row.created_at,
        source_updated_at=row.source_updated_at,
        is_hidden=row.is_hidden,
        opposes_indexing=row.opposes_indexing,
    )


_BY_KEY = text(f"SELECT {COLUMNS} FROM record r WHERE r.domain = :domain AND r.local_id = :local_id")
_BY_IDS = text(f"SELECT {COLUMNS} FROM record r WHERE r.id = ANY(:ids) ORDER BY r.id")
_BY_PERSON = text(f"SELECT {COLUMNS} FROM record r WHERE r.person_id = ANY(:persons) ORDER BY r.id")
_BY_INS = text(
    f"SELECT {COLUMNS} FROM record r WHERE left(r.ins, 13) = left(:ins, 13) AND r.ins_oid = :oid"
    " AND r.state = 'active' ORDER BY r.id"
)


def by_key(connection: Connection, key: RecordKey) -> Record | None:
    """The record of a local id, in whatever state."""
    row = connection.execute(_BY_KEY, {"domain": key.domain, "local_id": key.local_id}).one_or_none()
    return from_row(row) if row else None


def by_ids(connection: Connection, ids: Iterable[int]) -> list[Record]:
    """Records by internal id, in that order of id."""
    return [from_row(row) for row in connection.execute(_BY_IDS, {"ids": list(ids)})]


def by_persons(connection: Connection, persons: Iterable[int]) -> list[Record]:
    """All records (active, subsumed, withdrawn) of some persons, ordered by id."""
    return [from_row(row) for row in connection.execute(_BY_PERSON, {"persons": list(persons)})]


def by_ins(connection: Connection, ins: str, oid: str) -> list[Record]:
    """Active records that carry an INS (its first 13 characters decide; the key is optional)."""
    return [from_row(row) for row in connection.execute(_BY_INS, {"ins": ins, "oid": oid})]


_NAMES = """names AS (
        INSERT INTO record_name (part, name, record_id) SELECT t.p, t.n, written.id
        FROM written, unnest(CAST(:parts AS text[]), CAST(:names AS text[])) AS t(p, n)
    ), sounds AS (
        INSERT INTO record_sound (part, sound, record_id) SELECT t.p, t.s, written.id
        FROM written, unnest(CAST(:sound_parts AS text[]), CAST(:sounds AS text[])) AS t(p, s)
    )"""
_VERSION = """versions AS (
        INSERT INTO record_version (record_id, version, event_id, valid_from, source_updated_at, traits)
        SELECT id, version, :event_id, :now, CAST(:source_updated_at AS timestamptz), CAST(:traits AS jsonb)
        FROM written
    )"""
_INSERT = text(
    f"""
    WITH written AS (
        INSERT INTO record (id, domain, local_id, state, merged_into, person_id, grade, version, traits, cleaned, ins,
            ins_oid, identity_status, birth_date, sex, search_names, source_updated_at, created_at, updated_at)
        SELECT n, :domain, :local_id, :state, CAST(:merged_into AS bigint), coalesce(CAST(:person_id AS bigint), n),
            NULL, 1, CAST(:traits AS jsonb), CAST(:cleaned AS jsonb), :ins, :ins_oid, :identity_status, :birth_date,
            :sex, :search_names, CAST(:source_updated_at AS timestamptz), :now, :now
        FROM nextval(pg_get_serial_sequence('record', 'id')) AS n
        RETURNING id, version
    ), keys AS (
        INSERT INTO blocking_key (key, record_id) SELECT k, written.id
        FROM written, unnest(CAST(:keys AS bigint[])) AS k
    ), {_NAMES}, {_VERSION}
    SELECT id FROM written
    """
)
_NAMES_DELETE = text(
    "WITH sounds AS (DELETE FROM record_sound WHERE record_id = :id) DELETE FROM record_name WHERE record_id = :id"
)
_UPDATE = text(
    f"""
    WITH written AS (
        UPDATE record SET version = version + 1, traits = CAST(:traits AS jsonb), cleaned = CAST(:cleaned AS jsonb),
            ins = :ins, ins_oid = :ins_oid, identity_status = :identity_status,
            birth_date = :birth_date, sex = :sex, search_names = :search_names, updated_at = :now,
            source_updated_at = CAST(:source_updated_at AS timestamptz)
        WHERE id = :id RETURNING id, version
    ), {_NAMES}, {_VERSION}
    SELECT id FROM written
    """
)


def _traits_columns(traits: Traits, cleaned: Cleaned, source_updated_at: datetime | None) -> dict[str, Any]:
    found_by = sorted(search_names(traits))
    sounds = sorted(sounds_of(found_by))
    return {
        "parts": [part for part, _ in found_by],
        "names": [name for _, name in found_by],
        "sound_parts": [part for part, _ in sounds],
        "sounds": [each for _, each in sounds],
        "traits": traits_json.dumps(traits),
        "cleaned": traits_json.json_text(cleaned.to_json()),
        "ins": traits.ins,
        "ins_oid": traits.ins_oid,
        "identity_status": str(traits.identity_status),
        "birth_date": traits.birth_date.iso if traits.birth_date else None,
        "sex": str(traits.sex) if traits.sex else None,
        "search_names": names.lines(found_by),
        "source_updated_at": source_updated_at,
    }


def insert(
    connection: Connection,
    key: RecordKey,
    traits: Traits,
    cleaned: Cleaned,
    *,
    event_id: int,
    now: datetime,
    source_updated_at: datetime | None = None,
    state: RecordState = RecordState.ACTIVE,
    merged_into: Record | None = None,
    keys: Sequence[int] = (),
) -> int:
    """Create a record, founder of its own person unless it is born subsumed; returns its id.

    Args:
        keys: blocking keys under which it is found; each once.
    """
    record_id: int = connection.execute(
        _INSERT,
        {
            "domain": key.domain,
            "local_id": key.local_id,
            "state": str(state),
            "merged_into": merged_into.id if merged_into else None,
            "person_id": merged_into.person_id if merged_into else None,
            "event_id": event_id,
            "now": now,
            "keys": list(keys),
            **_traits_columns(traits, cleaned, source_updated_at),
        },
    ).scalar_one()
    return record_id


def update(
    connection: Connection,
    record_id: int,
    traits: Traits,
    cleaned: Cleaned,
    *,
    event_id: int,
    now: datetime,
    source_updated_at: datetime | None,
) -> None:
    """Replace the traits of a record and keep the former ones as a version."""
    connection.execute(_NAMES_DELETE, {"id": record_id})
    columns = _traits_columns(traits, cleaned, source_updated_at)
    connection.execute(_UPDATE, {"id": record_id, "event_id": event_id, "now": now, **columns}).scalar_one()


def version_of(connection: Connection, record_id: int, version: int) -> tuple[Traits, datetime | None]:
    """Traits and source time of one version; ``KeyError`` when there is none."""
    row = connection.execute(
        text("SELECT traits, source_updated_at FROM record_version WHERE record_id = :id AND version = :version"),
        {"id": record_id, "version": version},
    ).one_or_none()
    if row is None:
        raise KeyError((record_id, version))
    return traits_json.from_json(row.traits), row.source_updated_at


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a record: from when it held, when the source stated it, and who sent or undid it."""

    version: int
    valid_from: datetime
    source_updated_at: datetime | None
    traits: Traits
    kind: str
    caller: str


def latest_versions(connection: Connection, ids: Iterable[int], most: int) -> dict[int, list[Version]]:
    """The latest states of some records, by record, latest first."""
    rows = connection.execute(
        text(
            "SELECT v.*, e.kind, e.caller FROM unnest(CAST(:ids AS bigint[])) AS wanted(id), LATERAL ("
            " SELECT record_id, version, valid_from, source_updated_at, traits, event_id FROM record_version"
            " WHERE record_id = wanted.id ORDER BY version DESC LIMIT :most) AS v"
            " JOIN identity_event e ON e.id = v.event_id ORDER BY v.record_id, v.version DESC"
        ),
        {"ids": list(ids), "most": most},
    )
    found: dict[int, list[Version]] = {}
    for row in rows:
        told = Version(
            row.version, row.valid_from, row.source_updated_at, traits_json.from_json(row.traits), row.kind, row.caller
        )
        found.setdefault(row.record_id, []).append(told)
    return found


def version_at(connection: Connection, record_id: int, moment: datetime) -> tuple[Traits, datetime | None]:
    """Traits and source time of a record at a moment; the first state for a moment before it arrived."""
    row = connection.execute(
        text(
            "SELECT traits, source_updated_at FROM record_version WHERE record_id = :id"
            " ORDER BY (valid_from <= :moment) DESC, CASE WHEN valid_from <= :moment THEN -version ELSE version END"
            " LIMIT 1"
        ),
        {"id": record_id, "moment": moment},
    ).one()
    return traits_json.from_json(row.traits), row.source_updated_at


_WITH_CLEANED = text(f"SELECT {COLUMNS}, r.cleaned FROM record r WHERE r.id = ANY(:ids) ORDER BY r.id")
_KEYS_OF_PERSONS = text(
    "SELECT person_id, domain, local_id FROM record WHERE person_id = ANY(:persons) AND state = 'active'"
    " ORDER BY domain, local_id"
)


def with_cleaned(connection: Connection, ids: Iterable[int]) -> list[tuple[Record, Cleaned]]:
    """Records with their matching forms, in order of id."""
    rows = connection.execute(_WITH_CLEANED, {"ids": list(ids)})
    return [(from_row(row), Cleaned.from_json(row.cleaned)) for row in rows]


def keys_of_persons(connection: Connection, persons: Iterable[int]) -> dict[int, list[RecordKey]]:
    """The active records of some persons by name, in order."""
    found: dict[int, list[RecordKey]] = {}
    for row in connection.execute(_KEYS_OF_PERSONS, {"persons": list(persons)}):
        found.setdefault(row.person_id, []).append(RecordKey(row.domain, row.local_id))
    return found


def set_state(
    connection: Connection, record_id: int, state: RecordState, merged_into: int | None, now: datetime
) -> None:
    """Make a record active, subsumed (with its survivor) or withdrawn."""
    connection.execute(
        text("UPDATE record SET state = :state, merged_into = :merged_into, updated_at = :now WHERE id = :id"),
        {"id": record_id, "state": str(state), "merged_into": merged_into, "now": now},
    )


def rename(connection: Connection, record_id: int, key: RecordKey, now: datetime) -> None:
    """Give a record another local id."""
    connection.execute(
        text("UPDATE record SET domain = :domain, local_id = :local_id, updated_at = :now WHERE id = :id"),
        {"id": record_id, "domain": key.domain, "local_id": key.local_id, "now": now},
    )


def swap_keys(connection: Connection, first: Record, second: Record, now: datetime) -> None:
    """Let two records of one domain exchange their local ids (unique at every moment)."""
    rename(connection, second.id, RecordKey(second.key.domain, f"\x01{second.id}"), now)
    rename(connection, first.id, second.key, now)
    rename(connection, second.id, first.key, now)


def cleaned_by_ids(connection: Connection, ids: Sequence[int]) -> dict[int, Cleaned]:
    """The matching forms of some records."""
    rows = connection.execute(text("SELECT id, cleaned FROM record WHERE id = ANY(:ids)"), {"ids": list(ids)})
    return {row.id: Cleaned.from_json(row.cleaned) for row in rows}


def all_links(connection: Connection) -> Iterator[tuple[str, str, int]]:
    """Domain, local id and person of every active record, streamed in a stable order."""
    query = text("SELECT domain, local_id, person_id FROM record WHERE state = 'active' ORDER BY domain, local_id")
    rows = connection.execute(query, execution_options={"yield_per": 5000})
    for row in rows:
        yield row.domain, row.local_id, row.person_id


def count_active(connection: Connection) -> tuple[int, int]:
    """How many records are active, and of how many persons."""
    row = connection.execute(
        text("SELECT count(*) AS records, count(DISTINCT person_id) AS persons FROM record WHERE state = 'active'")
    ).one()
    return row.records, row.persons

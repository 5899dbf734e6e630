"""Finds objects by owner and criteria, in one statement each.

An answer may hold thousands of objects, so the statements are handed to the driver as text, and its rows, read in
binary, become objects at once.

Source: ITI TF-2: 3.18.4.1.2.3.7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

import psycopg
from sqlalchemy import Connection, literal_column

from xds.domain.criteria import DocumentCriteria, FolderCriteria, Groups, Period, SetCriteria
from xds.domain.registered import RegisteredEntry, RegisteredFolder, RegisteredObject, RegisteredSet
from xds.store import rows
from xds.store.columns import ENTRY_COLUMNS, FOLDER_COLUMNS, SET_COLUMNS, as_text, urn
from xds.store.packing import unpack
from xds.store.tables import STATUS_URNS, document_entry

Anchors = Collection[str] | None
"""Patient identifiers (CX) whose objects are wanted; ``None`` for those of everybody."""

Condition = tuple[str, tuple[Any, ...]]
"""What must hold of an object, as SQL with the values of its parameters."""

Found = TypeVar("Found", bound=RegisteredObject)

_ENTRIES: Final = as_text(ENTRY_COLUMNS)
_SETS: Final = as_text(SET_COLUMNS)
_FOLDERS: Final = as_text(FOLDER_COLUMNS)
_IDS: Final = as_text((urn(document_entry.c.id), document_entry.c.home))
_FACTS: Final = as_text(
    (
        urn(document_entry.c.id),
        document_entry.c.home,
        document_entry.c.unique_id,
        document_entry.c.anchor,
        document_entry.c.patient_id,
        document_entry.c.confidentiality_codes,
    )
)
_STATUS_THEN: Final = "past.status"
_ENTRIES_THEN: Final = as_text(
    literal_column(_STATUS_THEN) if each is document_entry.c.status else each for each in ENTRY_COLUMNS
)
_THEN: Final = """document_entry CROSS JOIN LATERAL (SELECT coalesce((
    SELECT c.status FROM status_change c WHERE c.object_id = document_entry.id AND c.at <= %s ORDER BY c.id DESC LIMIT 1
    ), 'Approved') AS status) AS past"""


def find_entries(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[RegisteredEntry]:
    """Entries in the order of registration, at most ``limit``."""
    conditions = [*_owned(anchors), *_entry_conditions(criteria)]
    return _objects(RegisteredEntry, _found(connection, _ENTRIES, "document_entry", conditions, limit))


def find_entry_ids(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[tuple[str, str | None]]:
    """As :func:`find_entries`, only id and home."""
    conditions = [*_owned(anchors), *_entry_conditions(criteria)]
    return _found(connection, _IDS, "document_entry", conditions, limit)


def find_entry_facts(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[tuple[str, str | None, str, str, str, list[str]]]:
    """As :func:`find_entry_ids`, with uniqueId, anchor, patient identifier and confidentiality codes of each."""
    conditions = [*_owned(anchors), *_entry_conditions(criteria)]
    return _found(connection, _FACTS, "document_entry", conditions, limit)


def find_entries_on(
    connection: Connection, anchors: Collection[str], criteria: DocumentCriteria, moment: datetime, limit: int
) -> list[RegisteredEntry]:
    """The entries that :func:`find_entries` found at a past moment, with the status they had then."""
    conditions: list[Condition] = [
        *_owned(anchors),
        ("document_entry.registered_at <= %s", (moment,)),
        *_entry_conditions(criteria, _STATUS_THEN),
    ]
    return _objects(RegisteredEntry, _found(connection, _ENTRIES_THEN, _THEN, conditions, limit, moment))


def entries_among(connection: Connection, ids: Collection[str], criteria: DocumentCriteria) -> list[RegisteredEntry]:
    """Those of the named entries that fit, in the order of registration."""
    conditions = [_named(ids), *_entry_conditions(criteria)]
    return _objects(RegisteredEntry, _found(connection, _ENTRIES, "document_entry", conditions))


def find_sets(connection: Connection, anchors: Anchors, criteria: SetCriteria, limit: int) -> list[RegisteredSet]:
    """Submission sets in the order of registration, at most ``limit``."""
    conditions = [*_owned(anchors), *_set_conditions(criteria)]
    return _objects(RegisteredSet, _found(connection, _SETS, "submission_set", conditions, limit))


def sets_among(connection: Connection, ids: Collection[str], criteria: SetCriteria) -> list[RegisteredSet]:
    """Those of the named submission sets that fit, in the order of registration."""
    conditions = [_named(ids), *_set_conditions(criteria)]
    return _objects(RegisteredSet, _found(connection, _SETS, "submission_set", conditions))


def find_folders(
    connection: Connection, anchors: Anchors, criteria: FolderCriteria, limit: int
) -> list[RegisteredFolder]:
    """Folders in the order of registration, at most ``limit``."""
    conditions = [*_owned(anchors), *_folder_conditions(criteria)]
    return _objects(RegisteredFolder, _found(connection, _FOLDERS, "folder", conditions, limit))


def _found(
    connection: Connection,
    columns: str,
    source: str,
    conditions: Iterable[Condition],
    limit: int | None = None,
    *of_source: Any,
) -> list[Any]:
    """The rows that meet all conditions, in the order of registration; ``of_source``: parameters of ``source``."""
    required = list(conditions)
    statement = (
        f"SELECT {columns} FROM {source} WHERE {' AND '.join([condition for condition, _ in required])}"
        " ORDER BY registered_at, {table}.id LIMIT %s::bigint"
    ).replace("{table}", source.partition(" ")[0])
    parameters = [*of_source, *(value for _, values in required for value in values), limit]
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    with driver.cursor(binary=True) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def _objects(kind: type[Found], found: Iterable[tuple[Any, ...]]) -> list[Found]:
    return [
        kind(own, logical, version, STATUS_URNS[status], unique, patient, anchor, home, partial(unpack, body), *rest)
        for own, logical, version, status, unique, patient, anchor, home, body, *rest in found
    ]


def _owned(anchors: Anchors) -> Iterator[Condition]:
    if anchors is not None:
        yield "anchor = ANY(%s::text[])", (sorted(anchors),)


def _named(ids: Iterable[str]) -> Condition:
    return "id = ANY(%s::uuid[])", ([rows.to_uuid(each) for each in ids],)


def _entry_conditions(criteria: DocumentCriteria, status: str = "status") -> Iterator[Condition]:
    yield _one_of(status, criteria.statuses)
    if criteria.on_demand is not None:
        yield "on_demand" if criteria.on_demand else "NOT on_demand", ()
    for column, wanted in (
        ("class_code", criteria.class_codes),
        ("type_code", criteria.type_codes),
        ("format_code", criteria.format_codes),
        ("practice_setting_code", criteria.practice_setting_codes),
        ("healthcare_facility_type_code", criteria.healthcare_facility_type_codes),
        ("document_availability", criteria.document_availabilities),
    ):
        if wanted:
            yield _one_of(column, wanted)
    yield from _overlaps("event_code_list", criteria.event_codes)
    yield from _overlaps("confidentiality_codes", criteria.confidentiality_codes)
    for alternatives in criteria.reference_ids:
        yield _like("reference_id_list", alternatives)
    if criteria.author_persons:
        yield _like("author_persons", criteria.author_persons)
    for bound, values in _within("creation_time", criteria.creation_time):
        yield f"(on_demand OR {bound})", values
    yield from _within("service_start_time", criteria.service_start_time)
    yield from _within("service_stop_time", criteria.service_stop_time)


def _set_conditions(criteria: SetCriteria) -> Iterator[Condition]:
    yield _one_of("status", criteria.statuses)
    if criteria.source_ids:
        yield _one_of("source_id", criteria.source_ids)
    if criteria.content_types:
        yield _one_of("content_type_code", criteria.content_types)
    if criteria.author_person is not None:
        yield _like("author_persons", (criteria.author_person,))
    yield from _within("submission_time", criteria.submission_time)


def _folder_conditions(criteria: FolderCriteria) -> Iterator[Condition]:
    yield _one_of("status", criteria.statuses)
    yield from _overlaps("codes", criteria.codes)
    if criteria.last_update_time.start is not None:
        yield "last_update_time >= %s", (_moment(criteria.last_update_time.start),)
    if criteria.last_update_time.stop is not None:
        yield "last_update_time < %s", (_moment(criteria.last_update_time.stop),)


def _moment(number: int) -> datetime:
    return datetime.strptime(f"{number:014d}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _within(column: str, period: Period) -> Iterator[Condition]:
    if period.start is not None:
        yield f"{column} >= %s", (period.start,)
    if period.stop is not None:
        yield f"{column} < %s", (period.stop,)


def _one_of(column: str, wanted: Collection[str]) -> Condition:
    return f"{column} = ANY(%s::text[])", (list(wanted),)


def _overlaps(column: str, groups: Groups) -> Iterator[Condition]:
    for alternatives in groups:
        yield f"{column} && %s::text[]", (list(alternatives),)


def _like(column: str, patterns: Collection[str]) -> Condition:
    """Whether an element of the array equals a pattern or, where it holds wildcards, matches it."""
    plain = [pattern for pattern in patterns if not _has_wildcard(pattern)]
    wild = [pattern.replace("\\", "\\\\") for pattern in patterns if _has_wildcard(pattern)]
    equal = f"{column} && %s::text[]"
    like = f"EXISTS (SELECT FROM unnest({column}) AS value WHERE value LIKE ANY(%s::text[]))"
    if plain and wild:
        return f"({equal} OR {like})", (plain, wild)
    return (like, (wild,)) if wild else (equal, (plain,))


def _has_wildcard(pattern: str) -> bool:
    return "%" in pattern or "_" in pattern

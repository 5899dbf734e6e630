"""Finds objects by owner and criteria, in one statement each.

Source: ITI TF-2: 3.18.4.1.2.3.7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY

from xds.domain.criteria import DocumentCriteria, FolderCriteria, Groups, Period, SetCriteria
from xds.domain.registered import RegisteredEntry, RegisteredFolder, RegisteredSet
from xds.store import rows
from xds.store.columns import CONFIDENTIALITY_CODES, ENTRY_COLUMNS, FOLDER_COLUMNS, SET_COLUMNS, urn
from xds.store.tables import Status, document_entry, folder, status_change, submission_set

Anchors = Collection[str] | None
"""Patient identifiers (CX) whose objects are wanted; ``None`` for those of everybody."""


def find_entries(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[RegisteredEntry]:
    """Entries in the order of registration, at most ``limit``."""
    statement = _restrict(select(*ENTRY_COLUMNS), document_entry, anchors, _entry_conditions(criteria), limit)
    return [RegisteredEntry(*row) for row in connection.execute(statement).all()]


def find_entry_ids(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[tuple[str, str | None]]:
    """As :func:`find_entries`, only id and home."""
    columns = urn(document_entry.c.id), document_entry.c.home
    statement = _restrict(select(*columns), document_entry, anchors, _entry_conditions(criteria), limit)
    return [(entry_id, home) for entry_id, home in connection.execute(statement).all()]


def find_entry_facts(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[tuple[str, str | None, tuple[str, str, str, tuple[str, ...]]]]:
    """As :func:`find_entry_ids`, with uniqueId, anchor, patient identifier and confidentiality codes of each."""
    columns = document_entry.c
    wanted = urn(columns.id), columns.home, columns.unique_id, columns.anchor, columns.patient_id
    statement = select(*wanted, CONFIDENTIALITY_CODES)
    statement = _restrict(statement, document_entry, anchors, _entry_conditions(criteria), limit)
    return [(row[0], row[1], (row[2], row[3], row[4], tuple(row[5]))) for row in connection.execute(statement).all()]


def find_entries_on(
    connection: Connection, anchors: Collection[str], criteria: DocumentCriteria, moment: datetime, limit: int
) -> list[RegisteredEntry]:
    """The entries that :func:`find_entries` found at a past moment, with the status they had then."""
    latest = (
        select(status_change.c.status)
        .where(status_change.c.object_id == document_entry.c.id, status_change.c.at <= moment)
        .order_by(status_change.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    then = type_coerce(func.coalesce(latest, "Approved"), Status)
    columns = [then.label("status") if each is document_entry.c.status else each for each in ENTRY_COLUMNS]
    conditions = [
        _one_of(then, criteria.statuses),
        document_entry.c.registered_at <= moment,
        *_entry_conditions(replace(criteria, statuses=("Approved", "Deprecated"))),
    ]
    statement = _restrict(select(*columns), document_entry, anchors, iter(conditions), limit)
    return [RegisteredEntry(*row) for row in connection.execute(statement).all()]


def entries_among(connection: Connection, ids: Collection[str], criteria: DocumentCriteria) -> list[RegisteredEntry]:
    """Those of the named entries that fit, in the order of registration."""
    statement = select(*ENTRY_COLUMNS).where(
        document_entry.c.id.in_([rows.to_uuid(each) for each in ids]), *_entry_conditions(criteria)
    )
    ordered = statement.order_by(document_entry.c.registered_at, document_entry.c.id)
    return [RegisteredEntry(*row) for row in connection.execute(ordered).all()]


def find_sets(connection: Connection, anchors: Anchors, criteria: SetCriteria, limit: int) -> list[RegisteredSet]:
    """Submission sets in the order of registration, at most ``limit``."""
    statement = _restrict(select(*SET_COLUMNS), submission_set, anchors, _set_conditions(criteria), limit)
    return [RegisteredSet(*row) for row in connection.execute(statement).all()]


def sets_among(connection: Connection, ids: Collection[str], criteria: SetCriteria) -> list[RegisteredSet]:
    """Those of the named submission sets that fit, in the order of registration."""
    statement = select(*SET_COLUMNS).where(
        submission_set.c.id.in_([rows.to_uuid(each) for each in ids]), *_set_conditions(criteria)
    )
    ordered = statement.order_by(submission_set.c.registered_at, submission_set.c.id)
    return [RegisteredSet(*row) for row in connection.execute(ordered).all()]


def find_folders(
    connection: Connection, anchors: Anchors, criteria: FolderCriteria, limit: int
) -> list[RegisteredFolder]:
    """Folders in the order of registration, at most ``limit``."""
    statement = _restrict(select(*FOLDER_COLUMNS), folder, anchors, _folder_conditions(criteria), limit)
    return [RegisteredFolder(*row) for row in connection.execute(statement).all()]


def _restrict(
    statement: Select[Any], table: Table, anchors: Anchors, conditions: Iterator[ColumnElement[bool]], limit: int
) -> Select[Any]:
    if anchors is not None:
        statement = statement.where(table.c.anchor == func.any(_texts(sorted(anchors))))
    return statement.where(*conditions).order_by(table.c.registered_at, table.c.id).limit(limit)


def _entry_conditions(criteria: DocumentCriteria) -> Iterator[ColumnElement[bool]]:
    columns = document_entry.c
    yield _one_of(columns.status, criteria.statuses)
    if criteria.on_demand is not None:
        yield columns.on_demand.is_(criteria.on_demand)
    for column, wanted in (
        (columns.class_code, criteria.class_codes),
        (columns.type_code, criteria.type_codes),
        (columns.format_code, criteria.format_codes),
        (columns.practice_setting_code, criteria.practice_setting_codes),
        (columns.healthcare_facility_type_code, criteria.healthcare_facility_type_codes),
        (columns.document_availability, criteria.document_availabilities),
    ):
        if wanted:
            yield _one_of(column, wanted)
    yield from _overlaps(columns.event_code_list, criteria.event_codes)
    yield from _overlaps(columns.confidentiality_codes, criteria.confidentiality_codes)
    for alternatives in criteria.reference_ids:
        yield _like(columns.reference_id_list, alternatives)
    if criteria.author_persons:
        yield _like(columns.author_persons, criteria.author_persons)
    for bound in _within(columns.creation_time, criteria.creation_time):
        yield or_(columns.on_demand, bound)
    yield from _within(columns.service_start_time, criteria.service_start_time)
    yield from _within(columns.service_stop_time, criteria.service_stop_time)


def _set_conditions(criteria: SetCriteria) -> Iterator[ColumnElement[bool]]:
    columns = submission_set.c
    yield _one_of(columns.status, criteria.statuses)
    if criteria.source_ids:
        yield _one_of(columns.source_id, criteria.source_ids)
    if criteria.content_types:
        yield _one_of(columns.content_type_code, criteria.content_types)
    if criteria.author_person is not None:
        yield _like(columns.author_persons, (criteria.author_person,))
    yield from _within(columns.submission_time, criteria.submission_time)


def _folder_conditions(criteria: FolderCriteria) -> Iterator[ColumnElement[bool]]:
    columns = folder.c
    yield _one_of(columns.status, criteria.statuses)
    yield from _overlaps(columns.codes, criteria.codes)
    if criteria.last_update_time.start is not None:
        yield columns.last_update_time >= _moment(criteria.last_update_time.start)
    if criteria.last_update_time.stop is not None:
        yield columns.last_update_time < _moment(criteria.last_update_time.stop)


def _moment(number: int) -> datetime:
    return datetime.strptime(f"{number:014d}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _within(column: ColumnElement[Any], period: Period) -> Iterator[ColumnElement[bool]]:
    if period.start is not None:
        yield column >= period.start
    if period.stop is not None:
        yield column < period.stop


def _one_of(column: ColumnElement[Any], wanted: Collection[str]) -> ColumnElement[bool]:
    return column == func.any(_texts(wanted))


def _overlaps(column: ColumnElement[Any], groups: Groups) -> Iterator[ColumnElement[bool]]:
    for alternatives in groups:
        yield column.op("&&")(_texts(alternatives))


def _like(column: ColumnElement[Any], patterns: Collection[str]) -> ColumnElement[bool]:
    """Whether an element of the array equals a pattern or, where it holds wildcards, matches it."""
    plain = [pattern for pattern in patterns if not _has_wildcard(pattern)]
    conditions: list[ColumnElement[bool]] = []
    if plain:
        conditions.append(column.op("&&")(_texts(plain)))
    wild = [pattern.replace("\\", "\\\\") for pattern in patterns if _has_wildcard(pattern)]
    if wild:
        values = func.unnest(column).table_valued("value").render_derived()
        matching = values.c.value.op("LIKE")(func.any(_texts(wild)))
        conditions.append(exists(select(literal(1)).select_from(values).where(matching)))
    return or_(*conditions)


def _has_wildcard(pattern: str) -> bool:
    return "%" in pattern or "_" in pattern


def _texts(values: Collection[str]) -> ColumnElement[Any]:
    return bindparam(None, list(values), type_=ARRAY(Text))

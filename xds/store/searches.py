"""Finds objects by owner and criteria, in one statement each.

Source: ITI TF-2: 3.18.4.1.2.3.7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from xds.domain.criteria import DocumentCriteria, FolderCriteria, Groups, Period, SetCriteria
from xds.domain.registered import RegisteredEntry, RegisteredFolder, RegisteredSet
from xds.store.selecting import ENTRIES, FOLDERS, SETS, Condition, named, one_of, select_rows, selected, urn

Anchors = Collection[str] | None
"""Patient identifiers (CX) whose objects are wanted; ``None`` for those of everybody."""

_REFERENCE: Final = (urn("id"), "home")
_THEN: Final = """document_entry CROSS JOIN LATERAL (SELECT coalesce((
    SELECT c.status FROM status_change c WHERE c.object_id = document_entry.id AND c.at <= %s ORDER BY c.id DESC LIMIT 1
    ), 'Approved') AS status_then) AS past"""


def find_entries(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[RegisteredEntry]:
    """Entries in the order of registration, at most ``limit``."""
    return selected(connection, ENTRIES, *_owned(anchors), *_entry_conditions(criteria), limit=limit)


def find_entry_ids(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[tuple[str, str | None]]:
    """As :func:`find_entries`, only id and home."""
    conditions = [*_owned(anchors), *_entry_conditions(criteria)]
    return select_rows(connection, _REFERENCE, "document_entry", conditions, limit=limit)


def find_entry_facts(
    connection: Connection, anchors: Anchors, criteria: DocumentCriteria, limit: int
) -> list[tuple[str, str | None, str, str, str, list[str]]]:
    """As :func:`find_entry_ids`, with uniqueId, anchor, patient identifier and confidentiality codes of each."""
    columns = (*_REFERENCE, "unique_id", "anchor", "patient_id", "confidentiality_codes")
    conditions = [*_owned(anchors), *_entry_conditions(criteria)]
    return select_rows(connection, columns, "document_entry", conditions, limit=limit)


def find_entries_on(
    connection: Connection, anchors: Collection[str], criteria: DocumentCriteria, moment: datetime, limit: int
) -> list[RegisteredEntry]:
    """The entries that :func:`find_entries` found at a past moment, with the status they had then."""
    columns = ["status_then" if each == "status" else each for each in ENTRIES.columns]
    conditions: list[Condition] = [
        *_owned(anchors),
        ("registered_at <= %s", (moment,)),
        *_entry_conditions(criteria, "status_then"),
    ]
    return ENTRIES.made(select_rows(connection, columns, _THEN, conditions, source_values=[moment], limit=limit))


def entries_among(connection: Connection, ids: Collection[str], criteria: DocumentCriteria) -> list[RegisteredEntry]:
    """Those of the named entries that fit, in the order of registration."""
    return selected(connection, ENTRIES, named("id", ids), *_entry_conditions(criteria))


def find_sets(connection: Connection, anchors: Anchors, criteria: SetCriteria, limit: int) -> list[RegisteredSet]:
    """Submission sets in the order of registration, at most ``limit``."""
    return selected(connection, SETS, *_owned(anchors), *_set_conditions(criteria), limit=limit)


def sets_among(connection: Connection, ids: Collection[str], criteria: SetCriteria) -> list[RegisteredSet]:
    """Those of the named submission sets that fit, in the order of registration."""
    return selected(connection, SETS, named("id", ids), *_set_conditions(criteria))


def find_folders(
    connection: Connection, anchors: Anchors, criteria: FolderCriteria, limit: int
) -> list[RegisteredFolder]:
    """Folders in the order of registration, at most ``limit``."""
    return selected(connection, FOLDERS, *_owned(anchors), *_folder_conditions(criteria), limit=limit)


def _owned(anchors: Anchors) -> Iterator[Condition]:
    if anchors is not None:
        yield "anchor = ANY(%s::text[])", (sorted(anchors),)


def _entry_conditions(criteria: DocumentCriteria, status: str = "status") -> Iterator[Condition]:
    yield one_of(status, criteria.statuses)
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
            yield one_of(column, wanted)
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
    yield one_of("status", criteria.statuses)
    if criteria.source_ids:
        yield one_of("source_id", criteria.source_ids)
    if criteria.content_types:
        yield one_of("content_type_code", criteria.content_types)
    if criteria.author_person is not None:
        yield _like("author_persons", (criteria.author_person,))
    yield from _within("submission_time", criteria.submission_time)


def _folder_conditions(criteria: FolderCriteria) -> Iterator[Condition]:
    yield one_of("status", criteria.statuses)
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

"""Finds the documents that speak of imaging studies: reports, by the studies and requests that they refer to."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from xds.domain.imaging import KEY_OBJECT_SELECTION
from xds.domain.registered import RegisteredEntry
from xds.store.selecting import ENTRIES, Condition, select_rows


def find_referring(connection: Connection, anchors: Iterable[str]) -> list[tuple[RegisteredEntry, frozenset[str]]]:
    """A person's approved documents that refer to something and are no manifests, latest first.

    Args:
        anchors: CX of all identifiers of the person.

    Returns:
        each with its references (``referenceIdList``, CXi).
    """
    conditions: list[Condition] = [
        ("anchor = ANY(%s::text[])", (list(anchors),)),
        ("status = 'Approved'", ()),
        ("cardinality(reference_id_list) > 0", ()),
        ("(format_code IS NULL OR format_code NOT LIKE %s)", (f"{KEY_OBJECT_SELECTION}^^%",)),
    ]
    columns = ("reference_id_list", *ENTRIES.columns)
    found = select_rows(connection, columns, ENTRIES.table, conditions, order="creation_time DESC NULLS LAST, id")
    entries = ENTRIES.made(row[1:] for row in found)
    return [(entry, frozenset(row[0])) for entry, row in zip(entries, found, strict=True)]

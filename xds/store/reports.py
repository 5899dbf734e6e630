"""Finds the documents that speak of imaging studies: reports, by the studies and requests that they refer to."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Text, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from xds.domain.imaging import KEY_OBJECT_SELECTION
from xds.domain.registered import RegisteredEntry
from xds.store.columns import ENTRY_COLUMNS
from xds.store.tables import document_entry


def find_referring(connection: Connection, anchors: Iterable[str]) -> list[tuple[RegisteredEntry, frozenset[str]]]:
    """A person's approved documents that refer to something and are no manifests, latest first.

    Args:
        anchors: CX of all identifiers of the person.

    Returns:
        each with its references (``referenceIdList``, CXi).
    """
    columns = document_entry.c
    rows = connection.execute(
        select(columns.reference_id_list, *ENTRY_COLUMNS)
        .where(
            columns.anchor == any_(literal(list(anchors), ARRAY(Text))),
            columns.status == "Approved",
            func.cardinality(columns.reference_id_list) > 0,
            or_(columns.format_code.is_(None), columns.format_code.not_like(f"{KEY_OBJECT_SELECTION}^^%")),
        )
        .order_by(columns.creation_time.desc().nulls_last(), columns.id)
    )
    return [(RegisteredEntry(*row[1:]), frozenset(row[0])) for row in rows.all()]

"""The columns from which registered objects are made, in the order of the objects' fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, literal, select, type_coerce
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.types import NullType

from xds.store.tables import association, document_entry, folder, submission_set


def urn(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """``urn:uuid:…``, written by the database: it is cheaper there."""
    return literal("urn:uuid:").concat(cast(column, Text)).label(column.name)


def as_text(columns: Iterable[ColumnElement[Any]]) -> str:
    """What stands behind ``SELECT``, for statements that are handed to the driver as text."""
    compiled = select(*columns).compile(dialect=psycopg.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    return str(compiled).removeprefix("SELECT ").partition("\nFROM ")[0].strip()


def _described(columns: Any) -> tuple[ColumnElement[Any], ...]:
    return (
        urn(columns.id),
        urn(columns.logical_id),
        columns.version,
        columns.status,
        columns.unique_id,
        columns.patient_id,
        columns.anchor,
        columns.home,
        columns.body,
        columns.registered_at,
    )


CONFIDENTIALITY_CODES: ColumnElement[Any] = type_coerce(document_entry.c.confidentiality_codes, NullType())
"""As the driver reads them, a list already: SQLAlchemy would go through each once more."""

ENTRY_COLUMNS = (
    *_described(document_entry.c),
    document_entry.c.on_demand,
    document_entry.c.mime_type,
    document_entry.c.repository_unique_id,
    document_entry.c.hash,
    document_entry.c.size,
    document_entry.c.source_patient_id,
    document_entry.c.document_availability,
    CONFIDENTIALITY_CODES,
)
SET_COLUMNS = _described(submission_set.c)
FOLDER_COLUMNS = (*_described(folder.c), folder.c.last_update_time)
ASSOCIATION_COLUMNS = (
    urn(association.c.id),
    association.c.type,
    urn(association.c.source),
    urn(association.c.target),
    association.c.status,
    association.c.body,
    association.c.registered_at,
)

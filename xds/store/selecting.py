"""Selects registered objects: statements go to the driver as text, its rows, read in binary, become objects at once.

An answer may hold thousands of objects: building a statement and converting each value costs more than the database's
whole share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

import psycopg
from sqlalchemy import Connection

from xds.domain.model import Availability
from xds.domain.registered import (
    RegisteredAssociation,
    RegisteredEntry,
    RegisteredFolder,
    RegisteredObject,
    RegisteredSet,
)
from xds.store import rows
from xds.store.packing import unpack

Condition = tuple[str, tuple[Any, ...]]
"""What must hold of a row, as SQL with the values of its parameters."""

Found = TypeVar("Found")
Described = TypeVar("Described", bound=RegisteredObject)

_URNS: Final = {each.rpartition(":")[2]: each for each in Availability}
"""The status in the table → the status in the program."""

IN_ORDER_OF_REGISTRATION: Final = "registered_at, id"


def urn(column: str) -> str:
    """``urn:uuid:…``, written by the database: it is cheaper there."""
    return f"'urn:uuid:' || {column}::text"


@dataclass(frozen=True, slots=True)
class Kind(Generic[Found]):
    """A kind of registered objects.

    Attributes:
        columns: in the order of the object's fields.
        made: rows of these columns → objects.
    """

    table: str
    columns: tuple[str, ...]
    made: Callable[[Iterable[Sequence[Any]]], list[Found]]


def selected(
    connection: Connection,
    kind: Kind[Found],
    *conditions: Condition,
    limit: int | None = None,
    for_update: bool = False,
) -> list[Found]:
    """Objects that meet all conditions, in the order of registration.

    Args:
        limit: at most so many.
        for_update: keep others from changing them until the end of the transaction. They come in the order of their
            ids: no two transactions wait for each other.
    """
    order = "id FOR UPDATE" if for_update else IN_ORDER_OF_REGISTRATION
    return kind.made(select_rows(connection, kind.columns, kind.table, conditions, order=order, limit=limit))


def select_rows(
    connection: Connection,
    columns: Iterable[str],
    source: str,
    conditions: Sequence[Condition],
    *,
    source_values: Sequence[Any] = (),
    order: str = IN_ORDER_OF_REGISTRATION,
    limit: int | None = None,
) -> list[Any]:
    """Rows that meet all conditions.

    Args:
        source: what to select from, with parameters ``source_values``.
    """
    where = " AND ".join([condition for condition, _ in conditions])
    statement = f"SELECT {', '.join(columns)} FROM {source} WHERE {where} ORDER BY {order}"
    parameters = [*source_values, *(value for _, values in conditions for value in values)]
    if limit is not None:
        statement += " LIMIT %s"
        parameters.append(limit)
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    with driver.cursor(binary=True) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def named(column: str, ids: Iterable[str]) -> Condition:
    """The UUID in that column is one of these (``urn:uuid:``)."""
    return f"{column} = ANY(%s::uuid[])", ([rows.to_uuid(each) for each in ids],)


def one_of(column: str, wanted: Iterable[str]) -> Condition:
    """The text in that column is one of these."""
    return f"{column} = ANY(%s::text[])", ([str(each) for each in wanted],)


def _described(kind: type[Described]) -> Callable[[Iterable[Sequence[Any]]], list[Described]]:
    def made(found: Iterable[Sequence[Any]]) -> list[Described]:
        return [
            kind(own, logical, version, _URNS[status], unique, patient, anchor, home, partial(unpack, body), *rest)
            for own, logical, version, status, unique, patient, anchor, home, body, *rest in found
        ]

    return made


def _associations(found: Iterable[Sequence[Any]]) -> list[RegisteredAssociation]:
    return [
        RegisteredAssociation(own, kind, source, target, _URNS[status], partial(unpack, body), registered_at)
        for own, kind, source, target, status, body, registered_at in found
    ]


_DESCRIBED = (
    urn("id"),
    urn("logical_id"),
    "version",
    "status",
    "unique_id",
    "patient_id",
    "anchor",
    "home",
    "body",
    "registered_at",
)
ENTRIES: Final = Kind(
    "document_entry",
    (
        *_DESCRIBED,
        "on_demand",
        "mime_type",
        "repository_unique_id",
        "hash",
        "size",
        "source_patient_id",
        "document_availability",
        "confidentiality_codes",
    ),
    _described(RegisteredEntry),
)
SETS: Final = Kind("submission_set", _DESCRIBED, _described(RegisteredSet))
FOLDERS: Final = Kind("folder", (*_DESCRIBED, "last_update_time"), _described(RegisteredFolder))
ASSOCIATIONS: Final = Kind(
    "association",
    (urn("id"), "type", urn("source"), urn("target"), "status", "body", "registered_at"),
    _associations,
)

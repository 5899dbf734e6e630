"""Tables of the registry.

The migrations are authoritative; a test compares these definitions with the migrated database. ``body`` is the packed
metadata (see :mod:`xds.store.packing`), the columns beside it hold what queries filter on. Times of the metadata are
numbers ``YYYYMMDDhhmmss`` (UTC, the first second of the period); codes are written ``code^^scheme``; patient
identifiers are CX.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

from xds.store.packing import pack

metadata = MetaData()


class PackedBody(TypeDecorator[Any]):
    """A body, packed in the table; :mod:`xds.store.selecting` reads it."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Pack it."""
        return None if value is None else pack(value)


class Status(TypeDecorator[str]):
    """availabilityStatus: ``Approved`` or ``Deprecated`` in the table, the URN in the program."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The name behind the last colon."""
        return None if value is None else value.rpartition(":")[2]


def _described() -> list[Column[Any]]:
    return [
        Column("id", Uuid, primary_key=True),
        Column("logical_id", Uuid, nullable=False),
        Column("version", Integer, nullable=False),
        Column("status", Status, nullable=False),
        Column("unique_id", Text, nullable=False),
        Column("patient_id", Text, nullable=False),
        Column("anchor", Text, nullable=False),
        Column("home", Text),
        Column("body", PackedBody, nullable=False),
        Column("registered_at", DateTime(timezone=True), nullable=False),
    ]


document_entry = Table(
    "document_entry",
    metadata,
    *_described(),
    Column("on_demand", Boolean, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("repository_unique_id", Text, nullable=False),
    Column("hash", Text),
    Column("size", BigInteger),
    Column("source_patient_id", Text),
    Column("class_code", Text),
    Column("type_code", Text),
    Column("format_code", Text),
    Column("healthcare_facility_type_code", Text),
    Column("practice_setting_code", Text),
    Column("confidentiality_codes", ARRAY(Text), nullable=False),
    Column("event_code_list", ARRAY(Text), nullable=False),
    Column("reference_id_list", ARRAY(Text), nullable=False),
    Column("author_persons", ARRAY(Text), nullable=False),
    Column("document_availability", Text),
    Column("creation_time", BigInteger),
    Column("service_start_time", BigInteger),
    Column("service_stop_time", BigInteger),
)

submission_set = Table(
    "submission_set",
    metadata,
    *_described(),
    Column("source_id", Text, nullable=False),
    Column("submission_time", BigInteger, nullable=False),
    Column("content_type_code", Text),
    Column("author_persons", ARRAY(Text), nullable=False),
)

folder = Table(
    "folder",
    metadata,
    *_described(),
    Column("codes", ARRAY(Text), nullable=False),
    Column("last_update_time", DateTime(timezone=True), nullable=False),
)

association = Table(
    "association",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("type", Text, nullable=False),
    Column("source", Uuid, nullable=False),
    Column("target", Uuid, nullable=False),
    Column("status", Status, nullable=False),
    Column("body", PackedBody, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
)

status_change = Table(
    "status_change",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("object_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("status", Status, nullable=False),
    Column("caller", Text, nullable=False),
)

removed_object = Table(
    "removed_object",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("unique_id", Text),
    Column("repository_unique_id", Text),
    Column("removed_at", DateTime(timezone=True), nullable=False),
    Column("caller", Text, nullable=False),
)

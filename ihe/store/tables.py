"""Tables that every transaction writes: audit trail, outbox, received messages.

The migrations are authoritative; a test compares these definitions with the migrated database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

used_assertion = Table(
    "used_assertion",
    metadata,
    Column("name", Text, primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True), nullable=False),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("transaction", Text, nullable=False),
    Column("event_code", Text, nullable=False),
    Column("event_action", Text, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("node", Text, nullable=False),
    Column("site", Text),
    Column("user_id", Text),
    Column("purpose", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("objects", JSONB, nullable=False),
    Column("reason", Text),
    Column("position", BigInteger),
    Column("digest", LargeBinary),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default="true"),
    Column("position", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("kept_after_position", BigInteger, nullable=False),
    Column("kept_after_digest", LargeBinary, nullable=False),
)

audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("day", Date, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

audit_collector = Table(
    "audit_collector",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("previous_position", BigInteger, nullable=False),
)

outbox_event = Table(
    "outbox_event",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("distributed", Boolean, nullable=False, server_default="false"),
)

outbox_delivery = Table(
    "outbox_delivery",
    metadata,
    Column("event_id", BigInteger, primary_key=True),
    Column("subscriber", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("delivered_at", DateTime(timezone=True)),
    Column("last_error", Text),
)

received_message = Table(
    "received_message",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("control_id", Text, primary_key=True),
    Column("content_hash", LargeBinary, primary_key=True),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("answer", LargeBinary, nullable=False),
)

"""The hash chain over the audit trail: any later change, insertion or removal of an event shows.

Events are written by the transactions they describe, without waiting for each other; a moment later they are sealed,
in the order in which they are found: each gets the next position and a digest over the digest before it and its own
content. The last digest of each day is an anchor: kept elsewhere too (log, collector, paper), it also shows a chain
that was rewritten as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import orjson
import psycopg
from sqlalchemy import Connection, RowMapping, Select, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from ihe.audit import AuditEvent, Outcome
from ihe.store.tables import audit_anchor, audit_event, audit_head

START = bytes(32)
"""The digest before the first event."""
SEALED_WITHIN = timedelta(hours=1)
"""An event that has waited longer for its seal is a finding."""
_CONTENT = [column for column in audit_event.c if column.name not in ("position", "digest")]
_NO_EVENTS = {"position": 0, "digest": START, "kept_after_position": 0, "kept_after_digest": START}
_BATCH = 5000


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """An event with its place in the chain."""

    event_id: int
    position: int
    event: AuditEvent


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the chain as it stood when a day had ended."""

    day: date
    position: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.day.isoformat()},{self.position},{self.digest.hex()}"


@dataclass(frozen=True, slots=True)
class _Head:
    position: int
    digest: bytes
    kept_after_position: int
    kept_after_digest: bytes


_HEAD = select(*(column for column in audit_head.c if column.name != "is_only"))


def _head(connection: Connection, query: Select[Any] = _HEAD) -> _Head:
    return _Head(**(connection.execute(query).mappings().one_or_none() or _NO_EVENTS))


def digest_of(previous: bytes, row: Mapping[str, Any] | RowMapping) -> bytes:
    """SHA-256 over the digest before and every column of the event, in the order of the table.

    Args:
        row: the columns of ``audit_event`` as they are read from the database.
    """
    return _digest(previous, [row[column.name] for column in _CONTENT])


def _digest(previous: bytes, content: Sequence[Any]) -> bytes:
    text_form = orjson.dumps(content, _plain, orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME)
    return hashlib.sha256(previous + text_form).digest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"{type(value).__name__} has no place in an audit event")


def seal(connection: Connection, now: datetime, limit: int = _BATCH) -> int:
    """Seal events that have none; several processes may, one after the other.

    Returns:
        How many were sealed; fewer than ``limit`` when nothing is left.
    """
    connection.execute(insert(audit_head).values(_NO_EVENTS).on_conflict_do_nothing())
    head = _head(connection, _HEAD.with_for_update())
    _anchor(connection, now, head)
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    digest = head.digest
    sealed: list[str] = []
    digests: list[bytes] = []
    for event_id, *content, objects, reason in driver.execute(_WAITING, (limit,), prepare=True):
        digest = _digest(digest, [event_id, *content, orjson.loads(objects), reason])
        sealed.append(str(event_id))
        digests.append(digest)
    if sealed:
        ids = f"{{{','.join(sealed)}}}"
        driver.execute(_SEAL, (head.position, b"".join(digests), ids, len(sealed), digest), prepare=True)
    return len(sealed)


_WAITING = """SELECT id, at, transaction, event_code, event_action, outcome, node, site, user_id, purpose,
    correlation_id, objects::text, reason FROM audit_event WHERE position IS NULL ORDER BY id LIMIT %s"""
"""Text for psycopg: this is done to every event, and SQLAlchemy took as long over it as the digests take."""
_SEAL = """WITH sealed AS (
    UPDATE audit_event e SET position = %s + s.place, digest = substring(%s FROM (s.place * 32 - 31)::int FOR 32)
    FROM unnest(%s::text::bigint[]) WITH ORDINALITY AS s(id, place) WHERE e.id = s.id)
    UPDATE audit_head SET position = position + %s, digest = %s"""


def _anchor(connection: Connection, now: datetime, head: _Head) -> None:
    ended = now.astimezone(UTC).date() - timedelta(days=1)
    anchor = insert(audit_anchor).values(day=ended, position=head.position, digest=head.digest)
    connection.execute(anchor.on_conflict_do_nothing())


def length(connection: Connection) -> int:
    """How many events the chain holds."""
    head = _head(connection)
    return head.position - head.kept_after_position


def anchors(connection: Connection) -> list[Anchor]:
    """Every anchor, oldest first."""
    return [Anchor(row.day, row.position, row.digest) for row in connection.execute(_ANCHORS)]


_ANCHORS = select(audit_anchor).order_by(audit_anchor.c.day)


def sealed_after(connection: Connection, position: int, limit: int) -> list[SealedEvent]:
    """The next sealed events, in the order of the chain."""
    query = select(audit_event).where(audit_event.c.position > position).order_by(audit_event.c.position).limit(limit)
    return [SealedEvent(row["id"], row["position"], event_of(row)) for row in connection.execute(query).mappings()]


def event_of(row: RowMapping) -> AuditEvent:
    """The event that a row keeps."""
    return AuditEvent(
        at=row["at"],
        transaction=row["transaction"],
        event_code=row["event_code"],
        event_action=row["event_action"],
        outcome=Outcome(row["outcome"]),
        node=row["node"],
        site=row["site"],
        user=row["user_id"],
        purpose=row["purpose"],
        correlation_id=row["correlation_id"],
        objects=tuple(row["objects"]),
        reason=row["reason"],
    )


def verify(connection: Connection, now: datetime, kept_elsewhere: Mapping[int, bytes] | None = None) -> Iterator[str]:
    """Walk the whole chain; one sentence for each thing that is not as it was written.

    Args:
        connection: in a transaction that sees one state (``REPEATABLE READ``).
        kept_elsewhere: digests by position, from anchors kept outside the database.
    """
    head = _head(connection)
    expected = {anchor.position: anchor.digest for anchor in anchors(connection)}
    elsewhere = dict(kept_elsewhere or {})
    position, digest = head.kept_after_position, head.kept_after_digest
    while rows := _stored_after(connection, position):
        for row in rows:
            if row["position"] != position + 1:
                yield f"positions {position + 1} to {row['position'] - 1} are missing"
            elif digest_of(digest, row) != row["digest"]:
                yield f"position {row['position']} (event {row['id']}) is not what was sealed"
            position, digest = row["position"], row["digest"]
            for known, of in ((expected, "its anchor"), (elsewhere, "the anchor kept elsewhere")):
                if known.pop(position, digest) != digest:
                    yield f"position {position} does not agree with {of}"
    if (position, digest) != (head.position, head.digest):
        yield f"the chain ends at position {position}, its head is {head.position}"
    for known, of in ((expected, "anchored"), (elsewhere, "anchored elsewhere")):
        lost = sorted(each for each in known if each > head.kept_after_position)
        yield from (f"position {each} is {of} and missing" for each in lost)
    overdue = select(audit_event.c.id).where(audit_event.c.position.is_(None), audit_event.c.at < now - SEALED_WITHIN)
    for event_id in connection.execute(overdue.order_by(audit_event.c.id)).scalars():
        yield f"event {event_id} was never sealed"


def _stored_after(connection: Connection, position: int) -> list[RowMapping]:
    query = select(audit_event).where(audit_event.c.position > position)
    return list(connection.execute(query.order_by(audit_event.c.position).limit(_BATCH)).mappings())


def forget_before(connection: Connection, moment: datetime, limit: int = _BATCH) -> int:
    """Delete the oldest sealed events that are older than a moment; the chain goes on from where they ended.

    Returns:
        How many were deleted; 0 when nothing is left.
    """
    head = _head(connection, _HEAD.with_for_update())
    last = None
    for row in _stored_after(connection, head.kept_after_position)[:limit]:
        if row["at"] >= moment:
            break
        last = row
    if last is None:
        return 0
    connection.execute(text("SELECT set_config('traitdunion.audit_retention', 'on', true)"))
    deleted = connection.execute(delete(audit_event).where(audit_event.c.position <= last["position"])).rowcount
    connection.execute(text("SELECT set_config('traitdunion.audit_retention', 'off', true)"))
    connection.execute(
        update(audit_head).values(kept_after_position=last["position"], kept_after_digest=last["digest"])
    )
    return deleted

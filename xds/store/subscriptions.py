"""Subscriptions to documents."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from ihe.caller import Caller
from xds.domain.document_subscription import Channel, DocumentSubscription, StoredDocumentSubscription, Topic

_COLUMNS = (
    "id, owner, version, manager, channel, topic, endpoint, criteria, ends_at, payload, headers, is_active, resource"
)


def insert(
    connection: Connection,
    subscription_id: str,
    owner: Caller,
    manager: str,
    wish: DocumentSubscription,
    now: datetime,
) -> StoredDocumentSubscription:
    """Write a new one."""
    row = connection.execute(
        text(
            f"INSERT INTO document_subscription ({_COLUMNS}, updated_at)"
            " VALUES (:id, CAST(:owner AS jsonb), 1, :manager, :channel,"
            " :topic, :endpoint, :criteria, :ends_at, :payload, :headers, :is_active,"
            f" CAST(:resource AS jsonb), :now) RETURNING {_COLUMNS}"
        ),
        {
            "id": uuid.UUID(subscription_id),
            "owner": json.dumps(owner.to_json()),
            "manager": manager,
            **_columns(wish, now),
        },
    ).one()
    return _stored(row)


def update(
    connection: Connection, subscription_id: str, wish: DocumentSubscription, now: datetime
) -> StoredDocumentSubscription:
    """Replace what one that is there wants."""
    row = connection.execute(
        text(
            "UPDATE document_subscription SET version = version + 1, channel = :channel, topic = :topic,"
            " endpoint = :endpoint, criteria = :criteria, ends_at = :ends_at, payload = :payload, headers = :headers,"
            " is_active = :is_active, resource = CAST(:resource AS jsonb), updated_at = :now"
            f" WHERE id = :id RETURNING {_COLUMNS}"
        ),
        {"id": uuid.UUID(subscription_id), **_columns(wish, now)},
    ).one()
    return _stored(row)


def get(connection: Connection, subscription_id: str, *, lock: bool = False) -> StoredDocumentSubscription | None:
    """One, or ``None``.

    Args:
        lock: keep others from changing it until the end of the transaction.
    """
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM document_subscription WHERE id = :id" + (" FOR UPDATE" if lock else "")),
        {"id": uuid.UUID(subscription_id)},
    ).one_or_none()
    return _stored(row) if row else None


def delete(connection: Connection, subscription: StoredDocumentSubscription) -> None:
    """Delete one, with what waits for it."""
    values = {"id": uuid.UUID(subscription.id), "name": subscription.name}
    connection.execute(text("DELETE FROM document_subscription WHERE id = :id"), values)
    connection.execute(text("DELETE FROM outbox_delivery WHERE subscriber = :name AND state = 'waiting'"), values)


def active(connection: Connection, now: datetime) -> list[StoredDocumentSubscription]:
    """All that want something at a moment, by id."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM document_subscription WHERE is_active AND (ends_at IS NULL OR ends_at > :now)"
            " ORDER BY id"
        ),
        {"now": now},
    )
    return [_stored(row) for row in rows]


def _columns(wish: DocumentSubscription, now: datetime) -> dict[str, Any]:
    return {
        "channel": wish.channel.value,
        "topic": wish.topic.value,
        "endpoint": wish.endpoint,
        "criteria": wish.criteria,
        "ends_at": wish.ends_at,
        "payload": wish.payload,
        "headers": list(wish.headers),
        "is_active": wish.is_active,
        "resource": json.dumps(dict(wish.resource)),
        "now": now,
    }


def _stored(row: Row[Any]) -> StoredDocumentSubscription:
    wish = DocumentSubscription(
        channel=Channel(row.channel),
        topic=Topic(row.topic),
        endpoint=row.endpoint,
        criteria=row.criteria,
        ends_at=row.ends_at,
        payload=row.payload,
        headers=tuple(row.headers),
        is_active=row.is_active,
        resource=row.resource,
    )
    owner = Caller.from_json(row.owner)
    return StoredDocumentSubscription(str(row.id), owner, row.version, row.manager, wish)

"""Subscriptions to patients, and what their subscribers wait for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from mpi.domain.subscription import StoredSubscription, Subscription
from mpi.store.traits_json import json_text

_COLUMNS = "id, owner, version, status, channel, endpoint, payload, headers, domains, local_id, resource"


def _stored(row: Row[Any]) -> StoredSubscription:
    wish = Subscription(
        channel=row.channel,
        endpoint=row.endpoint,
        payload=row.payload,
        headers=tuple(row.headers),
        domains=tuple(row.domains),
        local_id=row.local_id,
        is_active=row.status == "active",
        resource=row.resource,
    )
    return StoredSubscription(row.id, row.owner, row.version, wish)


def _columns(wish: Subscription, now: datetime) -> dict[str, Any]:
    return {
        "status": "active" if wish.is_active else "off",
        "channel": wish.channel,
        "endpoint": wish.endpoint,
        "payload": wish.payload,
        "headers": list(wish.headers),
        "domains": list(wish.domains),
        "local_id": wish.local_id,
        "resource": json_text(dict(wish.resource)),
        "now": now,
    }


def insert(connection: Connection, owner: str, wish: Subscription, now: datetime) -> StoredSubscription:
    """Write a new one."""
    row = connection.execute(
        text(
            "INSERT INTO fhir_subscription (owner, version, status, channel, endpoint, payload, headers, domains,"
            " local_id, resource, updated_at) VALUES (:owner, 1, :status, :channel, :endpoint, :payload, :headers,"
            f" :domains, :local_id, CAST(:resource AS jsonb), :now) RETURNING {_COLUMNS}"
        ),
        {"owner": owner, **_columns(wish, now)},
    ).one()
    return _stored(row)


def update(connection: Connection, subscription_id: int, wish: Subscription, now: datetime) -> StoredSubscription:
    """Replace one that is there."""
    row = connection.execute(
        text(
            "UPDATE fhir_subscription SET version = version + 1, status = :status, channel = :channel,"
            " endpoint = :endpoint, payload = :payload, headers = :headers, domains = :domains, local_id = :local_id,"
            f" resource = CAST(:resource AS jsonb), updated_at = :now WHERE id = :id RETURNING {_COLUMNS}"
        ),
        {"id": subscription_id, **_columns(wish, now)},
    ).one()
    return _stored(row)


def get(connection: Connection, subscription_id: int, *, lock: bool = False) -> StoredSubscription | None:
    """One, or ``None``.

    Args:
        lock: keep others from changing it until the end of the transaction.
    """
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM fhir_subscription WHERE id = :id" + (" FOR UPDATE" if lock else "")),
        {"id": subscription_id},
    ).one_or_none()
    return _stored(row) if row else None


def delete(connection: Connection, subscription: StoredSubscription) -> None:
    """Delete one, with what waits for it and what it was told."""
    for statement in (
        "DELETE FROM fhir_subscription WHERE id = :id",
        "DELETE FROM outbox_delivery WHERE subscriber = :name AND state = 'waiting'",
        "DELETE FROM notified_reference WHERE subscriber = :name",
    ):
        connection.execute(text(statement), {"id": subscription.id, "name": subscription.name})


_ACTIVE = text(
    f"SELECT {_COLUMNS} FROM fhir_subscription WHERE status = 'active'"
    " AND coalesce(CAST(resource->>'end' AS timestamptz) > :now, true) ORDER BY id"
)


def active(connection: Connection, now: datetime) -> list[StoredSubscription]:
    """All that want something at a moment, by id."""
    rows = connection.execute(_ACTIVE, {"now": now})
    return [_stored(row) for row in rows]

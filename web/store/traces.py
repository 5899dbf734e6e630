"""What the trails say of a patient: who looked and why, and what was sent to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Look:
    """One audited act of a person.

    Attributes:
        objects: what it touched, as audited.
        reason: class of the refusal, or ``None``.
    """

    at: datetime
    what: str
    user: str | None
    site: str | None
    purpose: str
    outcome: int
    objects: Sequence[Any]
    reason: str | None


_COLUMNS = "at, transaction, user_id, site, purpose, outcome, objects, reason"


def looks_at(connection: Connection, identifiers: Sequence[str], limit: int = 50) -> list[Look]:
    """Who touched a patient, latest first.

    Args:
        identifiers: as audited, at least one.
    """
    wanted = {f"o{n}": orjson.dumps([{"kind": "patient", "id": each}]).decode() for n, each in enumerate(identifiers)}
    any_of = " OR ".join(f"objects @> CAST(:{name} AS jsonb)" for name in wanted)
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM audit_event WHERE user_id IS NOT NULL AND ({any_of}) ORDER BY id DESC LIMIT :limit"
        ),
        {**wanted, "limit": limit},
    )
    return [Look(*row) for row in rows]


def latest(connection: Connection, *, user: str | None, break_glass: bool, limit: int = 200) -> list[Look]:
    """The latest acts in the workbench, of one person, or under break-glass only."""
    conditions = ["transaction LIKE 'workbench %'"]
    if user:
        conditions.append("(user_id = :user OR position('<' || :user || '@' IN user_id) > 0)")  # with their issuer, too
    if break_glass:
        conditions.append("purpose = 'bris_de_glace'")
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM audit_event WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT :limit"),
        {"user": user, "limit": limit},
    )
    return [Look(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Sent:
    """A notification about a person to one consumer; ``state`` is ``waiting``, ``delivered`` or ``dead``."""

    at: datetime
    kind: str
    subscriber: str
    state: str
    attempts: int
    delivered_at: datetime | None


def sent_about(connection: Connection, person_ids: Sequence[int], limit: int = 40) -> list[Sent]:
    """What was sent, or waits to be, latest first."""
    rows = connection.execute(
        text(
            "SELECT e.at, e.kind, d.subscriber, d.state, d.attempts, d.delivered_at FROM outbox_event e"
            " JOIN outbox_delivery d ON d.event_id = e.id WHERE e.subject = ANY(:subjects)"
            " ORDER BY e.id DESC, d.subscriber LIMIT :limit"
        ),
        {"subjects": [f"person/{person_id}" for person_id in person_ids], "limit": limit},
    )
    return [Sent(*row) for row in rows]

"""Match models in the database: every one that ever decided or was put in force, and which is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from mpi.domain.model import MatchModel
from mpi.store.traits_json import json_text


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as listed.

    Attributes:
        activated_at: when it last came into force, or ``None``: never.
        active: whether it is in force.
    """

    version: str
    name: str
    note: str
    created_at: datetime
    activated_at: datetime | None
    activated_by: str | None
    active: bool


def add(connection: Connection, model: MatchModel, *, note: str, now: datetime) -> None:
    """Keep a model; one of the same content is kept once, with its first note."""
    connection.execute(
        text(
            "INSERT INTO match_model (version, content, note, created_at)"
            " VALUES (:version, CAST(:content AS jsonb), :note, :now) ON CONFLICT (version) DO NOTHING"
        ),
        {"version": model.version, "content": json_text(model.to_json()), "note": note, "now": now},
    )


def activate(connection: Connection, version: str | None, *, by: str, now: datetime) -> None:
    """Put a kept model in force (``None``: the one set by hand), and the present one out of it."""
    connection.execute(text("UPDATE match_model SET active = false WHERE active"))
    connection.execute(
        text("UPDATE match_model SET active = true, activated_at = :now, activated_by = :by WHERE version = :version"),
        {"version": version, "by": by, "now": now},
    )


def active(connection: Connection) -> MatchModel | None:
    """The model in force, or ``None`` when none was ever activated."""
    content = connection.execute(text("SELECT content FROM match_model WHERE active")).scalar()
    return None if content is None else MatchModel.from_json(content)


def get(connection: Connection, version: str) -> MatchModel | None:
    """A kept model, or ``None``."""
    content = connection.execute(
        text("SELECT content FROM match_model WHERE version = :version"), {"version": version}
    ).scalar()
    return None if content is None else MatchModel.from_json(content)


def listed(connection: Connection) -> list[StoredModel]:
    """Every kept model, the latest first."""
    rows = connection.execute(
        text(
            "SELECT version, content->>'name' AS name, note, created_at, activated_at, activated_by, active"
            " FROM match_model ORDER BY created_at DESC, version"
        )
    )
    return [StoredModel(*row) for row in rows]

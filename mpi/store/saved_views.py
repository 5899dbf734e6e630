"""Views of the worklist that stewards keep under a name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view: its query as the worklist understands it."""

    id: int
    name: str
    query: str


def of_owner(connection: Connection, owner: str) -> list[SavedView]:
    """Somebody's views, by name."""
    rows = connection.execute(
        text("SELECT id, name, query FROM saved_view WHERE owner = :owner ORDER BY name"), {"owner": owner}
    )
    return [SavedView(*row) for row in rows]


def save(connection: Connection, owner: str, name: str, query: str) -> None:
    """Keep a view; one of the same name is replaced."""
    connection.execute(
        text(
            "INSERT INTO saved_view (owner, name, query) VALUES (:owner, :name, :query)"
            " ON CONFLICT (owner, name) DO UPDATE SET query = excluded.query"
        ),
        {"owner": owner, "name": name, "query": query},
    )


def delete(connection: Connection, owner: str, view_id: int) -> None:
    """Forget a view of somebody's."""
    connection.execute(
        text("DELETE FROM saved_view WHERE id = :id AND owner = :owner"), {"id": view_id, "owner": owner}
    )

"""The tables as the code knows them are those that the migrations make."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from xds.store import imaging, repository, tables


def test_columns_are_those_of_the_migrated_database(database_url: str) -> None:
    assert {repository.metadata, imaging.metadata} == {tables.metadata}
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_ours})
        differences = compare_metadata(context, tables.metadata)
    engine.dispose()
    assert [each for each in differences if not _is_for_the_migrations_alone(each)] == []


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "table" or name in tables.metadata.tables


def _is_for_the_migrations_alone(difference: Any) -> bool:
    """Indexes, constraints and comments; changes of columns come in a list."""
    first = difference[0] if isinstance(difference, list) else difference
    return first[0] in ("remove_index", "remove_constraint", "remove_fk", "add_fk", "modify_comment")

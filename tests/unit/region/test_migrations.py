"""Migrations: complete, repeatable, safe to call from several workers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from sqlalchemy import create_engine, inspect

from region.embedded_postgres import EmbeddedPostgres
from region.migrations import pending, upgrade


def tables_of(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def test_a_cloned_database_is_migrated_and_nothing_is_pending(database_url: str) -> None:
    assert {"audit_event", "outbox_event", "alembic_version"} <= tables_of(database_url)
    assert pending(database_url) == []


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    before = tables_of(database_url)
    upgrade(database_url)
    assert tables_of(database_url) == before


def test_several_workers_may_upgrade_at_once(embedded_server: EmbeddedPostgres) -> None:
    url = embedded_server.url(embedded_server.ensure_database(f"upgraded_{uuid4().hex}"))
    assert "ihe_0001" in pending(url)
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(upgrade, [url] * 4))
    assert pending(url) == []

"""Migrations: complete, repeatable, safe to call from several workers at once."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, inspect, text

from region.bootstrap import build_service
from region.embedded_postgres import EmbeddedPostgres
from region.migrations import SchemaFault, migration_folders, pending, takes_away, upgrade
from region.region_table import load_region
from tests.hl7v2_desk import REGION, Desk
from xds.store.content import DiskContent


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


NEXT = """
from alembic import op

revision = "mpi_9001"
down_revision = {before!r}
branch_labels = None
depends_on = None


def upgrade():
    op.execute("ALTER TABLE record ADD COLUMN next_release text NOT NULL DEFAULT 'unknown'")
    op.execute("CREATE TABLE next_table (id bigint PRIMARY KEY, record_id bigint REFERENCES record (id))")
    op.execute("CREATE INDEX next_index ON record (next_release)")
"""


def next_version(folder: Path) -> list[Path]:
    """The revisions of a version after this one, which adds to the index."""
    copies = [shutil.copytree(each, folder / each.parent.parent.name) for each in migration_folders()]
    last = max(path.stem[:8] for path in (folder / "mpi").glob("mpi_*.py"))
    (folder / "mpi" / "mpi_9001_next.py").write_text(NEXT.format(before=last))
    return copies


def test_the_schema_is_changed_while_the_version_before_is_fed(database_url: str, tmp_path: Path) -> None:
    service = build_service(database_url, load_region(REGION), DiskContent(tmp_path / "documents"))
    desk = Desk(service)
    fed, ended = [], threading.Event()

    def feed() -> None:
        while not ended.is_set():
            number = str(len(fed))
            began = time.monotonic()
            desk.feed(desk.adt("A28", "CHUSE", number, f"EXEMPLE^N{number}^N{number}^^^^L||19480317|F"))
            fed.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as feeder:
        feeding = feeder.submit(feed)
        try:
            await_count(fed, 10)
            upgrade(database_url, next_version(tmp_path / "next"))
            await_count(fed, len(fed) + 10)
        finally:
            ended.set()
        feeding.result()
    assert desk.count("SELECT count(*) FROM record WHERE next_release = 'unknown'") == len(fed)
    assert max(fed) < 20
    # The version before starts anew over the later schema, and knows that nothing is missing.
    upgrade(database_url)
    assert pending(database_url) == []
    service.close()


def await_count(fed: list[float], count: int) -> None:
    deadline = time.monotonic() + 60
    while len(fed) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_change_gives_way_to_what_is_under_way(database_url: str, tmp_path: Path) -> None:
    engine = create_engine(database_url)
    with ThreadPoolExecutor(1) as worker:
        with engine.begin() as reader:
            reader.execute(text("SELECT count(*) FROM record"))  # and does not end
            upgrading = worker.submit(upgrade, database_url, next_version(tmp_path / "next"))
            time.sleep(1.5)
            with engine.begin() as another:
                another.execute(text("SET LOCAL lock_timeout = 3000"))
                another.execute(text("SELECT count(*) FROM record"))
            assert not upgrading.done()
        upgrading.result(30)
    assert "next_table" in tables_of(database_url)
    engine.dispose()


def test_a_strangers_schema_is_refused(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'mpi_0000' WHERE version_num LIKE 'mpi%'"))
    engine.dispose()
    with pytest.raises(SchemaFault, match="mpi_0000"):
        upgrade(database_url)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE link", "ALTER TABLE link DROP COLUMN grade", "ALTER TABLE link RENAME TO tie",
        "ALTER TABLE link ALTER COLUMN grade TYPE integer", "ALTER TABLE link ALTER COLUMN grade SET NOT NULL",
        "ALTER TABLE link ADD COLUMN why text NOT NULL", "TRUNCATE link",
    ],
)  # fmt: skip
def test_what_takes_away_is_seen(statement: str) -> None:
    assert takes_away(statement)


def test_what_only_adds_passes() -> None:
    assert not takes_away(
        "CREATE TABLE a (b text NOT NULL); CREATE INDEX c ON a (b); ALTER TABLE a ADD COLUMN d text;"
        "ALTER TABLE a ADD COLUMN e text NOT NULL DEFAULT ''; ALTER TABLE a DROP CONSTRAINT f; DROP INDEX c"
    )


def test_revisions_only_add_or_say_since_when_nobody_needs_what_goes() -> None:
    for path in (path for folder in migration_folders() for path in folder.glob("*.py")):
        upgrading = path.read_text().partition("def downgrade")[0]
        found = takes_away(upgrading)
        assert not found or "CONTRACTS = " in upgrading, f"{path.name}: {found}"


def test_oppositions_of_before_are_taken_over(embedded_server: EmbeddedPostgres, tmp_path: Path) -> None:
    """The registry kept them in a table of its own."""
    before = []
    for folder in migration_folders():
        kept = tmp_path / folder.parent.parent.name
        kept.mkdir()
        for file in folder.glob("*.py"):
            if not "mpi_0301" <= file.name < "mpi_9":
                (kept / file.name).write_bytes(file.read_bytes())
        before.append(kept)
    url = embedded_server.url(embedded_server.ensure_database(f"opposed_{uuid4().hex}"))
    upgrade(url, before)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO opposition (patient_id, stated_at, stated_by, withdrawn_at, withdrawn_by) VALUES"
                " ('1^^^&1.2.3&ISO', now(), 'a', NULL, NULL), ('2^^^&1.2.3&ISO', now(), 'a', now(), 'b')"
            )
        )
    upgrade(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT patient_id, stance, ended_at IS NULL FROM consent ORDER BY patient_id"))
        assert [tuple(row) for row in rows] == [
            ("1^^^&1.2.3&ISO", "opposes", True),
            ("2^^^&1.2.3&ISO", "opposes", False),
        ]
    engine.dispose()

"""Questions answered from a replica: a real one, by streaming replication; while it is fresh, and no longer.

All persons are invented.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from ihe.caller import Caller
from ihe.serving import Pipeline
from ihe.unit_of_work import Database
from region.bootstrap import Replica, Service, build_service
from region.embedded_postgres import EmbeddedPostgres
from region.embedded_postgres.binaries import ServerUser, server_programs
from region.migrations import upgrade
from region.region_table import load_region
from tests.hl7v2_desk import Desk, ids
from tests.mllp_consumer import wait_for
from tests.unit.ihe.test_serving_pipeline import TextWire, endpoint, rows, write
from xds.store.content import DiskContent

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Pair:
    """An original and its copy."""

    original: EmbeddedPostgres
    copy: EmbeddedPostgres
    database: str

    def on_the_copy(self, statement: str) -> None:
        url = self.copy.superuser_url(self.database).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "original", volatile=True) as original:
        name = original.ensure_database("traitdunion")
        upgrade(original.url(name))
        copy = EmbeddedPostgres(folder / "copy", volatile=True)
        copy.place_cluster(lambda cluster: _base(original, cluster))
        with copy:
            yield Pair(original, copy, name)
        copy.destroy()
    original.destroy()


def _base(original: EmbeddedPostgres, cluster: Path) -> None:
    url = psycopg.conninfo.conninfo_to_dict(original.superuser_url().replace("+psycopg", ""))
    program = server_programs(ServerUser.for_owner(0)) / "pg_basebackup"
    subprocess.run(
        [program, "--pgdata", cluster, "--checkpoint=fast", "--write-recovery-conf", "--dbname",
         f"host='{url['host']}' port={url['port']} user={url['user']}"],
        check=True,
    )  # fmt: skip


def service_over(pair: Pair, folder: Path, most_seconds: float) -> Service:
    table = load_region(ROOT / "fixtures" / "region.toml")
    replica = Replica(pair.copy.url(pair.database), most_seconds)
    return build_service(pair.original.url(pair.database), table, DiskContent(folder), replica=replica)


@pytest.fixture
def serving(pair: Pair, tmp_path: Path) -> Iterator[Callable[[float], Desk]]:
    """Makes a desk over both databases; the copy is watched while it is in use."""
    opened: list[Service] = []

    def serve(most_seconds: float) -> Desk:
        service = service_over(pair, tmp_path, most_seconds)
        opened.append(service)
        assert service.copy is not None
        service.copy.start()
        return Desk(service)

    yield serve
    pair.on_the_copy("SELECT pg_wal_replay_resume()")
    for service in opened:
        assert service.copy is not None
        service.copy.stop()
        service.close()


def feed(desk: Desk, number: str) -> None:
    desk.feed(desk.adt("A28", "CHUSE", number, f"EXEMPLE^C{number}^C{number}^^^^L||19480317|F"))


def knows(desk: Desk, number: str) -> bool:
    return bool(ids(desk.ask(desk.query("Q22", f"@PID.3.1^{number}")).segment("PID")))


def test_questions_are_answered_from_a_copy_while_it_is_fresh_and_no_longer(pair, serving):
    desk = serving(2.0)
    feed(desk, "F1")
    wait_for(lambda: knows(desk, "F1"), 10)
    assert desk.service.database.copy() is not None
    pair.on_the_copy("SELECT pg_wal_replay_pause()")
    feed(desk, "F2")
    assert not knows(desk, "F2"), "the copy was not asked"
    began = time.monotonic()
    wait_for(lambda: knows(desk, "F2"), 10)
    assert time.monotonic() - began < 2.5
    assert desk.service.database.copy() is None
    pair.on_the_copy("SELECT pg_wal_replay_resume()")
    wait_for(lambda: desk.service.database.copy() is not None, 10)
    assert knows(desk, "F2")
    assert b"traitdunion_replica_behind_seconds 0." in desk.service.metrics.render()


def test_a_copy_that_dies_is_not_missed(pair, serving):
    desk = serving(30.0)
    feed(desk, "D1")
    wait_for(lambda: knows(desk, "D1"), 10)
    wait_for(lambda: desk.service.database.copy() is not None, 30)  # looked at every six seconds
    pair.copy.stop()
    try:
        assert knows(desk, "D1")
    finally:
        pair.copy.start()


def test_a_question_that_writes_after_all_is_asked_of_the_original(pair):
    original, copy = create_engine(pair.original.url(pair.database)), create_engine(pair.copy.url(pair.database))
    database = Database(original, lambda: copy)
    with original.begin() as connection:
        connection.execute(text("CREATE TABLE note (line text)"))
    try:
        pipeline = Pipeline(database, {"mpi": None})
        question = endpoint(write, writes=False)
        assert pipeline.run(question, TextWire(), "write a", lambda: Caller("node", "CHUSE", "user")) == "OK write a"
        assert rows(database, "SELECT line FROM note") == [("write a",)]
        assert rows(database, "SELECT count(*) FROM outbox_event WHERE kind = 'noted'") == [(1,)]
    finally:
        with original.begin() as connection:
            connection.execute(text("DROP TABLE note"))
        original.dispose()
        copy.dispose()

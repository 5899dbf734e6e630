"""Restore drills: what was served, copied while it served, lost and brought back, with the embedded server and with
one of one's own. All persons are invented.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from region.backup import BackupFault, bases, copy_documents, folder_of
from region.embedded_postgres import EmbeddedPostgres
from region.embedded_postgres.binaries import ServerUser, server_programs
from tests.e2e.test_repository_process import SITE, Served, _entry
from tests.ports import free_port

OID = str(SITE.oid)


def links(service: Served) -> str:
    done = service.run("export", "links")
    assert done.returncode == 0, done.stderr
    return done.stdout


def store(service: Served, data: bytes) -> str:
    """A document is provided; its uniqueId."""
    entry = _entry()
    assert service.provide(entry, len(data), iter([data]))
    return str(entry.unique_id)


@contextmanager
def following(service: Served, backup: Path) -> Iterator[None]:
    """``traitdunion backup --follow`` while the block runs; it begins when a first base is complete."""
    follower = subprocess.Popen(
        service.command("backup", backup, "--follow"),
        env=service.environment,
        cwd=service.folder.parent,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert follower.stdout is not None
        assert "complete" in follower.stdout.readline()
        yield
    finally:
        follower.send_signal(signal.SIGINT)
        assert follower.wait(60) == 0
        assert follower.stdout is not None
        follower.stdout.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A service over an embedded database of its own, with a patient."""
    service = Served(tmp_path / "data")
    service.folder.mkdir(mode=0o711)
    try:
        service.start()
        service.feed("CHUSE1", OID)
        yield service
    finally:
        service.end(signal.SIGTERM)
        EmbeddedPostgres(service.folder / "postgres").destroy()


def test_a_region_is_restored_to_the_moment_before_a_mistake(served, tmp_path):
    backup = tmp_path / "backup"
    before = store(served, b"provided before the base")
    with following(served, backup):
        served.feed("CHUSE2", OID, "AUTRE^LUCIE^LUCIE^^^^L")
        between = store(served, b"provided while somebody followed")
        right = links(served)
        moment = datetime.now(UTC)
        time.sleep(0.1)
        served.feed("CHUSE3", OID, "ERREUR^PAUL^PAUL^^^^L")
        wrong = links(served)
    assert wrong != right

    restored = Served(tmp_path / "restored")
    restored.folder.mkdir(mode=0o711)
    try:
        done = restored.run("restore", backup, "--at", moment.isoformat())
        assert done.returncode == 0, done.stderr
        assert "all invariants hold" in done.stderr
        assert links(restored) == right
        restored.start()
        for unique_id, content in (
            (before, b"provided before the base"),
            (between, b"provided while somebody followed"),
        ):
            assert restored.retrieved_hash(unique_id) == hashlib.sha256(content).hexdigest()
        restored.feed("CHUSE4", OID, "SUITE^ANNE^ANNE^^^^L")
        assert restored.run("audit", "verify").returncode == 0
    finally:
        restored.end(signal.SIGTERM)
        EmbeddedPostgres(restored.folder / "postgres").destroy()

    latest = Served(tmp_path / "latest")
    try:
        done = latest.run("restore", backup)
        assert done.returncode == 0, done.stderr
        assert links(latest) == wrong
        again = latest.run("restore", backup)
        assert again.returncode == 1
        assert "holds a database already" in again.stderr
    finally:
        EmbeddedPostgres(latest.folder / "postgres").destroy()


def test_single_copies_are_kept_by_number_and_a_damaged_one_is_refused(served, tmp_path):
    backup = tmp_path / "backup"
    for number in range(3):
        served.feed(f"MORE{number}", OID, f"AUTRE^P{number}^P{number}^^^^L")
        done = served.run("backup", backup, "--keep", "2")
        assert done.returncode == 0, done.stderr
    kept = bases(backup)
    assert len(kept) == 2
    with pytest.raises(BackupFault, match="another process"), folder_of(backup), folder_of(backup):
        pass

    damaged = next(
        path for path in (kept[-1].folder / "base").rglob("*") if path.is_file() and path.stat().st_size > 99
    )
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x7f")
    target = Served(tmp_path / "target")
    done = target.run("restore", backup)
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert not (target.folder / "postgres" / "cluster").exists()
    early = target.run("restore", backup, "--at", "2020-01-01")
    assert early.returncode == 1
    assert "the oldest backup ended" in early.stderr


def test_a_server_of_ones_own_is_copied_and_recovered_by_its_own_programs(tmp_path, embedded_server):
    with EmbeddedPostgres(tmp_path / "own") as own:
        with psycopg.connect(own.superuser_url().replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ALTER ROLE traitdunion REPLICATION")
        service = Served(tmp_path / "data", own.url(own.ensure_database("traitdunion")))
        service.folder.mkdir()
        try:
            service.start()
            service.feed("CHUSE1", OID)
            with following(service, tmp_path / "backup"):
                service.feed("CHUSE2", OID, "AUTRE^LUCIE^LUCIE^^^^L")
                expected = links(service)
        finally:
            service.end(signal.SIGTERM)
        assert service.run("restore", tmp_path / "backup").returncode == 1
        done = service.run("restore", tmp_path / "backup", "--into", tmp_path / "recovered")
        assert done.returncode == 0, done.stderr
        assert "start a PostgreSQL 18" in done.stdout
    own.destroy()
    with running(tmp_path / "recovered") as url:
        recovered = Served(tmp_path / "data", url)
        assert links(recovered) == expected


@contextmanager
def running(cluster: Path) -> Iterator[str]:
    """A server over a data folder, started by hand as an operator would, listening on TCP."""
    owner = ServerUser.for_owner(os.geteuid())
    place = cluster
    if owner.switch:  # its user must reach it
        place = Path("/var/tmp") / f"traitdunion-recovered-{os.getpid()}"
        shutil.copytree(cluster, place)
        for path in (place, *place.rglob("*")):
            os.chown(path, owner.uid, owner.gid)
    control, port = server_programs(owner) / "pg_ctl", free_port()
    # As many connections as the server had of which it is a copy, or recovery refuses.
    options = f"-c max_connections=300 -c port={port} -c listen_addresses= -c unix_socket_directories={place}"
    try:
        started = owner.run(
            [control, "start", "--wait", "--pgdata", place, "--log", place / "log", "--options", options]
        )
        assert started.returncode == 0, started.stdout
        yield f"postgresql+psycopg://traitdunion@/traitdunion?host={place}&port={port}"
    finally:
        owner.run([control, "stop", "--wait", "--mode", "fast", "--pgdata", place])
        if owner.switch:
            shutil.rmtree(place)


def test_documents_are_copied_once_and_whole(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    shard = source / "objects" / "ab" / "cd"
    shard.mkdir(parents=True)
    (shard / ("abcd" + "0" * 60)).write_bytes(b"one")
    assert copy_documents(source, target) == 1
    assert copy_documents(source, target) == 0
    (shard / ("abcd" + "1" * 60)).write_bytes(b"two")
    assert copy_documents(source, target, since=time.time() + 100) == 0
    assert copy_documents(source, target) == 1
    assert (target / "objects" / "ab" / "cd" / ("abcd" + "1" * 60)).read_bytes() == b"two"

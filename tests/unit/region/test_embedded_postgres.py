"""The embedded server: shared, adopted after a crash, stopped by the last, and polite to other people's folders."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from region.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, binaries, place
from region.embedded_postgres.binaries import ServerUser, server_programs
from region.embedded_postgres.server import memory_settings, usable_memory

ROOT = Path(__file__).resolve().parents[3]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to act as another user"
)

# Starts a use, says so, ends it when a line (or the end of input) arrives.
USE = """
import sys
from pathlib import Path
from region.embedded_postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), volatile=True) as server:
    print(server.status().pid, server.url("postgres"), flush=True)
    sys.stdin.readline()
"""


class Use:
    """Another process that uses the server."""

    def __init__(self, data_dir: Path, user: int | None = None) -> None:
        self.process = subprocess.Popen(
            [*([] if user is None else as_user(user)), sys.executable, "-c", USE, str(data_dir)],
            cwd="/",
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert line, "the other process could not start its server"
        self.server_pid, self.url = int(line[0]), line[1]

    def end(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)


def as_user(uid: int) -> list[str]:
    """Command prefix: another user, who may read this Python wherever it is installed, and may write nowhere else."""
    return [
        *("setpriv", f"--reuid={uid}", f"--regid={pwd.getpwuid(uid).pw_gid}", "--clear-groups"),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
    ]


def is_running(pid: int) -> bool:
    """Whether the process runs (a dead one that nobody has collected yet does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def cluster_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("embedded") / "postgres"
    yield folder
    EmbeddedPostgres(folder).destroy()


@pytest.fixture
def data_dir(cluster_of_module: Path) -> Path:
    """A data folder whose cluster exists (making one takes a second) and whose server does not run."""
    assert not cluster_of_module.exists() or not EmbeddedPostgres(cluster_of_module).status().ready
    return cluster_of_module


@pytest.fixture
def fresh_dir(tmp_path: Path) -> Iterator[Path]:
    """A data folder with no cluster."""
    folder = tmp_path / "postgres"
    yield folder
    if folder.exists():
        EmbeddedPostgres(folder).destroy()


def test_a_database_survives_stop_and_start(fresh_dir: Path) -> None:
    server = EmbeddedPostgres(fresh_dir)
    with server:
        url = server.url(server.ensure_database("kept"))
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE visit AS SELECT 'Éléonore' AS given_name")
        assert rows(url, "SHOW synchronous_commit") == [("on",)]
        assert rows(url, "SHOW fsync") == [("on",)]
        pid = server.status().pid
    assert pid is not None
    assert not is_running(pid)
    assert not server.status().ready
    with server:
        url = server.url(server.ensure_database("kept"))
        assert rows(url, "SELECT lower(given_name) FROM visit") == [("éléonore",)]


def test_a_cluster_that_is_there_gets_buffers_by_memory_at_its_next_start(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, volatile=True) as server:
        assert rows(server.url("postgres"), "SHOW shared_buffers") == [("128MB",)]
    with EmbeddedPostgres(data_dir) as server:
        for name, value in memory_settings(usable_memory()).items():
            same = f"SELECT pg_size_bytes(current_setting('{name}')) = pg_size_bytes('{value}')"
            assert rows(server.url("postgres"), same) == [(True,)]


@pytest.mark.parametrize(
    ("gigabytes", "buffers", "cache"),
    [(0.25, "128MB", "128MB"), (2, "512MB", "1024MB"), (8, "2048MB", "4096MB"), (64, "4096MB", "32768MB")],
)
def test_buffers_are_a_quarter_of_the_memory_within_bounds(gigabytes: float, buffers: str, cache: str) -> None:
    assert memory_settings(int(gigabytes * 2**30)) == {"shared_buffers": buffers, "effective_cache_size": cache}


def test_the_service_role_is_no_superuser_and_no_tcp_port_is_open(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, volatile=True) as server:
        assert rows(server.url("postgres"), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]
        assert rows(server.url("postgres"), "SHOW listen_addresses") == [("",)]
        assert rows(server.superuser_url(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(True,)]
        socket_dir = server.status().socket_dir
        assert socket_dir is not None
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700


def test_values_of_failed_statements_do_not_reach_the_server_log(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, volatile=True) as server:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            rows(server.url("postgres"), "SELECT 'DUPONT-MARTIN'::integer")
        log = server.status().folder / "run" / "server.log"
        assert "DUPONT-MARTIN" not in log.read_text()


def test_processes_share_one_server_and_the_last_one_stops_it(data_dir: Path) -> None:
    first, second = Use(data_dir), Use(data_dir)
    with EmbeddedPostgres(data_dir, volatile=True) as server:
        assert server.status().pid == first.server_pid == second.server_pid
        first.end()
        second.end()
        assert rows(server.url("postgres"), "SELECT 1") == [(1,)]
    assert not is_running(first.server_pid)


def test_two_uses_in_one_process_count_twice(data_dir: Path) -> None:
    one, two = EmbeddedPostgres(data_dir, volatile=True), EmbeddedPostgres(data_dir)
    one.start()
    two.start()
    one.stop()
    assert rows(two.url("postgres"), "SELECT 1") == [(1,)]
    two.stop()
    assert not two.status().ready


def test_a_server_left_by_a_killed_process_is_adopted_and_then_stopped(data_dir: Path) -> None:
    killed = Use(data_dir)
    killed.kill()
    assert is_running(killed.server_pid)
    with EmbeddedPostgres(data_dir, volatile=True) as server:
        assert server.status().pid == killed.server_pid
    assert not is_running(killed.server_pid)


def test_a_killed_process_does_not_keep_the_server_when_the_others_end(data_dir: Path) -> None:
    killed, other = Use(data_dir), Use(data_dir)
    killed.kill()
    assert is_running(other.server_pid)
    other.end()
    assert not is_running(other.server_pid)


def test_a_killed_server_is_started_again(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, volatile=True) as server:
        pid = server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with EmbeddedPostgres(data_dir, volatile=True) as second:
            assert second.status().pid != pid
            assert rows(second.url("postgres"), "SELECT 1") == [(1,)]


def test_a_server_that_is_killed_while_it_is_kept_running_comes_back_at_the_same_address(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, volatile=True) as server, server.kept_running():
        before, url = server.status().pid, server.url("postgres")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while not server.status().ready or server.status().pid == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert server.url("postgres") == url
    assert server.status().pid is None


def test_a_pid_file_that_names_another_program_does_not_prevent_the_start(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, volatile=True)
    with server:
        cluster = server.status().folder / "cluster"
    (cluster / "postmaster.pid").write_text(f"{os.getppid()}\n{cluster}\n1\n5432\n/nowhere\n\n1 1\nready\n")
    with server:
        assert server.status().ready


def test_a_cluster_that_was_half_made_is_made_again(fresh_dir: Path) -> None:
    unfinished = fresh_dir / "cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    fresh_dir.chmod(0o755)
    with EmbeddedPostgres(fresh_dir, volatile=True) as server:
        assert server.status().ready


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, volatile=True, timeout_seconds=20)
    with server:
        cluster = server.status().folder / "cluster"
    configuration = cluster / "postgresql.conf"
    sound = configuration.read_text()
    configuration.write_text(f"{sound}\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        server.start()
    configuration.write_text(sound)
    assert not server.status().ready


def test_a_cluster_of_another_version_is_refused(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, volatile=True)
    with server:
        cluster = server.status().folder / "cluster"
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="of PostgreSQL 9, the installed server is 18"):
        server.start()
    (cluster / "PG_VERSION").write_text("18\n")


def test_a_path_too_long_for_a_socket_gets_a_short_one(public_folder: Path) -> None:
    server = EmbeddedPostgres(public_folder / ("long" * 30) / "postgres", volatile=True)
    with server:
        socket_dir = server.status().socket_dir
        assert socket_dir is not None
        assert len(str(socket_dir)) < 80
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    assert not socket_dir.exists()
    server.destroy()


def test_a_folder_in_use_is_not_destroyed(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, volatile=True), pytest.raises(EmbeddedPostgresError, match="in use"):
        EmbeddedPostgres(data_dir).destroy()


def test_destroying_leaves_nothing_of_the_cluster(fresh_dir: Path) -> None:
    server = EmbeddedPostgres(fresh_dir, volatile=True)
    with server:
        folder = server.status().folder
    server.destroy()
    assert not (folder / "cluster").exists()
    assert {path.name for path in fresh_dir.iterdir()} <= {"lock", "in-use"}


def test_rights_of_existing_folders_stay_as_they_are(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o750)
    outer.chmod(0o700)
    watched = (inner, *inner.parents)
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in watched]
    server = EmbeddedPostgres(inner, volatile=True)
    with server:
        pass
    assert [(path, path.stat().st_mode, path.stat().st_uid) for path in watched] == before
    server.destroy()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach, as the ones of pytest are not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def ordinary_user(folder: Path) -> tuple[int, Path]:
    """An ordinary user's id with a home of its own."""
    uid = pwd.getpwnam("nobody").pw_uid
    home = folder / "home"
    home.mkdir()
    os.chown(home, uid, -1)
    home.chmod(0o700)
    return uid, home


@needs_root
def test_as_root_the_server_runs_as_an_unprivileged_user(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, volatile=True) as server:
        pid = server.status().pid
        assert Path(f"/proc/{pid}").stat().st_uid != 0


@needs_root
def test_root_and_an_ordinary_user_run_theirs_at_the_same_time(public_folder: Path) -> None:
    uid, home = ordinary_user(public_folder)
    theirs = Use(home / "data", user=uid)
    ours = EmbeddedPostgres(public_folder / "root-data", volatile=True)
    with ours:
        again = Use(home / "data", user=uid)
        assert again.server_pid == theirs.server_pid != ours.status().pid
        assert Path(f"/proc/{theirs.server_pid}").stat().st_uid == uid
        assert rows(ours.url("postgres"), "SELECT 1") == rows(theirs.url, "SELECT 1") == [(1,)]
        again.end()
    assert is_running(theirs.server_pid)
    theirs.end()
    assert not is_running(theirs.server_pid)


@needs_root
def test_root_over_an_ordinary_users_folder_leaves_it_usable_for_them(public_folder: Path) -> None:
    uid, home = ordinary_user(public_folder)
    Use(home / "data", user=uid).end()
    with EmbeddedPostgres(home / "data", volatile=True) as server:
        pid = server.status().pid
        assert Path(f"/proc/{pid}").stat().st_uid == uid
    Use(home / "data", user=uid).end()


@needs_root
def test_an_ordinary_user_is_told_that_the_folder_is_not_theirs(public_folder: Path) -> None:
    uid, _ = ordinary_user(public_folder)
    server = EmbeddedPostgres(public_folder / "data", volatile=True)
    with server:
        done = subprocess.run(
            [*as_user(uid), sys.executable, "-c", USE, str(public_folder / "data")],
            cwd="/",
            env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "belongs to another user" in done.stderr


@needs_root
def test_a_folder_out_of_reach_for_the_server_user_records_where_its_cluster_lives(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    data_dir = tmp_path / "postgres"
    server = EmbeddedPostgres(data_dir, volatile=True)
    with server:
        folder = server.status().folder
        assert folder != data_dir
        assert (data_dir / "location").read_text() == str(folder)
    moved = tmp_path / "moved"
    data_dir.rename(moved)
    with EmbeddedPostgres(moved, volatile=True) as again:
        assert again.status().folder == folder
    EmbeddedPostgres(moved).destroy()
    assert not folder.exists()


@needs_root
def test_a_copied_folder_does_not_share_the_cluster_of_the_first(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = EmbeddedPostgres(tmp_path / "postgres", volatile=True)
    with server:
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "location").write_text((tmp_path / "postgres" / "location").read_text())
        with pytest.raises(EmbeddedPostgresError, match="is a copy of"):
            EmbeddedPostgres(tmp_path / "copy").start()
    server.destroy()


@needs_root
def test_programs_out_of_reach_are_copied_once(monkeypatch: pytest.MonkeyPatch, public_folder: Path) -> None:
    monkeypatch.setattr(binaries, "_ROOT_CACHE", public_folder / "cache")
    user = ServerUser.for_owner(0)
    monkeypatch.setattr(ServerUser, "reaches", lambda self, path: False)
    programs = server_programs(user)
    assert programs.is_relative_to(public_folder)
    for program in ("postgres", "initdb", "pg_ctl"):
        assert "PostgreSQL" in user.run([programs / program, "--version"]).stdout
    made = programs.stat().st_mtime_ns
    assert server_programs(user) == programs
    assert programs.stat().st_mtime_ns == made
    assert [path for path in (public_folder / "cache").iterdir() if path.name.startswith(".unfinished")] == []


@needs_root
def test_a_cache_that_others_could_change_is_refused(monkeypatch: pytest.MonkeyPatch, public_folder: Path) -> None:
    cache = public_folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setattr(binaries, "_ROOT_CACHE", cache)
    user = ServerUser.for_owner(0)
    monkeypatch.setattr(ServerUser, "reaches", lambda self, path: False)
    with pytest.raises(EmbeddedPostgresError, match="only root can change"):
        server_programs(user)


def test_a_lock_that_is_never_released_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        place.exclusive(lock, os.geteuid(), time.monotonic()),
        pytest.raises(EmbeddedPostgresError, match=f"keeps {lock} locked"),
        contextlib.ExitStack() as second,
    ):
        second.enter_context(place.exclusive(lock, os.geteuid(), time.monotonic() + 0.1))

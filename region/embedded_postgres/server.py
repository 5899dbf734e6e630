"""Start, share and stop the embedded server.

Every user of the server holds a shared lock for as long as it lives; whoever stops last stops the server. A process
killed with -9 loses its lock with its life, so the server it left behind is adopted by the next one that starts over
the same folder, and stopped when that one ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql
from sqlalchemy import URL

from region.embedded_postgres.binaries import EmbeddedPostgresError, server_programs
from region.embedded_postgres.place import Place, find_place

log = logging.getLogger(__name__)

_SUPERUSER = "postgres"
_ROLE = "traitdunion"
_PORT = 5432
_LONGEST_SOCKET_PATH = 107
_LOG_BYTES_KEPT = 10_000_000
_LOOK_SECONDS = 1.0

_CONFIGURATION = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Messages of failed statements carry values, so patient data: the service reports its errors itself.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_VOLATILE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
}
_LEAST_BUFFERS_MB, _MOST_BUFFERS_MB = 128, 4096
_CONTAINERS_MEMORY = Path("/sys/fs/cgroup/memory.max")


def memory_settings(memory: int) -> dict[str, str]:
    """How much of some bytes of memory the server takes for its buffers, and may count on with the system's.

    Source: PostgreSQL 18: 19.4.1 (a quarter of the memory).
    """
    megabytes = memory >> 20
    buffers = min(max(megabytes // 4, _LEAST_BUFFERS_MB), _MOST_BUFFERS_MB)
    return {"shared_buffers": f"{buffers}MB", "effective_cache_size": f"{max(megabytes // 2, buffers)}MB"}


def usable_memory() -> int:
    """Bytes of memory of the machine, or of the container where it is allowed less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(_CONTAINERS_MEMORY.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such limit, or "max"
        return machine


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of the server of a data folder.

    Attributes:
        ready: it answers.
        pid: process id of the server, ``None`` when none runs.
        folder: where the cluster lives.
        socket_dir: folder of its socket, ``None`` when none runs.
    """

    ready: bool
    pid: int | None
    folder: Path
    socket_dir: Path | None


class EmbeddedPostgres:
    """One use of the PostgreSQL server of a data folder; several processes share one server.

    Args:
        data_dir: folder of the server, created when absent; its rights are kept as they are.
        volatile: trade durability for speed (tests only); counts for the process that starts the server.
        timeout_seconds: how long starting, recovering or stopping may take.
    """

    def __init__(self, data_dir: Path, *, volatile: bool = False, timeout_seconds: float = 60.0) -> None:
        self._data_dir = data_dir.absolute()
        self._volatile = volatile
        self._timeout_seconds = timeout_seconds
        self._place: Place | None = None
        self._use: int | None = None
        self._chosen_socket_dir: Path | None = None

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Use the server: create the cluster on first use, start the server unless it runs, wait until it answers.

        Raises:
            EmbeddedPostgresError: with the end of the server's log.
        """
        if self._use is not None:
            return
        deadline = time.monotonic() + self._timeout_seconds
        place = self._find_place(deadline)
        with place.turn(deadline):
            others = place.is_used()
            use = place.begin_use()
            try:
                self._ensure_running(place, deadline, others_use_it=others)
            except BaseException:
                os.close(use)
                if not others:
                    with contextlib.suppress(EmbeddedPostgresError):
                        self._shut_down(place)
                raise
            self._use = use

    @contextlib.contextmanager
    def kept_running(self) -> Iterator[None]:
        """While the block runs, start the server again whenever it ends: killed, or for want of room on its disk."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(_LOOK_SECONDS):
                try:
                    self._revive()
                except EmbeddedPostgresError:
                    log.warning("the embedded PostgreSQL ended and could not be started again; trying on")

        keeper = threading.Thread(target=keep, name="embedded PostgreSQL", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def _revive(self) -> None:
        place = self._place
        if place is None or self._use is None or _postmaster(place) is not None:
            return
        deadline = time.monotonic() + self._timeout_seconds
        with place.turn(deadline):
            if _postmaster(place) is None:
                log.warning("the embedded PostgreSQL ended; starting it again")
                self._ensure_running(place, deadline, others_use_it=True)

    def stop(self) -> None:
        """End this use; the last one stops the server.

        Raises:
            EmbeddedPostgresError: the server did not stop.
        """
        if self._use is None or self._place is None:
            return
        with self._place.turn(time.monotonic() + self._timeout_seconds):
            os.close(self._use)
            self._use = None
            if not self._place.is_used():
                self._shut_down(self._place)

    def destroy(self) -> None:
        """End this use and remove the cluster with all its data.

        Raises:
            EmbeddedPostgresError: another process uses it.
        """
        self.stop()
        deadline = time.monotonic() + self._timeout_seconds
        place = self._find_place(deadline)
        with place.turn(deadline):
            if place.is_used():
                raise EmbeddedPostgresError(f"the database in {place.folder} is in use")
            self._shut_down(place)
            shutil.rmtree(place.cluster, ignore_errors=True)
            shutil.rmtree(place.run, ignore_errors=True)
            if place.folder != self._data_dir.resolve():
                (self._data_dir / "location").unlink(missing_ok=True)
                shutil.rmtree(place.folder)
        self._place = None

    def place_cluster(self, fill: Callable[[Path], None]) -> None:
        """Put a cluster that comes from elsewhere into the data folder; the next start runs over it.

        Args:
            fill: makes the folder that it is given; it becomes the server user's.

        Raises:
            EmbeddedPostgresError: the data folder holds a cluster already.
        """
        deadline = time.monotonic() + self._timeout_seconds
        place = self._find_place(deadline)
        with place.turn(deadline):
            if place.cluster.exists():
                raise EmbeddedPostgresError(f"{self._data_dir} holds a database already: name another data folder")
            unfinished = place.folder / "cluster.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                fill(unfinished)
                if place.user.switch:
                    for path in (unfinished, *unfinished.rglob("*")):
                        os.chown(path, place.user.uid, place.user.gid)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            unfinished.rename(place.cluster)

    def log_end(self) -> str:
        """The end of the server's log, for messages to operators."""
        return _log_end(self._find_place(time.monotonic() + self._timeout_seconds))

    def status(self) -> ServerStatus:
        """Whether a server runs over this data folder, started by whomever."""
        place = self._find_place(time.monotonic() + self._timeout_seconds)
        found = _postmaster(place)
        if found is None:
            return ServerStatus(False, None, place.folder, None)
        return ServerStatus(found.answers(), found.pid, place.folder, found.socket_dir)

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database, as the service's own role (no superuser, may create databases).

        Raises:
            EmbeddedPostgresError: the server does not run.
        """
        return _url(self._socket_dir(), _ROLE, database)

    def superuser_url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL as superuser, for backup and measurement."""
        return _url(self._socket_dir(), _SUPERUSER, database)

    def ensure_database(self, name: str) -> str:
        """Create the database unless it exists.

        Returns:
            its name.
        """
        with psycopg.connect(
            host=str(self._socket_dir()), port=_PORT, user=_ROLE, dbname="postgres", autocommit=True
        ) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def _find_place(self, deadline: float) -> Place:
        if self._place is None:
            self._place = find_place(self._data_dir, deadline, volatile=self._volatile)
        return self._place

    def _socket_dir(self) -> Path:
        found = _postmaster(self._place) if self._place is not None and self._use is not None else None
        if found is None or found.socket_dir is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL is not started")
        return found.socket_dir

    def _ensure_running(self, place: Place, deadline: float, *, others_use_it: bool) -> None:
        place.user.own(place.run)
        if not place.cluster.exists():
            self._create_cluster(place)
        while True:
            found = _postmaster(place)
            if found is None:
                _remove_left_over_lock_files(place, others_use_it=others_use_it)
                self._launch(place, deadline)
            elif found.answers():
                return
            elif time.monotonic() > deadline:
                raise EmbeddedPostgresError(_with_log(place, f"PostgreSQL did not answer (process {found.pid})"))
            else:
                time.sleep(0.05)

    def _create_cluster(self, place: Place) -> None:
        unfinished = place.folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        place.user.own(unfinished)
        # fmt: off
        done = place.user.run([
            server_programs(place.user) / "initdb", "--pgdata", unfinished, "--username", _SUPERUSER,
            "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--auth-local=trust", "--auth-host=reject", "--no-instructions",
            *(["--no-sync"] if self._volatile else []),
        ])
        # fmt: on
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"PostgreSQL could not create its cluster:\n{done.stdout.strip()}")
        unfinished.rename(place.cluster)

    def _launch(self, place: Place, deadline: float) -> None:
        programs = server_programs(place.user)
        _check_version(place, programs)
        log = place.run / "server.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES_KEPT:
            log.rename(log.with_suffix(".log.1"))
        settings = {
            **_CONFIGURATION,
            **(_VOLATILE if self._volatile else _DURABLE | memory_settings(usable_memory())),
            "unix_socket_directories": str(self._socket_dir_of(place)),
        }
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        seconds = max(1, int(deadline - time.monotonic()))
        # fmt: off
        done = place.user.run([
            programs / "pg_ctl", "start", "--wait", "--silent", "--timeout", str(seconds),
            "--pgdata", place.cluster, "--log", log, "--options", options,
        ], seconds + 10)
        # fmt: on
        if done.returncode == 0:
            _ensure_role(place)
        elif time.monotonic() < deadline and _former_server_is_ending(place):
            time.sleep(0.2)
        else:
            raise EmbeddedPostgresError(_with_log(place, f"PostgreSQL did not start: {done.stdout.strip()}"))

    def _socket_dir_of(self, place: Place) -> Path:
        """The same for every start by this object: who is connected knows it."""
        if self._chosen_socket_dir is None or not self._chosen_socket_dir.is_dir():
            self._chosen_socket_dir = _choose_socket_dir(place)
        return self._chosen_socket_dir

    def _shut_down(self, place: Place) -> None:
        found = _postmaster(place)
        if found is None:
            return
        control = server_programs(place.user) / "pg_ctl"
        seconds = max(1, int(self._timeout_seconds))
        for mode in ("fast", "immediate"):
            # fmt: off
            done = place.user.run([
                control, "stop", "--wait", "--silent", "--timeout", str(seconds), "--mode", mode,
                "--pgdata", place.cluster,
            ], seconds + 10)
            # fmt: on
            if done.returncode == 0 or _postmaster(place) is None:
                break
        else:
            raise EmbeddedPostgresError(_with_log(place, f"PostgreSQL did not stop: {done.stdout.strip()}"))
        if found.socket_dir is not None and found.socket_dir != place.run:
            shutil.rmtree(found.socket_dir, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Postmaster:
    pid: int
    socket_dir: Path | None  # None: it has only just been started

    def answers(self) -> bool:
        if self.socket_dir is None:
            return False
        try:
            psycopg.connect(
                host=str(self.socket_dir), port=_PORT, user=_SUPERUSER, dbname="postgres", connect_timeout=5
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def has_ended(self) -> bool:
        """Whether no such process exists, or only its uncollected remains."""
        try:
            return "\nState:\tZ" in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return True

    def runs_over(self, cluster: Path) -> bool:
        """Whether the process works inside the cluster folder, as a PostgreSQL server does."""
        try:
            return Path(f"/proc/{self.pid}/cwd").samefile(cluster)
        except OSError:  # no such process, or one of another user
            return False


def _postmaster(place: Place) -> _Postmaster | None:
    """The server that runs over the cluster, ready or not; ``None`` when its pid file is left over or absent.

    Source: PostgreSQL ``postmaster.pid``: line 1 process id, line 5 socket folder.
    """
    found = _named_by_pid_file(place)
    return found if found is not None and (found.runs_over(place.cluster) or found.answers()) else None


def _named_by_pid_file(place: Place) -> _Postmaster | None:
    try:
        lines = (place.cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].isdigit():
        return None
    socket_dir = Path(lines[4]) if len(lines) > 4 and lines[4].startswith("/") else None
    return _Postmaster(int(lines[0]), socket_dir)


def _remove_left_over_lock_files(place: Place, *, others_use_it: bool) -> None:
    """Remove the pid file and socket lock of a server that does not run any more.

    PostgreSQL itself refuses to start while a process of that number exists, although it may be another program by
    now, or dead and not collected yet by its parent. With other users of the cluster about, a living process is left
    to PostgreSQL's own judgement: it may be a server that only they can see (another container on the same volume).
    """
    named = _named_by_pid_file(place)
    if named is None or not others_use_it or named.has_ended():
        (place.cluster / "postmaster.pid").unlink(missing_ok=True)
        (place.run / f".s.PGSQL.{_PORT}.lock").unlink(missing_ok=True)


def _choose_socket_dir(place: Place) -> Path:
    if len(os.fsencode(place.run)) + len(f"/.s.PGSQL.{_PORT}.lock") <= _LONGEST_SOCKET_PATH:
        return place.run
    folder = Path(tempfile.mkdtemp(prefix="traitdunion-socket-", dir="/tmp"))
    if place.user.switch:
        os.chown(folder, place.user.uid, place.user.gid)
    return folder


def _ensure_role(place: Place) -> None:
    found = _postmaster(place)
    if found is None:
        raise EmbeddedPostgresError(_with_log(place, "PostgreSQL ended at once"))
    with psycopg.connect(
        host=str(found.socket_dir), port=_PORT, user=_SUPERUSER, dbname="postgres", autocommit=True
    ) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_ROLE]).fetchone() is None:
            role = sql.Identifier(_ROLE)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(role))
            connection.execute(sql.SQL("GRANT pg_monitor, pg_checkpoint TO {}").format(role))


def _check_version(place: Place, programs: Path) -> None:
    cluster = (place.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    program = place.user.run([programs / "postgres", "--version"]).stdout.split()[-1]
    if program.split(".")[0] != cluster:
        raise EmbeddedPostgresError(
            f"the database in {place.cluster} is of PostgreSQL {cluster}, the installed server is {program}: "
            "dump it with the former version and load it with this one"
        )


def _url(socket_dir: Path, user: str, database: str) -> str:
    return URL.create(
        "postgresql+psycopg", username=user, database=database, query={"host": str(socket_dir), "port": str(_PORT)}
    ).render_as_string()


def _log_end(place: Place) -> str:
    try:
        with (place.run / "server.log").open("rb") as log:
            log.seek(max(0, (place.run / "server.log").stat().st_size - 2000))
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _former_server_is_ending(place: Place) -> bool:
    """Whether the start failed because processes of a killed server are still about."""
    reasons = [line for line in _log_end(place).splitlines() if " FATAL: " in line]
    return bool(reasons) and any(sign in reasons[-1] for sign in ("shared memory block", "already exists"))


def _with_log(place: Place, sentence: str) -> str:
    return f"{sentence}\nend of {place.run / 'server.log'}:\n{_log_end(place)}"

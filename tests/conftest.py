"""Real databases for tests: one volatile embedded server a run, a migrated template, a clone of it for each test."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import psycopg.waiting
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from ihe import fibers
from region.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from region.migrations import migration_folders, upgrade

_ROOT = Path(__file__).resolve().parents[1]
# How fast examples are made and run says something of the machine and its other work, nothing of the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_TEMPLATE_LOCK = 7_405_162

_BLOCKING = frozenset({"socket.connect", "socket.getaddrinfo", "subprocess.Popen"})
_blocked: list[str] = []


def _notice(what: str, _arguments: object = None) -> None:
    if what in _BLOCKING and fibers.present_loop() is not None:
        _blocked.append(what)


def _noticed(function: Callable[..., Any]) -> Callable[..., Any]:
    def noticed(*arguments: Any, **named: Any) -> Any:
        if fibers.present_loop() is not None:
            _blocked.append(function.__name__)
        return function(*arguments, **named)

    return noticed


psycopg.waiting.wait = _noticed(psycopg.waiting.wait)
time.sleep = _noticed(time.sleep)
sys.addaudithook(_notice)


@pytest.fixture(autouse=True)
def nothing_blocks_an_event_loop() -> Iterator[None]:
    """What is served in an event loop (:mod:`ihe.fibers`) connects, sleeps and waits for nothing, in whatever test."""
    _blocked.clear()
    yield
    assert not _blocked, "this blocked an event loop, and everybody it serves"


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedPostgres]:
    """The server of this checkout's tests, shared by xdist workers and parallel runs; the last to end removes it.

    Its folder is always the same, so that the server of a run that was killed is found and removed by the next one.
    """
    checkout = hashlib.sha256(str(_ROOT).encode()).hexdigest()[:8]
    server = EmbeddedPostgres(
        Path(tempfile.gettempdir()) / f"traitdunion-tests-{os.geteuid()}-{checkout}", volatile=True
    )
    server.start()
    yield server
    with contextlib.suppress(EmbeddedPostgresError):  # another worker still uses it
        server.destroy()


@pytest.fixture(scope="session")
def template_database(embedded_server: EmbeddedPostgres) -> str:
    """Name of a database with the present schema and no rows; to be cloned, never written to."""
    revisions = sorted(file for folder in migration_folders() for file in folder.glob("*.py"))
    name = "template_" + hashlib.sha256(b"".join(file.read_bytes() for file in revisions)).hexdigest()[:12]
    with _administer(embedded_server) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            unfinished = embedded_server.ensure_database(f"{name}_unfinished")
            upgrade(embedded_server.url(unfinished))
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(unfinished), sql.Identifier(name))
            )
    return name


@pytest.fixture
def database_url(embedded_server: EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, migrated, empty database of this test alone."""
    with clone_database(embedded_server, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(embedded_server: EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, migrated database that the tests of one module share."""
    with clone_database(embedded_server, template_database) as url:
        yield url


@pytest.fixture(scope="session")
def clone() -> Callable[[EmbeddedPostgres, str], contextlib.AbstractContextManager[str]]:
    """Makes further databases, for tests that need several."""
    return clone_database


@contextlib.contextmanager
def clone_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """A database of its own, dropped afterwards even when connections to it are still open."""
    name = sql.Identifier(database := f"test_{uuid4().hex}")
    with _administer(server) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(name, sql.Identifier(template))
        )
    yield server.url(database)
    with _administer(server) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _administer(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(server.url("postgres").replace("+psycopg", ""), autocommit=True)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Folder of independent test material beside the repository; a test that needs it is skipped without it."""
    folder = Path(os.environ.get("TRAITDUNION_SHARED") or _ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"independent test material is not at {folder}")
    return folder

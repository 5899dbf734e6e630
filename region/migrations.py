"""Bring a database to the present schema, also while the version before serves.

Each package keeps its own revisions (``ihe``, ``mpi``, ``xds``, ``web``: one Alembic branch each) beside its tables,
written by hand in SQL. No Alembic environment file is needed: the revisions are run from here alone.

A revision only adds (*expand*), so that the version before goes on serving; one that takes away (*contract*) says since
which release nobody needs that any more (``CONTRACTS``). A database that is ahead is left as it is: an older version
may start over it. A change that would have to wait for a long statement gives way and is tried again, because whoever
comes after it would wait as well.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import OperationalError

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).resolve().parent.parent
_BRANCHES = ("ihe", "mpi", "xds", "web")
_LOCK = 0x7472_6169_7464_756E
_LOCK_NOT_AVAILABLE = "55P03"
_WAIT_MS: Final = 1000
_ATTEMPTS: Final = 60

_TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|FUNCTION|SCHEMA|TYPE)\b|\bRENAME\b|\bALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE\b"
    r"|\bSET\s+NOT\s+NULL\b|\bADD\s+COLUMN\s+(?![^,;]*\bDEFAULT\b)[^,;]*\bNOT\s+NULL\b|\bTRUNCATE\b",
    re.IGNORECASE,
)


class SchemaFault(Exception):
    """The database has a schema that this version knows nothing of, or does not let it be changed."""


def migration_folders() -> list[Path]:
    """The folders of revision files, of the packages that have any."""
    folders = (_SOURCE / branch / "store" / "migrations" for branch in _BRANCHES)
    return [folder for folder in folders if folder.is_dir()]


def takes_away(statements: str) -> list[str]:
    """What of SQL statements the version before may still need."""
    return [found.group(0) for found in _TAKES_AWAY.finditer(statements)]


def upgrade(url: str, folders: Sequence[Path] | None = None) -> None:
    """Apply what is missing, all or nothing. Several processes may call this at once; one works, the others wait.

    Args:
        url: SQLAlchemy URL of a PostgreSQL database.
        folders: of revision files; by default those of this version.

    Raises:
        SchemaFault: the schema is a stranger's, or statements that never end hold a table for a minute.
    """
    directory = _directory(folders)
    engine = create_engine(url, poolclass=pool.NullPool)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with engine.connect() as connection, connection.begin():
                _run(connection, directory)
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            log.info("a change of the schema gives way to statements that are under way")
            time.sleep(min(0.1 * attempt, 1.0))
    raise SchemaFault("the schema cannot be changed: statements that do not end hold its tables")


def _run(connection: Connection, directory: ScriptDirectory) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = {_WAIT_MS}"))
    context = MigrationContext.configure(
        connection, opts={"fn": lambda revision, _: directory._upgrade_revs("heads", revision)}
    )
    if _is_ahead(context.get_current_heads(), directory):
        log.info("the schema is of a later version, which this one can use")
        return
    with Operations.context(context):
        context.run_migrations()


def pending(url: str) -> list[str]:
    """The revisions that the database lacks, in the order in which :func:`upgrade` would apply them."""
    directory = _directory(None)
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_heads()
    if _is_ahead(present, directory):
        return []
    done = {step.revision for head in present for step in directory.iterate_revisions(head, "base")}
    return [step.revision for step in reversed(list(directory.walk_revisions())) if step.revision not in done]


def _directory(folders: Sequence[Path] | None) -> ScriptDirectory:
    locations = [str(folder) for folder in (folders or migration_folders())]
    return ScriptDirectory(str(_SOURCE), version_locations=locations)


def _is_ahead(present: Sequence[str], directory: ScriptDirectory) -> bool:
    """Whether a later version has migrated the database. Revisions are numbered: ``mpi_0203`` comes after ``mpi_0202``.

    Raises:
        SchemaFault: a revision is unknown and not later than ours.
    """
    known = {script.revision for script in directory.walk_revisions()}
    unknown = [revision for revision in present if revision not in known]
    for revision in unknown:
        branch = revision.partition("_")[0]
        ours = [each for each in known if each.startswith(f"{branch}_")]
        if not ours or revision < max(ours):
            raise SchemaFault(f"the database has a schema that this version does not know ({revision})")
    return bool(unknown)

"""Bring a database to the present schema.

Each package keeps its own revisions (``ihe``, ``mpi``, ``xds``, ``web``: one Alembic branch each) beside its tables,
written by hand in SQL. No Alembic environment file is needed: the revisions are run from here alone.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool, text

_SOURCE = Path(__file__).resolve().parent.parent
_BRANCHES = ("ihe", "mpi", "xds", "web")
_LOCK = 0x7472_6169_7464_756E


def migration_folders() -> list[Path]:
    """The folders of revision files, of the packages that have any."""
    folders = (_SOURCE / branch / "store" / "migrations" for branch in _BRANCHES)
    return [folder for folder in folders if folder.is_dir()]


def upgrade(url: str) -> None:
    """Apply what is missing, all or nothing. Several processes may call this at once; one works, the others wait.

    Args:
        url: SQLAlchemy URL of a PostgreSQL database.
    """
    directory = ScriptDirectory(str(_SOURCE), version_locations=[str(folder) for folder in migration_folders()])
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context = MigrationContext.configure(
            connection,
            opts={"fn": lambda revision, _: directory._upgrade_revs("heads", revision)},
        )
        with Operations.context(context):
            context.run_migrations()


def pending(url: str) -> list[str]:
    """The revisions that the database lacks, in the order in which :func:`upgrade` would apply them."""
    directory = ScriptDirectory(str(_SOURCE), version_locations=[str(folder) for folder in migration_folders()])
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_heads()
    done = {step.revision for head in present for step in directory.iterate_revisions(head, "base")}
    return [step.revision for step in reversed(list(directory.walk_revisions())) if step.revision not in done]

"""Bring a backup back, as it was at its end or at a moment of choice.

Source: PostgreSQL: "Recovering Using a Continuous Archive Backup".
"""

from __future__ import annotations

import contextlib
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from region.backup import BackupFault, Base, bases, first_segment, segments, verify
from region.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError

_LOG: Final = "restored_wal"
_RECOVERY: Final = (
    "restore_command",
    "recovery_target_time",
    "recovery_target_action",
    "recovery_target_timeline",
)


def choose(backup: Path, at: datetime | None) -> Base:
    """The newest base from which a moment can be reached; without one, the newest.

    Raises:
        BackupFault: there is none.
    """
    found = bases(backup) if backup.is_dir() else []
    if not found:
        raise BackupFault(f"{backup} holds no complete backup")
    if at is None:
        return found[-1]
    fitting = [base for base in found if base.ended <= at]
    if not fitting:
        raise BackupFault(f"the oldest backup ended at {found[0].ended.isoformat()}, after the moment that is wanted")
    return fitting[-1]


def prepare(backup: Path, base: Base, folder: Path, at: datetime | None) -> None:
    """Make a data folder that a server of the base's version recovers by itself when it is started over it.

    Args:
        folder: must not exist.
        at: recover to the last commit until then; ``None``: as far as the log goes.

    Raises:
        BackupFault: the base is damaged.
    """
    verify(base.folder)
    shutil.copytree(base.folder, folder, ignore=shutil.ignore_patterns("backup.json"))
    folder.chmod(0o700)
    log = folder / _LOG
    log.mkdir(mode=0o700)
    first = first_segment(base.folder)
    for path in segments(backup):
        if path.name[8:24] >= first[8:24]:
            # The segment that was being written; a whole one of that name takes precedence.
            name = path.name.removesuffix(".partial")
            if not (log / name).exists():
                shutil.copyfile(path, log / name)
    for path in (backup / "wal").glob("*.history"):
        shutil.copyfile(path, log / path.name)
    lines = [f"restore_command = 'cp {_LOG}/%f %p'", "recovery_target_timeline = 'latest'"]
    if at is not None:
        lines += [
            f"recovery_target_time = '{at.astimezone(UTC).isoformat(sep=' ')}'",
            "recovery_target_action = 'promote'",
        ]
    with (folder / "postgresql.auto.conf").open("a", encoding="utf-8") as configuration:
        configuration.write("\n".join(lines) + "\n")
    (folder / "recovery.signal").touch()


def restore(backup: Path, data_dir: Path, at: datetime | None, *, timeout_seconds: float = 3600) -> Base:
    """Bring the embedded database of a data folder back.

    Args:
        data_dir: folder of the embedded server; it must hold no database.
        timeout_seconds: how long recovery may take.

    Raises:
        BackupFault: there is no such backup, or the log ends before the moment that is wanted.
        EmbeddedPostgresError: the folder holds a database already.
    """
    base = choose(backup, at)
    server = EmbeddedPostgres(data_dir, timeout_seconds=timeout_seconds)
    server.place_cluster(lambda folder: prepare(backup, base, folder, at))
    try:
        with server:
            _finish(server, timeout_seconds)
    except EmbeddedPostgresError as error:
        reason = "the log of the backup ends before the moment that is wanted"
        known = "before configured recovery target was reached" in str(error)
        with contextlib.suppress(EmbeddedPostgresError):
            server.destroy()
        raise BackupFault(reason if known else str(error)) from error
    return base


def _finish(server: EmbeddedPostgres, timeout_seconds: float) -> None:
    """Wait until the server takes writes, and forget how it came there."""
    url = server.superuser_url().replace("+psycopg", "", 1)
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                row = connection.execute("SELECT pg_is_in_recovery(), current_setting('data_directory')").fetchone()
                if row is not None and not row[0]:
                    for name in _RECOVERY:
                        connection.execute(f"ALTER SYSTEM RESET {name}")
                    shutil.rmtree(Path(row[1]) / _LOG, ignore_errors=True)
                    return
        except psycopg.OperationalError as error:
            if not server.status().ready:
                raise EmbeddedPostgresError(server.log_end()) from error
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"recovery did not end within {timeout_seconds:.0f} s")
        time.sleep(0.1)

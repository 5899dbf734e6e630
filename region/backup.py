"""Backups: the database as a base with the log that follows it, and the documents beside it.

A backup folder holds ``base/<moment>/`` (a copy of the database cluster, verified against its manifest), ``wal/`` (the
log of every change since, while somebody follows) and ``documents/`` (the content store). A document is durable before
its metadata are committed, and documents are copied after the database: no restored entry lacks its bytes.

Source: PostgreSQL: "Continuous Archiving and Point-in-Time Recovery".
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import psycopg
from sqlalchemy import make_url

from region.embedded_postgres.binaries import ServerUser, server_programs

SLOT: Final = "traitdunion_backup"
"""Replication slot of the follower: the server keeps what it has not taken yet."""
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_DONE: Final = "backup.json"
_MANIFEST: Final = "--manifest-checksums=SHA256"
_UNLISTED: Final = frozenset({"backup_manifest", _DONE})
_LOOK_SECONDS: Final = 5.0


class BackupFault(Exception):
    """A backup cannot be taken or used; one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Base:
    """One complete copy of the database.

    Attributes:
        began, ended: when it was taken (UTC); it can be restored to any moment from ``ended`` on.
        server: version of the server, for example ``18.4``.
        database: name of the database of the service.
    """

    folder: Path
    began: datetime
    ended: datetime
    server: str
    database: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What :func:`take` noted.

        Raises:
            BackupFault: the folder holds no complete base.
        """
        try:
            noted = json.loads((folder / _DONE).read_text(encoding="utf-8"))
            began, ended = datetime.fromisoformat(noted["began"]), datetime.fromisoformat(noted["ended"])
            return cls(folder, began, ended, noted["server"], noted["database"])
        except (OSError, ValueError, KeyError) as error:
            raise BackupFault(f"{folder} holds no complete backup") from error


def bases(backup: Path) -> list[Base]:
    """The complete bases of a backup folder, oldest first; one that was broken off is none."""
    return [Base.read(folder.parent) for folder in sorted((backup / "base").glob(f"*/{_DONE}"))]


@contextlib.contextmanager
def folder_of(backup: Path) -> Iterator[Path]:
    """A backup folder, created when absent, for one writer at a time.

    Raises:
        BackupFault: another process writes there.
    """
    try:
        for folder in (backup, backup / "base", backup / "wal", backup / "documents"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(backup / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BackupFault(f"{backup} cannot be written to: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield backup
    except BlockingIOError:
        raise BackupFault(f"another process writes a backup to {backup}") from None
    finally:
        os.close(lock)


def take(backup: Path, url: str) -> Base:
    """Copy the database while it serves, and verify the copy.

    Args:
        backup: a folder from :func:`folder_of`.
        url: of a role that may replicate.

    Raises:
        BackupFault: the server refuses, or the copy is not what the server sent.
    """
    began = datetime.now(UTC)
    folder = backup / "base" / began.strftime(_STAMP)
    server = _server_version(url)
    try:
        _run(url, "pg_basebackup", "--pgdata", folder, "--wal-method=stream", "--checkpoint=fast", _MANIFEST)
        verify(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    base = Base(folder, began, datetime.now(UTC), server, str(make_url(url).database))
    noted = {name: str(value) for name, value in asdict(base).items() if name != "folder"}
    unfinished = folder / f".{_DONE}"
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(noted, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(folder / _DONE)
    return base


def keep_newest(backup: Path, count: int) -> int:
    """Delete all but the newest bases and the log that only they needed; returns how many bases went."""
    found = bases(backup)
    for base in found[:-count]:
        (base.folder / _DONE).unlink()
        shutil.rmtree(base.folder)
    kept = found[-count:]
    if kept:
        first = first_segment(kept[0].folder)
        for path in segments(backup):
            if path.name[8:24] < first[8:24]:
                path.unlink()
    return max(len(found) - count, 0)


def segments(backup: Path) -> list[Path]:
    """Files of the log in the order of time; the last may be partial."""
    return sorted(
        (path for path in (backup / "wal").iterdir() if len(path.name.removesuffix(".partial")) == 24),
        key=lambda path: (path.name[8:24], path.name),
    )


def first_segment(base: Path) -> str:
    """Name of the segment of the log with which the recovery of a base begins.

    Source: PostgreSQL ``backup_label``: ``START WAL LOCATION: 0/2000028 (file 000000010000000000000002)``.
    """
    label = (base / "backup_label").read_text(encoding="utf-8")
    return label.partition("(file ")[2].partition(")")[0]


def copy_documents(source: Path, target: Path, since: float = 0.0) -> int:
    """Copy the objects of a content folder that the other lacks; returns how many.

    An object never changes, so what is there already is not looked at again.

    Args:
        source, target: folders of :class:`~xds.store.content.DiskContent`, or copies of such.
        since: leave out folders in which nothing was placed since then (seconds of the epoch).
    """
    copied = 0
    for shard in sorted((source / "objects").glob("??/??")):
        if shard.stat().st_mtime < since:
            continue
        there = target / "objects" / shard.parent.name / shard.name
        there.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = {path.name for path in there.iterdir()}
        for path in shard.iterdir():
            if path.name in known:
                continue
            unfinished = there / f".{path.name}"
            try:
                with path.open("rb") as read, unfinished.open("wb") as write:
                    shutil.copyfileobj(read, write, 1024 * 1024)
                    write.flush()
                    os.fsync(write.fileno())
            except FileNotFoundError:  # removed meanwhile
                unfinished.unlink(missing_ok=True)
                continue
            unfinished.rename(there / path.name)
            copied += 1
    return copied


@contextlib.contextmanager
def following(backup: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """The server's log on its way into a backup folder, each change as soon as it is committed, while the block runs.

    What the server has committed while nobody followed is fetched first: a slot makes it wait. It waits for ever; so
    watch the disk, or give up following with :func:`forget`.

    Raises:
        BackupFault: the server refuses.
    """
    _run(url, "pg_receivewal", "--create-slot", "--if-not-exists", "--slot", SLOT)
    command, environment = _command(url, "pg_receivewal", "--slot", SLOT, "--synchronous", "--no-loop")
    follower = subprocess.Popen(
        [*command, "--directory", str(backup / "wal")],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield follower
    finally:
        follower.terminate()
        follower.wait(30)


def follow(
    backup: Path,
    url: str,
    documents: Path | None,
    stop: threading.Event,
    base: Callable[[], object] | None = None,
) -> None:
    """Write every change of database and documents to a backup folder until told to stop.

    Args:
        documents: the content folder; ``None`` where documents are kept in an object store.
        base: takes a base once the log arrives, so that it can be restored to any moment from then on.

    Raises:
        BackupFault: the server ended the stream; what had arrived by then is kept, and going on is starting anew.
    """
    with following(backup, url) as follower:
        if base is not None:
            base()
        looked = 0.0
        while True:
            began = time.time()
            if documents is not None:
                copy_documents(documents, backup / "documents", since=looked - _LOOK_SECONDS)
            looked = began
            if stop.is_set():
                return
            if follower.poll() is not None:
                raise BackupFault("the database server ended the stream of its log")
            stop.wait(_LOOK_SECONDS)


def forget(url: str) -> None:
    """Let the server keep no log for a follower any more."""
    with contextlib.suppress(BackupFault):
        _run(url, "pg_receivewal", "--drop-slot", "--slot", SLOT)


def verify(base: Path) -> None:
    """Hold the folder of a base against its manifest.

    Our own reading of it: the program ``pg_verifybackup`` of the wheel does not run.

    Source: PostgreSQL: "Backup Manifest Format".

    Raises:
        BackupFault: a file is missing, added or changed.
    """
    try:
        written = (base / "backup_manifest").read_bytes()
        manifest = json.loads(written)
        listed = {entry["Path"]: (entry["Size"], entry["Checksum"]) for entry in manifest["Files"]}
        body = written[: written.rindex(b'"Manifest-Checksum"')]
        sound = hashlib.sha256(body).hexdigest() == manifest["Manifest-Checksum"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupFault(f"{base} is damaged: its manifest cannot be read") from error
    if not sound:
        raise BackupFault(f"{base} is damaged: its manifest was changed")
    present = {str(path.relative_to(base)): path for path in base.rglob("*") if path.is_file()}
    for name, (size, checksum) in listed.items():
        path = present.pop(name, None)
        if path is None:
            raise BackupFault(f"{base} is damaged: {name} is missing")
        with path.open("rb") as file:
            if path.stat().st_size != size or hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                raise BackupFault(f"{base} is damaged: {name} was changed")
    if added := [name for name in present if name not in _UNLISTED and not name.startswith("pg_wal/")]:
        raise BackupFault(f"{base} is damaged: {min(added)} was added")


_PRESENT = ServerUser(os.geteuid(), os.getegid(), switch=False)


def _server_version(url: str) -> str:
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        version = connection.info.server_version
    return f"{version // 10000}.{version % 10000}"


def _command(url: str, program: str, *arguments: str | Path) -> tuple[list[str], dict[str, str]]:
    """The password goes by the environment: a command line can be read by everybody on the machine."""
    parts = make_url(url)
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"}
    if parts.password:
        environment["PGPASSWORD"] = str(parts.password)
    asked = {"host": parts.host, "port": parts.port, "user": parts.username, **parts.query}
    target = " ".join(f"{name}='{value}'" for name, value in asked.items() if value)
    command = [server_programs(_PRESENT) / program, "--no-password", "--dbname", target, *arguments]
    return [str(part) for part in command], environment


def _run(url: str, program: str, *arguments: str | Path) -> None:
    command, environment = _command(url, program, *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise BackupFault(f"{program}: {said[-1] if said else 'failed'}")

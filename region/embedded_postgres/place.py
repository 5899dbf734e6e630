"""Where the cluster of a data folder lives, and the locks that its users hold.

Usually inside the data folder. When root runs the service and the unprivileged server user cannot reach the data
folder, the cluster gets a folder of its own elsewhere and the data folder records where (file ``location``).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from region.embedded_postgres.binaries import EmbeddedPostgresError, ServerUser, root_owned_folder

_ROOT_STATE = Path("/var/lib/traitdunion")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that holds the cluster, its run folder and its locks.

    Attributes:
        folder: absolute, without symbolic links.
        user: who the server runs as.
        owner_uid: who owns the data folder; lock files are made theirs.
    """

    folder: Path
    user: ServerUser
    owner_uid: int

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.folder / "cluster"

    @property
    def run(self) -> Path:
        """Private to the server user: log and, when its path is short enough, the socket."""
        return self.folder / "run"

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Hold the right to start or stop the server; one process at a time.

        Args:
            deadline: on the monotonic clock.

        Raises:
            EmbeddedPostgresError: another process kept it until the deadline.
        """
        with exclusive(self.folder / "lock", self.owner_uid, deadline):
            yield

    def begin_use(self) -> int:
        """Note that this process uses the server; the kernel forgets it when the process dies, however it dies.

        Returns:
            an open file, to be closed when the use ends.
        """
        lock = _open(self.folder / "in-use", self.owner_uid)
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock

    def is_used(self) -> bool:
        """Whether any process uses the server."""
        lock = _open(self.folder / "in-use", self.owner_uid)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False


def find_place(data_dir: Path, deadline: float, *, volatile: bool) -> Place:
    """Find, or choose once, where the cluster of a data folder lives.

    Args:
        volatile: a place elsewhere goes to the temporary folder, not to the machine's state folder.

    Raises:
        EmbeddedPostgresError: the data folder is not usable, or was copied from another one.
    """
    if not data_dir.exists():
        # As root the server's user must be able to pass; what stands inside has rights of its own.
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    home = data_dir.resolve()
    owner_uid = home.stat().st_uid
    if os.geteuid() not in {0, owner_uid}:
        raise EmbeddedPostgresError(
            f"{home} belongs to another user (id {owner_uid}): choose a folder of your own with TRAITDUNION_DATA_DIR"
        )
    user = ServerUser.for_owner(owner_uid)
    location = home / "location"
    with exclusive(home / "lock", owner_uid, deadline):
        if location.exists():
            return Place(_recorded(home, location), user, owner_uid)
        if (home / "cluster").exists() or not user.switch or user.reaches(home):
            return Place(home, user, owner_uid)
        base = Path(tempfile.gettempdir()) if volatile else root_owned_folder(_ROOT_STATE)
        folder = Path(tempfile.mkdtemp(prefix="traitdunion-postgres-", dir=base))
        folder.chmod(0o711)
        os.chown(folder, owner_uid, -1)
        (folder / "home").write_text(str(home), encoding="utf-8")
        location.write_text(str(folder), encoding="utf-8")
        return Place(folder, user, owner_uid)


def _recorded(home: Path, location: Path) -> Path:
    if location.lstat().st_uid not in {0, os.geteuid()}:
        raise EmbeddedPostgresError(f"{location} must belong to the user that runs the service")
    folder = Path(location.read_text(encoding="utf-8"))
    back = folder / "home"
    if not back.is_file():
        raise EmbeddedPostgresError(f"{location} says that the database is in {folder}, but it is not there")
    known = Path(back.read_text(encoding="utf-8"))
    if known != home:
        if (known / "location").exists():
            raise EmbeddedPostgresError(
                f"{home} is a copy of {known}: both name the database in {folder}; remove {location} to begin anew"
            )
        back.write_text(str(home), encoding="utf-8")
    return folder


@contextmanager
def exclusive(path: Path, owner_uid: int, deadline: float) -> Iterator[None]:
    """Hold an exclusive lock on a file.

    Raises:
        EmbeddedPostgresError: somebody else kept it until the deadline.
    """
    lock = _open(path, owner_uid)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(f"another process keeps {path} locked") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(lock)


def _open(path: Path, owner_uid: int) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.fstat(lock).st_uid != owner_uid:
        os.fchown(lock, owner_uid, -1)
    return lock

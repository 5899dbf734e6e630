"""Document bytes on disk, addressed by their SHA-256.

Bytes are first *staged*: written to a temporary file while their hashes are computed, in constant memory. When the
submission is accepted they are *published*: flushed to the disk, renamed to their address and the folder flushed too,
all before the answer. A submission that is refused discards its staged file; a crash leaves at most a file that no
table names, which :mod:`xds.services.upkeep` removes after a grace period.

What is read back is verified against its address. A damaged object never arrives whole: a small one is checked before
its first byte leaves, a large one is cut off before its last block.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from ihe.errors import Unavailable
from xds.domain.document_set import Blocks

BLOCK_BYTES = 256 * 1024
"""Size of the blocks in which content is read and answered."""

VERIFIED_FIRST_BYTES = 16 * 1024 * 1024
"""Objects up to this size are verified whole before the first block is handed out."""

DIGEST = re.compile(r"^[0-9a-f]{64}$")


class ContentError(Exception):
    """Stored bytes cannot be delivered as they were stored."""


class ContentMissing(ContentError):
    """No object has that address."""


class ContentCorrupt(ContentError):
    """The bytes at that address no longer have that hash."""


class ContentUnreachable(ContentError):
    """The storage doesn't answer now; the bytes may be sound."""


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What is known of a sequence of bytes once it was seen whole.

    Attributes:
        sha256: the address, 64 lower-case hexadecimal digits.
        sha1: the ``hash`` of XDS metadata, 40 lower-case hexadecimal digits.
        size: bytes, from 0.
    """

    sha256: str
    sha1: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store lists it.

    Attributes:
        size: bytes as stored, which a damaged object may not share with what was written.
        stored_at: when it was last published.
    """

    sha256: str
    size: int
    stored_at: datetime


@runtime_checkable
class StagedContent(Protocol):
    """Bytes on their way in: written once, then published by the store or discarded.

    Leaving the context discards what was not published. What the storage cannot take raises
    :class:`~ihe.errors.Unavailable`.
    """

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes."""

    def facts(self) -> ContentFacts:
        """Hashes and size of what was written; nothing may be written afterwards."""

    def read(self, limit_bytes: int) -> bytes:
        """The written bytes from the start, at most ``limit_bytes`` of them; also once they are published."""

    def discard(self) -> None:
        """Forget the bytes; harmless when already published or discarded."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def as_staged(sink: object) -> StagedContent:
    """A sink that an arriving message was given, as the staged content it is.

    Raises:
        TypeError: the message was given another kind of sink.
    """
    if not isinstance(sink, StagedContent):
        raise TypeError("documents must arrive in the content store")
    return sink


class BlobStore(Protocol):
    """Where document bytes live. One implementation per kind of storage."""

    def stage(self) -> StagedContent:
        """Open a place for new bytes."""

    def publish(self, staged: StagedContent) -> ContentFacts:
        """Make staged bytes durable at their address; the same bytes twice are one object.

        When this returns, the object survives a power cut. Publishing again what was published already changes
        nothing, so that a transaction may be run again.

        Raises:
            Unavailable: the storage cannot take them now.
        """

    def read(self, sha256: str) -> Blocks:
        """The verified bytes of an object, in blocks of at most :data:`BLOCK_BYTES`.

        Raises:
            ContentMissing: no such object; raised by the call itself.
            ContentUnreachable: the storage doesn't answer.
            ContentCorrupt: the bytes changed; raised by the call itself up to :data:`VERIFIED_FIRST_BYTES`, else
                while reading and before the last block.
        """

    def verify(self, sha256: str) -> int:
        """Read an object whole and return its size in bytes.

        Raises:
            ContentMissing: no such object.
            ContentCorrupt: the bytes changed.
        """

    def objects(self) -> Iterator[StoredObject]:
        """Every object, in the order of addresses.

        Raises:
            ContentUnreachable: the storage doesn't answer.
        """

    def remove(self, sha256: str) -> None:
        """Delete an object; harmless when it is gone already.

        Raises:
            ContentUnreachable: the storage doesn't answer.
        """

    def sweep_staging(self, older_than: datetime) -> int:
        """Delete staged bytes abandoned before ``older_than`` and return how many there were."""


class DiskContent:
    """A :class:`BlobStore` in a folder of a local file system.

    Objects lie at ``objects/ab/cd/abcd…``; staged files lie beside them in the same file system, so that publishing
    is one atomic rename. Nobody but the owner may read any of it.
    """

    def __init__(self, root: Path) -> None:
        self._objects = root / "objects"
        self._staging = root / "staging"
        for folder in (root, self._objects, self._staging):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def stage(self) -> DiskStaged:
        return DiskStaged(self._staging)

    def publish(self, staged: StagedContent) -> ContentFacts:
        if not isinstance(staged, DiskStaged):
            raise TypeError("content must be published where it was staged")
        facts = staged.facts()
        if staged.is_published:
            return facts
        # An object already there is replaced by the same bytes: that renews its date and repairs it if damaged.
        target = self._path(facts.sha256)
        with storing():
            self._make_shard(target.parent)
            staged.move_to(target)
            _flush_folder(target.parent)
        return facts

    def read(self, sha256: str) -> Blocks:
        path = self._path(sha256)
        try:
            source = path.open("rb")
        except FileNotFoundError:
            raise ContentMissing(sha256) from None
        try:
            if os.fstat(source.fileno()).st_size <= VERIFIED_FIRST_BYTES:
                hashed_size(source, sha256)
                source.seek(0)
            return VerifiedBlocks(source, sha256)
        except BaseException:
            source.close()
            raise

    def verify(self, sha256: str) -> int:
        try:
            with self._path(sha256).open("rb") as source:
                return hashed_size(source, sha256)
        except FileNotFoundError:
            raise ContentMissing(sha256) from None

    def objects(self) -> Iterator[StoredObject]:
        for outer in sorted(self._objects.iterdir()):
            for inner in sorted(outer.iterdir()):
                for path in sorted(inner.iterdir()):
                    if not DIGEST.match(path.name):
                        continue
                    try:
                        state = path.stat()
                    except FileNotFoundError:
                        continue
                    yield StoredObject(path.name, state.st_size, datetime.fromtimestamp(state.st_mtime, UTC))

    def remove(self, sha256: str) -> None:
        path = self._path(sha256)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        _flush_folder(path.parent)

    def sweep_staging(self, older_than: datetime) -> int:
        return sweep_folder(self._staging, older_than)

    def _path(self, sha256: str) -> Path:
        if not DIGEST.match(sha256):
            raise ValueError("a content address is 64 lower-case hexadecimal digits")
        return self._objects / sha256[:2] / sha256[2:4] / sha256

    def _make_shard(self, folder: Path) -> None:
        """Create the folder of an address so that it survives a power cut."""
        for path in (folder.parent, folder):
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                continue
            _flush_folder(path.parent)


class DiskStaged:
    """A :class:`StagedContent` in a temporary file.

    Args:
        folder: where the file is made.

    Attributes:
        path: the file; once it is published, the object.
        is_published: whether it became the object.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / uuid.uuid4().hex
        self.is_published = False
        with storing():
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=BLOCK_BYTES)
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with storing():
            self._file.write(data)
        self._sha256.update(data)
        self._sha1.update(data)
        self._size += len(data)

    def facts(self) -> ContentFacts:
        if not self._file.closed:
            with storing():
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
        return ContentFacts(self._sha256.hexdigest(), self._sha1.hexdigest(), self._size)

    def read(self, limit_bytes: int) -> bytes:
        if not self._file.closed:
            self._file.flush()
        with self.path.open("rb") as source:
            return source.read(limit_bytes)

    def move_to(self, target: Path) -> None:
        """Rename the finished file; the caller flushes the folder."""
        self.path = self.path.rename(target)
        self.is_published = True

    def discard(self) -> None:
        with contextlib.suppress(OSError):  # what was still buffered is not wanted any more
            self._file.close()
        if not self.is_published:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


@contextlib.contextmanager
def storing() -> Iterator[None]:
    """What the disk cannot take is a reason to try again later, not a fault of the request."""
    try:
        yield
    except OSError as error:
        raise Unavailable("the content store cannot take the document now") from error


def sweep_folder(folder: Path, older_than: datetime) -> int:
    """Delete the files of a staging folder that were last written before ``older_than``."""
    swept = 0
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime < older_than.timestamp():
                path.unlink()
                swept += 1
        except FileNotFoundError:
            continue
    return swept


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Source(Protocol):
    """Bytes to be read."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


def hashed_size(source: Source, sha256: str) -> int:
    """Read to the end; the size in bytes.

    Raises:
        ContentCorrupt: the bytes have another hash.
    """
    size = 0
    digest = hashlib.sha256()
    while block := source.read(BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    if digest.hexdigest() != sha256:
        raise ContentCorrupt(sha256)
    return size


class VerifiedBlocks:
    """Blocks of an object, the last of them only when the whole had the right hash."""

    def __init__(self, source: Source, sha256: str) -> None:
        self._source = source
        self._address = sha256
        self._digest = hashlib.sha256()
        self._held = self._take()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = self._held
        if not block:
            self.close()
            raise StopIteration
        self._held = self._take()
        return block

    def close(self) -> None:
        self._source.close()
        self._held = b""

    def _take(self) -> bytes:
        block = self._source.read(BLOCK_BYTES)
        self._digest.update(block)
        if not block and self._digest.hexdigest() != self._address:
            self.close()
            raise ContentCorrupt(self._address)
        return block

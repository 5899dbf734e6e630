"""Where documents go while they arrive.

A sink takes the bytes of one document, in order, and counts and hashes them on the way, so that a document is read
once. Whoever received the message discards every sink at its end; content that was taken over before is kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


class DocumentFacts(Protocol):
    """What is known of a document that was seen whole."""

    @property
    def size(self) -> int:
        """Bytes, from 0."""

    @property
    def sha1(self) -> str:
        """The ``hash`` of XDS metadata, 40 lower-case hexadecimal digits."""

    @property
    def sha256(self) -> str:
        """64 lower-case hexadecimal digits."""


class DocumentSink(Protocol):
    """Takes one document. A staged content of the document store is one."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def facts(self) -> DocumentFacts:
        """Size and hashes of what was written; nothing is written afterwards."""

    def discard(self) -> None:
        """Forget what was written; harmless when it was taken over or discarded before."""


SinkFactory = Callable[[], DocumentSink]
"""Opens a sink for one more document."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document that came with a message.

    Attributes:
        content_id: without angle brackets.
        mime_type: as its part said, which is not always what the document is.
        facts: of the decoded content.
        sink: where the content went; who knows the sink's kind finds it there.
    """

    content_id: str
    mime_type: str
    facts: DocumentFacts
    sink: DocumentSink


@dataclass(frozen=True, slots=True)
class SpoolFacts:
    """See :class:`DocumentFacts`."""

    size: int
    sha1: str
    sha256: str


class SpoolSink:
    """Spools a document to a file that only this user may read, and removes it when discarded.

    Args:
        folder: where the file is made; ``None`` takes the system's temporary folder.

    Attributes:
        path: the file; it may be read after :meth:`facts` was called, or moved away to take the content over.
    """

    def __init__(self, folder: Path | None = None) -> None:
        handle, name = tempfile.mkstemp(prefix="document-", dir=folder)
        self.path = Path(name)
        self._file: BinaryIO = os.fdopen(handle, "wb")
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        self._sha1.update(data)
        self._sha256.update(data)
        self._file.write(data)

    def facts(self) -> SpoolFacts:
        self._file.close()
        return SpoolFacts(self._size, self._sha1.hexdigest(), self._sha256.hexdigest())

    def discard(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

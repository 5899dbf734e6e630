"""Where documents go while they arrive.

A sink takes the bytes of one document, in order, and is then closed; it is aborted when the message turns out not to be
wanted. The digest is taken on the way, so that a document is read once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class Digest:
    """What identifies the content of a document.

    Attributes:
        size: bytes.
        sha1: lower-case hex, as XDS ``hash``.
        sha256: lower-case hex.
    """

    size: int
    sha1: str
    sha256: str


class DocumentSink(Protocol):
    """Takes one document."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def close(self) -> Digest:
        """End the document; its content is durable as far as the sink promises."""

    def abort(self) -> None:
        """Forget the document; allowed after :meth:`close` too, and more than once."""


SinkFactory = Callable[[], DocumentSink]
"""Opens a sink for one more document."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document that came with a message.

    Attributes:
        content_id: without angle brackets.
        mime_type: as its part said; not always the document's own.
        digest: of the decoded content.
        sink: where it went; who knows the sink's kind finds the content there.
    """

    content_id: str
    mime_type: str
    digest: Digest
    sink: DocumentSink


class Digester:
    """Counts and digests what passes."""

    def __init__(self) -> None:
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._size = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        self._sha1.update(data)
        self._sha256.update(data)

    def digest(self) -> Digest:
        """The digest of what has passed."""
        return Digest(self._size, self._sha1.hexdigest(), self._sha256.hexdigest())


class SpoolSink:
    """Spools a document to a file that only this user may read; :meth:`abort` removes it.

    Args:
        folder: where the file is made; ``None`` takes the system's temporary folder.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        handle, name = tempfile.mkstemp(prefix="document-", dir=folder)
        self.path = Path(name)
        self._file: BinaryIO = os.fdopen(handle, "wb")
        self._digester = Digester()

    def write(self, data: bytes) -> None:
        self._digester.update(data)
        self._file.write(data)

    def close(self) -> Digest:
        self._file.close()
        return self._digester.digest()

    def abort(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

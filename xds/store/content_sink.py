"""Staged content as the place where an arriving message puts its documents."""

from __future__ import annotations

from ihe.soap.sinks import Digest
from xds.store.content import StagedContent


class ContentSink:
    """A document sink (see :mod:`ihe.soap.sinks`) that stages what it takes.

    Closing makes the bytes durable in the staging area; they are lost unless a service publishes them.

    Attributes:
        staged: the bytes, for the service.
    """

    def __init__(self, staged: StagedContent) -> None:
        self.staged = staged

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self.staged.write(data)

    def close(self) -> Digest:
        """End the document."""
        facts = self.staged.facts()
        return Digest(facts.size, facts.sha1, facts.sha256)

    def abort(self) -> None:
        """Forget the document unless it was published."""
        self.staged.discard()

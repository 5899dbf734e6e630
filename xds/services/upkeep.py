"""Every entry has its bytes, every byte its entry: find what is wrong, and remove what nothing names.

Both run beside the service. The sweep deletes bytes only alone at their address (see :mod:`xds.store.repository`), so
it can't meet a submission halfway; the grace period leaves alone what a submission has staged but not yet published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ihe.caller import REGION
from ihe.unit_of_work import Database, UnitOfWork
from xds.services.repository import Repository
from xds.store import repository as kept
from xds.store.content import ContentCorrupt, ContentFacts, ContentMissing, StoredObject

GRACE = timedelta(hours=24)
"""How long bytes that nothing names are left alone."""


REMEDIES = {
    "missing": "put the bytes back from a backup of the documents, or let the source provide the same document again",
    "damaged": "as for missing bytes; until then the document is refused, never sent damaged",
    "unnamed": "removed by the service once a day, or now by --repair",
    "entry-without-document": "the source provides the document again, or its metadata is removed (ITI-62)",
    "document-without-entry": "the source registers the metadata again, or the document is removed (ITI-86)",
    "entry-unlike-document": "the metadata is updated to what is kept (ITI-57)",
}
"""What an operator does about each kind of problem."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be.

    Attributes:
        kind: ``missing``, ``damaged`` or ``unnamed`` bytes; ``entry-without-document``, ``document-without-entry``,
            ``entry-unlike-document``.
        subject: address of the bytes, or uniqueId of the document.
    """

    kind: str
    subject: str


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed.

    Attributes:
        objects: objects that no document named.
        staged: abandoned staged files.
    """

    objects: int
    staged: int


def check(
    database: Database, repository: Repository, *, read_bytes: bool = True, grace: timedelta = GRACE
) -> Iterator[Problem]:
    """Compare entries, documents and bytes.

    Args:
        read_bytes: read and hash every object; otherwise only its presence and size are compared.
        grace: bytes that nothing names are no problem while younger.
    """
    cutoff = datetime.now(UTC) - grace
    with database.unit(REGION) as uow:
        for facts, stored in _side_by_side(uow, repository):
            if facts is None:
                if stored is not None and stored.stored_at < cutoff:
                    yield Problem("unnamed", stored.sha256)
            elif problem := _check_bytes(repository, facts, stored, read_bytes=read_bytes):
                yield problem
        for unique_id in kept.entries_without_document(uow.connection, repository.own_ids):
            yield Problem("entry-without-document", unique_id)
        for unique_id in kept.entries_unlike_content(uow.connection):
            yield Problem("entry-unlike-document", unique_id)
        for unique_id in kept.documents_without_entry(uow.connection):
            yield Problem("document-without-entry", unique_id)


def sweep(database: Database, repository: Repository, *, grace: timedelta = GRACE) -> Swept:
    """Remove bytes that no document names and staged files that nobody published, both older than ``grace``."""
    cutoff = datetime.now(UTC) - grace
    with database.unit(REGION) as uow:
        unnamed = [
            stored.sha256
            for facts, stored in _side_by_side(uow, repository)
            if facts is None and stored is not None and stored.stored_at < cutoff
        ]
    removed = 0
    for address in unnamed:
        with database.unit(REGION) as uow:
            if kept.try_lock_content_alone(uow.connection, address) and kept.forget_unnamed_content(
                uow.connection, address
            ):
                repository.content.remove(address)
                removed += 1
    return Swept(removed, repository.content.sweep_staging(cutoff))


def _check_bytes(
    repository: Repository, facts: ContentFacts, stored: StoredObject | None, *, read_bytes: bool
) -> Problem | None:
    # An object may have been published after the listing passed its address, so absence is asked again.
    if stored is not None and not read_bytes:
        return None if stored.size == facts.size else Problem("damaged", facts.sha256)
    try:
        size = repository.content.verify(facts.sha256)
    except ContentMissing:
        return Problem("missing", facts.sha256)
    except (ContentCorrupt, OSError):
        return Problem("damaged", facts.sha256)
    return None if size == facts.size else Problem("damaged", facts.sha256)


def _side_by_side(uow: UnitOfWork, repository: Repository) -> Iterator[tuple[ContentFacts | None, StoredObject | None]]:
    """What documents name beside what is stored, both in the order of addresses."""
    objects = repository.content.objects()
    stored = next(objects, None)
    for facts in kept.named_content(uow.connection):
        while stored is not None and stored.sha256 < facts.sha256:
            yield None, stored
            stored = next(objects, None)
        if stored is not None and stored.sha256 == facts.sha256:
            yield facts, stored
            stored = next(objects, None)
        else:
            yield facts, None
    while stored is not None:
        yield None, stored
        stored = next(objects, None)

"""Which documents the repository keeps, and in which stored content.

The tables name content; :mod:`xds.store.content` holds it. A writer locks an address, shared, before it publishes bytes
there, and keeps the lock until its rows are committed; whoever deletes unnamed bytes must first get the same lock
alone. So bytes are never deleted between their publication and the commit that names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    ForeignKey,
    LargeBinary,
    Table,
    Text,
    any_,
    delete,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from xds.store.content import ContentFacts
from xds.store.tables import document_entry, metadata

content = Table(
    "content",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("sha1", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False),
)

repository_document = Table(
    "repository_document",
    metadata,
    Column("unique_id", Text, primary_key=True),
    Column("repository_unique_id", Text, nullable=False),
    Column("sha256", LargeBinary, ForeignKey("content.sha256"), nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("provided_by", Text),
    Column("stored_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """A document of the repository.

    Attributes:
        sha256: address of its bytes.
        size: bytes.
        provided_by: domain code of the site that provided it, or ``None`` for the region itself.
        entries: the document entries that describe it, newest first; none when its metadata was deleted.
    """

    unique_id: str
    repository_unique_id: str
    mime_type: str
    sha256: str
    size: int
    provided_by: str | None
    entries: tuple[DescribedBy, ...]


@dataclass(frozen=True, slots=True)
class DescribedBy:
    """What access to a document is decided by, of one of its entries.

    Attributes:
        entry_id: entryUUID without its URN prefix.
        status: ``Approved`` or ``Deprecated``.
        patient_id: CX as submitted.
        anchor: CX of the identifier that the entry follows.
        confidentiality_codes: ``code^^scheme``.
    """

    entry_id: str
    status: str
    patient_id: str
    anchor: str
    confidentiality_codes: tuple[str, ...]


def lock_content(connection: Connection, addresses: Iterable[str]) -> None:
    """Keep bytes at these addresses from being swept until the transaction ends."""
    keys = literal(sorted(map(_lock_key, addresses)), ARRAY(BigInteger))
    connection.execute(select(func.pg_advisory_xact_lock_shared(func.unnest(keys))))


def try_lock_content_alone(connection: Connection, address: str) -> bool:
    """Get an address alone until the transaction ends; ``False`` when a writer is at it."""
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(_lock_key(address)))).scalar())


def save_content(connection: Connection, facts: Sequence[ContentFacts], now: datetime) -> None:
    """Name published content; naming it again changes nothing."""
    rows = [
        {
            "sha256": bytes.fromhex(item.sha256),
            "sha1": bytes.fromhex(item.sha1),
            "size": item.size,
            "stored_at": now,
        }
        # Sorted, so that two submissions of the same documents never wait for each other in a circle.
        for item in sorted(set(facts), key=lambda item: item.sha256)
    ]
    if rows:
        connection.execute(insert(content).on_conflict_do_nothing(), rows)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to keep.

    Attributes:
        provided_by: domain code of the site, or ``None``.
    """

    unique_id: str
    repository_unique_id: str
    sha256: str
    mime_type: str
    provided_by: str | None = None


def save_documents(connection: Connection, documents: Sequence[NewDocument], now: datetime) -> tuple[str, ...]:
    """Keep documents; the same document again changes nothing.

    Returns:
        The uniqueIds under which other bytes are kept already; the caller refuses the submission.
    """
    if not documents:
        return ()
    ordered = sorted(documents, key=lambda document: document.unique_id)
    connection.execute(
        insert(repository_document).on_conflict_do_nothing(),
        [
            {
                "unique_id": document.unique_id,
                "repository_unique_id": document.repository_unique_id,
                "sha256": bytes.fromhex(document.sha256),
                "mime_type": document.mime_type,
                "provided_by": document.provided_by,
                "stored_at": now,
            }
            for document in ordered
        ],
    )
    kept = connection.execute(
        select(repository_document.c.unique_id, repository_document.c.sha256).where(
            repository_document.c.unique_id == any_(_texts(document.unique_id for document in ordered))
        )
    )
    addresses = {unique_id: sha256.hex() for unique_id, sha256 in kept}
    return tuple(document.unique_id for document in ordered if addresses[document.unique_id] != document.sha256)


def find_documents(connection: Connection, unique_ids: Iterable[str]) -> dict[str, KeptDocument]:
    """The kept documents among these uniqueIds, with the entries that describe them, in one query."""
    entry, document = document_entry.c, repository_document.c
    rows = connection.execute(
        select(
            document.unique_id,
            document.repository_unique_id,
            document.mime_type,
            document.sha256,
            content.c.size,
            document.provided_by,
            entry.id,
            entry.status,
            entry.patient_id,
            entry.anchor,
            entry.confidentiality_codes,
        )
        .join(content, content.c.sha256 == document.sha256)
        .join(document_entry, entry.unique_id == document.unique_id, isouter=True)
        .where(document.unique_id == any_(_texts(unique_ids)))
        .order_by(document.unique_id, entry.registered_at.desc(), entry.version.desc())
    )
    found: dict[str, KeptDocument] = {}
    for row in rows:
        known = found.get(row.unique_id)
        entries = known.entries if known else ()
        if row.id is not None:
            codes = tuple(row.confidentiality_codes)
            entries += (DescribedBy(str(row.id), row.status, row.patient_id, row.anchor, codes),)
        found[row.unique_id] = KeptDocument(
            row.unique_id, row.repository_unique_id, row.mime_type, row.sha256.hex(), row.size, row.provided_by, entries
        )
    return found


def remove_documents(connection: Connection, unique_ids: Iterable[str]) -> None:
    """Stop keeping documents, and forget what their manifests described; the bytes go with the next sweep."""
    connection.execute(delete(repository_document).where(repository_document.c.unique_id == any_(_texts(unique_ids))))


def forget_unnamed_content(connection: Connection, address: str) -> bool:
    """Drop the row of an address that no document names; ``False`` when one does."""
    sha256 = bytes.fromhex(address)
    named = select(repository_document.c.unique_id).where(repository_document.c.sha256 == sha256)
    if connection.execute(select(named.exists())).scalar():
        return False
    connection.execute(delete(content).where(content.c.sha256 == sha256))
    return True


def named_content(connection: Connection, *, page: int = 1000) -> Iterator[ContentFacts]:
    """The content that documents name, in the order of addresses, read in pages."""
    named = select(repository_document.c.unique_id).where(repository_document.c.sha256 == content.c.sha256)
    after = b""
    while True:
        rows = connection.execute(
            select(content.c.sha256, content.c.sha1, content.c.size)
            .where(content.c.sha256 > after, named.exists())
            .order_by(content.c.sha256)
            .limit(page)
        ).all()
        for row in rows:
            yield ContentFacts(row.sha256.hex(), row.sha1.hex(), row.size)
        if len(rows) < page:
            return
        after = rows[-1].sha256


def entries_without_document(connection: Connection, repository_unique_ids: Iterable[str]) -> Iterator[str]:
    """UniqueIds of stable entries that point to this repository but whose document it doesn't keep.

    Those of no bytes are left out: they are assembled when they are first retrieved.
    """
    entry = document_entry.c
    rows = connection.execute(
        select(entry.unique_id)
        .where(
            entry.repository_unique_id == any_(_texts(repository_unique_ids)),
            entry.on_demand.is_(False),
            entry.size > 0,
            ~select(repository_document.c.unique_id).where(repository_document.c.unique_id == entry.unique_id).exists(),
        )
        .order_by(entry.unique_id)
        .execution_options(yield_per=1000)
    )
    yield from (row.unique_id for row in rows)


def entries_unlike_content(connection: Connection) -> Iterator[str]:
    """UniqueIds of entries whose hash or size is not that of the kept bytes.

    The first version of one that was assembled late, of no bytes, is left out.
    """
    entry = document_entry.c
    rows = connection.execute(
        select(entry.unique_id)
        .join(repository_document, repository_document.c.unique_id == entry.unique_id)
        .join(content, content.c.sha256 == repository_document.c.sha256)
        .where(
            (entry.hash != func.encode(content.c.sha1, "hex")) | (entry.size != content.c.size),
            entry.repository_unique_id == repository_document.c.repository_unique_id,
            (entry.size > 0) | (entry.status == "Approved"),
        )
        .order_by(entry.unique_id)
        .execution_options(yield_per=1000)
    )
    yield from (row.unique_id for row in rows)


def documents_without_entry(connection: Connection) -> Iterator[str]:
    """UniqueIds of kept documents that no entry describes."""
    described = select(document_entry.c.id).where(document_entry.c.unique_id == repository_document.c.unique_id)
    rows = connection.execute(
        select(repository_document.c.unique_id)
        .where(~described.exists())
        .order_by(repository_document.c.unique_id)
        .execution_options(yield_per=1000)
    )
    yield from (row.unique_id for row in rows)


def _lock_key(address: str) -> int:
    return int.from_bytes(bytes.fromhex(address[:16]), signed=True)


def _texts(values: Iterable[str]) -> ColumnElement[Any]:
    return literal(list(values), ARRAY(Text))

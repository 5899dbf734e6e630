"""What is asked of a repository by document: to retrieve it, or to remove it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ihe.errors import Finding
from ihe.values import Code


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """One document as a request names it.

    Attributes:
        home: homeCommunityId as asked, or ``None``.
    """

    repository_unique_id: str
    unique_id: str
    home: str | None = None


@dataclass(frozen=True, slots=True)
class ImagingRequest:
    """One instance as a request for pictures names it."""

    study: str
    series: str
    document: DocumentRequest


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """One document as an answer names it.

    Attributes:
        request: what is answered.
        mime_type: as registered.
        content_id: of the MIME part that holds the bytes.
        new_unique_id, new_repository_unique_id: as in :class:`RetrievedDocument`.
    """

    request: DocumentRequest
    mime_type: str
    content_id: str
    new_unique_id: str | None = None
    new_repository_unique_id: str | None = None


class Blocks(Protocol):
    """Bytes of a document on their way out, once and in order."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes:
        """The next block; raises before the last one when the bytes are not those that were kept."""

    def close(self) -> None:
        """Let go of the document; needed when it is not read to its end."""


@dataclass(frozen=True, slots=True)
class RetrievedDocument:
    """One found document.

    Attributes:
        mime_type: as registered.
        size: bytes.
        patient_ids: CX, as submitted with the entries that describe it.
        blocks: the bytes, verified; to be read to the end or closed.
        new_unique_id: uniqueId of content that was made on demand, else ``None``.
        new_repository_unique_id: where that content can be had again; ``None`` when it was not kept.
    """

    request: DocumentRequest
    mime_type: str
    size: int
    patient_ids: frozenset[str]
    blocks: Blocks
    new_unique_id: str | None = None
    new_repository_unique_id: str | None = None


@dataclass(frozen=True, slots=True)
class MadeContent:
    """Content made for one retrieval.

    Attributes:
        confidentiality_codes: of what went into it; it is as confidential as that.
    """

    data: bytes
    confidentiality_codes: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What became of a request, in its order.

    Attributes:
        documents: the found ones.
        findings: one for each of the others.
    """

    documents: tuple[RetrievedDocument, ...]
    findings: tuple[Finding, ...]

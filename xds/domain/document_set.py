"""What is asked of a repository by document: to retrieve it, or to remove it."""

from __future__ import annotations

from dataclasses import dataclass


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
class DocumentAnswer:
    """One document as an answer names it.

    Attributes:
        request: what is answered.
        mime_type: as registered.
        content_id: of the MIME part that holds the bytes.
    """

    request: DocumentRequest
    mime_type: str
    content_id: str

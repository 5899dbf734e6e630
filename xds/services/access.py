"""May this caller read this document? The one question every answer with documents asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ihe.unit_of_work import UnitOfWork


class DocumentFacts(NamedTuple):
    """What access to a document is decided by.

    Attributes:
        unique_id: of the document.
        anchor: CX of the identifier that its entry follows.
        patient_id: CX as submitted.
        confidentiality_codes: ``code^^scheme``.
    """

    unique_id: str
    anchor: str
    patient_id: str
    confidentiality_codes: tuple[str, ...]


ReadPolicy = Callable[[UnitOfWork, DocumentFacts], bool]
"""Decides on behalf of the unit's caller; a document that may not be read is answered as if it were not there."""


def all_may_read(uow: UnitOfWork, document: DocumentFacts) -> bool:
    """The policy of a region that has none."""
    return True

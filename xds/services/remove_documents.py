"""Remove documents from the repository; their metadata is the registry's to delete (ITI-62).

The bytes go with the next sweep, if no other document shares them.

Source: ITI TF-2: 3.86.
"""

from __future__ import annotations

from collections.abc import Sequence

from ihe.errors import Finding, Refused
from ihe.unit_of_work import UnitOfWork
from xds.domain.document_set import DocumentRequest
from xds.services.repository import Repository
from xds.store.repository import KeptDocument, find_documents, remove_documents


def remove(uow: UnitOfWork, requests: Sequence[DocumentRequest], repository: Repository) -> None:
    """Stop keeping documents: all of them, or none.

    A site removes what it provided; the region itself, bound to no site, removes any.

    Raises:
        Refused: one finding for each document that is not here or not the caller's to remove.
    """
    kept = find_documents(uow.connection, {request.unique_id for request in requests})
    findings = [
        finding
        for request in requests
        if (finding := _refusal(uow, request, kept.get(request.unique_id), repository)) is not None
    ]
    if findings:
        raise Refused(findings)
    remove_documents(uow.connection, kept)
    for document in kept.values():
        for anchor in {entry.anchor for entry in document.entries}:
            uow.publish("document.removed", anchor, {"unique_id": document.unique_id})


def _refusal(
    uow: UnitOfWork, request: DocumentRequest, kept: KeptDocument | None, repository: Repository
) -> Finding | None:
    if request.repository_unique_id not in repository.own_ids:
        problem = f"{request.repository_unique_id} is no repository of this service"
        return Finding("XDSUnknownRepositoryId", problem, request.unique_id)
    if kept is None or kept.repository_unique_id != request.repository_unique_id:
        return Finding("XDSDocumentUniqueIdError", f"no document {request.unique_id} is kept here", request.unique_id)
    if uow.caller.site is not None and uow.caller.site != kept.provided_by:
        problem = f"{request.unique_id} was provided by another site, which alone may remove it"
        return Finding("XDSRemoveDocumentsError", problem, request.unique_id)
    return None

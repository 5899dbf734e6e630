"""Retrieve documents: each as it was kept, verified, or made now, or an error that names it.

Source: ITI TF-2: 3.43.
"""

from __future__ import annotations

from collections.abc import Sequence

from ihe.errors import Finding, TooMany
from ihe.unit_of_work import UnitOfWork
from xds.domain.document_set import DocumentRequest, Retrieval, RetrievedDocument
from xds.services.access import DocumentFacts
from xds.services.on_demand import make_document
from xds.services.repository import Repository
from xds.store.content import ContentError, ContentUnreachable
from xds.store.repository import KeptDocument, find_documents

MAX_DOCUMENTS = 200
"""Most documents in one request: each holds an open file until it is answered."""


def retrieve(uow: UnitOfWork, requests: Sequence[DocumentRequest], repository: Repository) -> Retrieval:
    """Find documents and open their bytes; make those that are made on demand.

    A document that the caller may not read is answered as one that isn't there.

    Raises:
        Refused: what was made can't be registered.
        TooMany: more than :data:`MAX_DOCUMENTS` in one request.
    """
    if len(requests) > MAX_DOCUMENTS:
        raise TooMany(f"at most {MAX_DOCUMENTS} documents are answered at once; ask in slices")
    kept = find_documents(uow.connection, {request.unique_id for request in requests})
    documents: list[RetrievedDocument] = []
    findings: list[Finding] = []
    for request in requests:
        found = _open(uow, request, kept.get(request.unique_id), repository)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            documents.append(found)
    return Retrieval(tuple(documents), tuple(findings))


def _open(
    uow: UnitOfWork, request: DocumentRequest, kept: KeptDocument | None, repository: Repository
) -> RetrievedDocument | Finding:
    if request.repository_unique_id not in repository.own_ids:
        return Finding(
            "XDSUnknownRepositoryId",
            f"{request.repository_unique_id} is no repository of this service",
            request.unique_id,
        )
    absent = Finding(
        "XDSDocumentUniqueIdError", f"no document {request.unique_id} can be retrieved here", request.unique_id
    )
    if kept is None:
        return make_document(uow, request, repository) or absent
    if kept.repository_unique_id != request.repository_unique_id or not _may_read(uow, kept, repository):
        return absent
    try:
        blocks = repository.content.read(kept.sha256)
    except (ContentUnreachable, OSError):
        problem = f"the storage that holds {request.unique_id} doesn't answer; try again later"
        return Finding("XDSRepositoryBusy", problem, request.unique_id)
    except ContentError:
        problem = f"the stored bytes of {request.unique_id} are missing or damaged; they were not sent"
        return Finding("XDSRepositoryError", problem, request.unique_id)
    patient_ids = frozenset(entry.patient_id for entry in kept.entries)
    return RetrievedDocument(request, kept.mime_type, kept.size, patient_ids, blocks)


def _may_read(uow: UnitOfWork, kept: KeptDocument, repository: Repository) -> bool:
    """Whether every entry that counts allows it: the approved ones, else all; none allows nothing."""
    approved = [entry for entry in kept.entries if entry.status == "Approved"]
    deciding = approved or kept.entries
    return bool(deciding) and all(
        repository.registry.may_read(
            uow, DocumentFacts(kept.unique_id, entry.anchor, entry.patient_id, entry.confidentiality_codes)
        )
        for entry in deciding
    )

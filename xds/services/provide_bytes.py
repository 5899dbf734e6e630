"""Provide and register documents that arrived inside their message, as FHIR's do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from ihe.errors import Finding
from ihe.unit_of_work import UnitOfWork
from xds.domain.model import Submission
from xds.services.provide import provide
from xds.services.repository import Repository
from xds.store.content import StagedContent


def provide_bytes(
    uow: UnitOfWork,
    submission: Submission,
    documents: Mapping[str, bytes],
    repository: Repository,
    *,
    is_own: bool = False,
) -> list[Finding]:
    """As :func:`xds.services.provide.provide`, of documents in memory.

    Args:
        documents: bytes by the ``id`` of their document entry.
        is_own: whether they are the repository's own, and not of the caller's site.

    Raises:
        Refused: something is wrong; nothing is kept.
    """
    with ExitStack() as stack:
        staged: dict[str, StagedContent] = {}
        for entry_id, data in documents.items():
            staged[entry_id] = stack.enter_context(repository.content.stage())
            staged[entry_id].write(data)
        return provide(uow, submission, staged, repository, is_own=is_own)

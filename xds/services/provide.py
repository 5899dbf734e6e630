"""Provide and register: keep the documents and register their metadata, both or neither.

Everything happens in one database transaction. Bytes are published to the content store just before its commit, under
a lock that keeps the sweep away; when the commit fails they are unnamed, and swept later.

Source: ITI TF-2: 3.41; RAD TF-3: 4.68.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ihe.errors import Finding, MalformedRequest, Refused, TooLarge
from ihe.unit_of_work import UnitOfWork
from xds.domain.imaging import Manifest, is_manifest_entry
from xds.domain.manifest_checks import NO_ISSUER, check_manifest, with_metadata
from xds.domain.model import DocumentEntry, Submission
from xds.services.register import register
from xds.services.repository import Repository
from xds.store import imaging, imaging_notices
from xds.store.content import ContentFacts, StagedContent
from xds.store.repository import NewDocument, lock_content, save_content, save_documents
from xds.translate import kos_manifest


def provide(
    uow: UnitOfWork,
    submission: Submission,
    documents: Mapping[str, StagedContent],
    repository: Repository,
    *,
    is_own: bool = False,
) -> list[Finding]:
    """Keep the documents of a submission and register it, in the caller's transaction.

    Args:
        documents: staged bytes by the ``id`` of their document entry.
        is_own: whether they are the repository's own, and not of the caller's site.

    Returns:
        Warnings; everything is kept and registered.

    Raises:
        Refused: something is wrong; carries every finding. Nothing is kept.
    """
    facts = {entry_id: staged.facts() for entry_id, staged in documents.items()}
    findings = [*submission.findings, *_check_documents(submission, facts)]
    manifests: dict[str, Manifest] = {}
    for entry in submission.entries:
        if entry.id in documents and is_manifest_entry(entry):
            findings += _read_manifest(entry, documents[entry.id], manifests, repository)
    if any(finding.severity == "Error" for finding in findings):
        raise Refused(findings)

    site = None if is_own else uow.caller.site
    repository_id = str(repository.id_for(site))
    completed = [_completed(entry, facts[entry.id], repository_id) for entry in submission.entries]
    warnings = register(uow, replace(submission, entries=tuple(completed), findings=()), repository.registry)
    keep(uow, completed, documents, repository, site)
    for entry in completed:
        if entry.id in manifests and entry.unique_id:
            imaging.save_manifest(uow.connection, entry.unique_id, manifests[entry.id], repository.zone, uow.now)
            for problem in _problems(entry, manifests[entry.id], findings):
                imaging_notices.note(uow.connection, uow.now, uow.caller.site, entry.unique_id, problem)
    return [*findings, *warnings]


def _problems(entry: DocumentEntry, manifest: Manifest, findings: Iterable[Finding]) -> Iterator[str]:
    """What an operator is told of a manifest."""
    for finding in findings:
        if finding.location == entry.id and finding.code == "InvalidDocumentContent":
            yield finding.context.removeprefix(f"{entry.unique_id}: ")
    if any(each.issuer is None for each in manifest.patient.ids):
        yield NO_ISSUER


def _check_documents(submission: Submission, facts: Mapping[str, ContentFacts]) -> Iterator[Finding]:
    """Whether each entry has its document and each document its entry, and both say the same."""
    entries = {entry.id: entry for entry in submission.entries}
    for entry in submission.entries:
        if entry.id not in facts:
            yield Finding("XDSMissingDocument", f"{_name(entry)} has no document in the request", entry.id)
        else:
            yield from _check_facts(entry, facts[entry.id])
    for entry_id in sorted(facts.keys() - entries.keys()):
        yield Finding("XDSMissingDocumentMetadata", f"the document {entry_id} has no DocumentEntry", entry_id)
    counted = Counter(entry.unique_id for entry in submission.entries if entry.unique_id)
    for unique_id, count in counted.items():
        if count > 1:
            yield Finding(
                "XDSRepositoryDuplicateUniqueIdInMessage",
                f"{unique_id} is the uniqueId of {count} documents",
                unique_id,
            )


def _check_facts(entry: DocumentEntry, facts: ContentFacts) -> Iterator[Finding]:
    if entry.hash is not None and entry.hash.lower() != facts.sha1:
        yield Finding(
            "XDSRepositoryMetadataError",
            f"{_name(entry)}: hash is {entry.hash}, the document's is {facts.sha1}",
            f"{entry.id}/hash",
        )
    if entry.size is not None and entry.size != facts.size:
        yield Finding(
            "XDSRepositoryMetadataError",
            f"{_name(entry)}: size is {entry.size}, the document has {facts.size} bytes",
            f"{entry.id}/size",
        )


def _read_manifest(
    entry: DocumentEntry, staged: StagedContent, manifests: dict[str, Manifest], repository: Repository
) -> Iterator[Finding]:
    try:
        manifest = kos_manifest.read_kos(staged.read(kos_manifest.MAX_BYTES + 1), repository.zone)
    except (MalformedRequest, TooLarge) as error:
        where = f" at {error.location}" if error.location else ""
        yield Finding("InvalidDocumentContent", f"{entry.unique_id}: {error.message}{where}", entry.id)
        return
    yield from check_manifest(manifest, entry, repository.zone)
    if manifest.lists_study:
        manifests[entry.id] = with_metadata(manifest, entry)


def _completed(entry: DocumentEntry, facts: ContentFacts, repository_unique_id: str) -> DocumentEntry:
    return replace(entry, hash=facts.sha1, size=facts.size, repository_unique_id=repository_unique_id)


def keep(
    uow: UnitOfWork,
    entries: Sequence[DocumentEntry],
    documents: Mapping[str, StagedContent],
    repository: Repository,
    provided_by: str | None,
) -> None:
    """Keep staged bytes as the documents of entries.

    Args:
        documents: staged bytes by the ``id`` of their document entry.
        provided_by: domain code of the site; ``None`` for the region itself.

    Raises:
        Refused: other bytes are kept under one of the uniqueIds.
    """
    kept = [(entry, documents[entry.id].facts()) for entry in entries]
    lock_content(uow.connection, {facts.sha256 for _, facts in kept})
    for entry in entries:
        repository.content.publish(documents[entry.id])
    save_content(uow.connection, [facts for _, facts in kept], uow.now)
    others = save_documents(
        uow.connection,
        [
            NewDocument(
                entry.unique_id or "",
                entry.repository_unique_id or "",
                facts.sha256,
                entry.mime_type or "",
                provided_by,
            )
            for entry, facts in kept
        ],
        uow.now,
    )
    if others:
        raise Refused(
            [
                Finding("XDSNonIdenticalHash", f"{unique_id}: other bytes are kept under this uniqueId", unique_id)
                for unique_id in others
            ]
        )


def _name(entry: DocumentEntry) -> str:
    return f"DocumentEntry({entry.id})"

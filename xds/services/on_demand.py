"""Make a document while it is retrieved: of an on-demand entry each time, of one of delayed assembly the first time.

Source: ITI TF-2: 3.43.4.1.3, 3.43.4.2.3 (On-Demand Documents, Persistence of Retrieved Documents, Delayed Document
Assembly).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import uuid4

from ihe.unit_of_work import UnitOfWork
from ihe.values import Code, Oid, format_dtm
from xds.domain.datatypes import code_key
from xds.domain.document_set import DocumentRequest, MadeContent, RetrievedDocument
from xds.domain.model import (
    Association,
    AssociationType,
    Availability,
    DocumentEntry,
    DocumentKind,
    Submission,
    SubmissionSet,
)
from xds.domain.registered import RegisteredEntry
from xds.services.provide import keep
from xds.services.provide_bytes import provide_bytes
from xds.services.repository import Repository
from xds.services.update import update
from xds.services.visibility import facts_of
from xds.store import objects
from xds.translate.ebxml_stored import entry_of

_HASH_OF_NOTHING = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
"""With size 0, metadata of a document that is assembled later."""


def make_document(uow: UnitOfWork, request: DocumentRequest, repository: Repository) -> RetrievedDocument | None:
    """Make the content of a document that has none yet; ``None`` when nobody makes it, or the caller may not read it.

    What is made on demand has a uniqueId of its own. It is kept as a snapshot where the repository does so; what is
    assembled late is always kept, and its entry updated with hash and size.

    Raises:
        Refused: a snapshot or an update can't be registered.
    """
    approved = [
        each
        for each in objects.entries_by_unique_id(uow.connection, [request.unique_id])
        if each.status == Availability.APPROVED
        and each.repository_unique_id == request.repository_unique_id
        and (each.on_demand or _awaits_assembly(each))
    ]
    if not approved or not all(repository.registry.may_read(uow, facts_of(each)) for each in approved):
        return None
    registered = approved[-1]
    new_id = Oid.from_uuid(uuid4()) if registered.on_demand else None
    made = repository.creator.make(uow, registered, new_id or registered.unique_id)
    if made is None:
        return None
    new_repository = None
    if new_id is None:
        _assemble(uow, registered, made, repository)
    elif repository.keeps_on_demand:
        _keep_snapshot(uow, registered, new_id, made, repository)
        new_repository = str(repository.unique_id)
    uow.trail.document(request.unique_id, made=new_id or registered.unique_id, kept=new_repository is not None)
    patient_ids = frozenset(each.patient_id for each in approved)
    blocks = (block for block in (made.data,))
    return RetrievedDocument(request, registered.mime_type, len(made.data), patient_ids, blocks, new_id, new_repository)


def _awaits_assembly(entry: RegisteredEntry) -> bool:
    return entry.size == 0 and entry.hash == _HASH_OF_NOTHING


def _keep_snapshot(
    uow: UnitOfWork, registered: RegisteredEntry, new_id: str, made: MadeContent, repository: Repository
) -> None:
    """Register what was made as a stable document, which replaces the snapshot before it."""
    objects.lock(uow.connection, [registered.id])
    snapshot = replace(
        _described(entry_of(registered), made),
        id="snapshot",
        logical_id=None,
        version=1,
        status=None,
        object_type=DocumentKind.STABLE,
        unique_id=new_id,
        creation_time=format_dtm(uow.now),
        repository_unique_id=str(repository.unique_id),
    )
    links = [Association(id="of", type=AssociationType.SNAPSHOT_OF, source="snapshot", target=registered.id)]
    links += [
        Association(id=f"replaces-{number}", type=AssociationType.REPLACES, source="snapshot", target=each)
        for number, each in enumerate(_earlier(uow, registered), 1)
    ]
    submission = _submission(uow, snapshot, repository, links)
    provide_bytes(uow, submission, {snapshot.id: made.data}, repository, is_own=True)


def _earlier(uow: UnitOfWork, registered: RegisteredEntry) -> Iterable[str]:
    """Ids of the approved snapshots of an entry."""
    links = objects.associations_to(uow.connection, [registered.id], [AssociationType.SNAPSHOT_OF])
    snapshots = objects.entries_by_id(uow.connection, [each.source for each in links], for_update=True)
    return [each.id for each in snapshots if each.status == Availability.APPROVED]


def _assemble(uow: UnitOfWork, registered: RegisteredEntry, made: MadeContent, repository: Repository) -> None:
    """Keep what was made under the entry's uniqueId, and update the entry."""
    with repository.content.stage() as staged:
        staged.write(made.data)
        facts = staged.facts()
        assembled = replace(
            _described(entry_of(registered), made), id="assembled", status=None, hash=facts.sha1, size=facts.size
        )
        submission = _submission(uow, assembled, repository, (), previous=registered.version)
        update(uow, submission, repository.registry)
        keep(uow, [assembled], {assembled.id: staged}, repository, None)


def _described(entry: DocumentEntry, made: MadeContent) -> DocumentEntry:
    """The entry with the confidentiality of what went into the document."""
    codes = {code_key(each): each for each in (*entry.confidentiality_codes, *made.confidentiality_codes)}
    return replace(entry, confidentiality_codes=tuple(codes.values()))


def _submission(
    uow: UnitOfWork,
    entry: DocumentEntry,
    repository: Repository,
    links: Iterable[Association],
    previous: int | None = None,
) -> Submission:
    """A submission of the repository's own with one entry.

    Args:
        previous: version that the entry follows; ``None`` for a new one.
    """
    slots = {"SubmissionSetStatus": ("Original",)}
    if previous is not None:
        slots["PreviousVersion"] = (str(previous),)
    submission_set = SubmissionSet(
        id="set",
        unique_id=Oid.from_uuid(uuid4()),
        source_id=str(repository.unique_id),
        patient_id=entry.patient_id,
        submission_time=format_dtm(uow.now),
        content_type_code=entry.class_code or _UNCLASSIFIED,
        limited_metadata=entry.limited_metadata,
    )
    member = Association(id="member", type=AssociationType.HAS_MEMBER, source="set", target=entry.id, slots=slots)
    return Submission(submission_set=submission_set, entries=(entry,), associations=(member, *links))


_UNCLASSIFIED = Code("90", "1.2.250.1.213.1.1.4.1", "Autre document")

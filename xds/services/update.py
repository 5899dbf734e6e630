"""Update metadata: new versions, status changes, new associations; all operations of a submission, or none.

Versions of one logical object are made one after the other: the objects concerned are locked until the commit, so no
update is lost and of two with the same PreviousVersion one is refused.

Source: IHE ITI Metadata Update supplement, 3.57; Restricted Metadata Update supplement, 3.92.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ihe.errors import Finding
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.checks import check_submission
from xds.domain.datatypes import is_uuid
from xds.domain.identifiers import as_first_version, with_final_ids
from xds.domain.imaging import with_canonical_format
from xds.domain.model import (
    RELATIONSHIPS,
    REPLACEMENTS,
    Association,
    AssociationType,
    Availability,
    Described,
    DocumentEntry,
    Folder,
    Submission,
)
from xds.domain.registered import (
    Registered,
    RegisteredAssociation,
    RegisteredEntry,
    RegisteredFolder,
    RegisteredObject,
)
from xds.domain.update_checks import Present, check_operations, crossing
from xds.domain.update_operations import (
    NewAssociation,
    NewVersion,
    Operation,
    StatusChange,
    read_operations,
)
from xds.services.ownership import Ownership, anchors, check_patients, known_anchors, require_own
from xds.services.register import refuse_errors
from xds.services.registry import Registry
from xds.store import objects
from xds.translate.ebxml_stored import association_of
from xds.translate.ebxml_writer import body_of


def update(uow: UnitOfWork, submission: Submission, registry: Registry, *, restricted: bool = False) -> list[Finding]:
    """Check an update and apply it in the caller's transaction.

    Args:
        restricted: the rules of ITI-92: only new versions of entries, and not of every attribute.

    Returns:
        Warnings; the update is applied.

    Raises:
        Refused: something is wrong; carries every finding. Nothing was changed.
        AccessDenied: an entry is, or was, of another site's patient.
    """
    require_own(uow, (entry.source_patient_id for entry in submission.entries))
    submission = replace(submission, entries=tuple(map(with_canonical_format, submission.entries)))
    operations, problems = read_operations(submission)
    findings = [*check_submission(submission, registry.value_sets, None), *problems]
    ownership = Ownership(uow, registry.directory, to_write=True)
    findings += check_patients(submission, ownership)

    present = _load(uow, submission, operations, ownership)
    concerned = [*present.by_id.values(), *(each for known in present.versions.values() for each in known)]
    require_own(uow, (each.source_patient_id for each in concerned if isinstance(each, RegisteredEntry)))
    told = {(each.code, each.location) for each in findings}
    found = check_operations(submission, operations, present, restricted=restricted)
    findings += (each for each in found if (each.code, each.location) not in told)
    refuse_errors(findings)

    _Update(uow, submission, ownership, present, keep_status=restricted).apply()
    return findings


def _load(uow: UnitOfWork, submission: Submission, operations: Sequence[Operation], ownership: Ownership) -> Present:
    """Lock, then read, every version and object that the operations concern."""
    logical_ids = [each.item.logical_id for each in operations if isinstance(each, NewVersion) and each.item.logical_id]
    referred = _referred(operations)
    unique_id = submission.submission_set.unique_id or ""
    claimed = [each.id for each in submission.objects if is_uuid(each.id)]
    objects.lock(uow.connection, [unique_id, *claimed, *logical_ids, *referred])
    by_id = objects.objects_by_id(uow.connection, referred, for_update=True)
    logical_ids += [each.logical_id for each in by_id.values() if isinstance(each, RegisteredEntry | RegisteredFolder)]
    # The logical objects behind the targets are locked too; their versions are read after that.
    objects.lock(uow.connection, logical_ids)
    versions: dict[str, list[RegisteredEntry | RegisteredFolder]] = defaultdict(list)
    found: list[RegisteredEntry | RegisteredFolder] = [
        *objects.entries_by_logical_id(uow.connection, logical_ids, for_update=True),
        *objects.folders_by_logical_id(uow.connection, logical_ids, for_update=True),
    ]
    for each in sorted(found, key=lambda each: each.version):
        versions[each.logical_id].append(each)
    sources = [
        each.association.source
        for each in operations
        if isinstance(each, NewAssociation) and is_uuid(each.association.source)
    ]
    return Present(
        versions,
        by_id,
        objects.associations_from(uow.connection, sources),
        objects.objects_by_id(uow.connection, claimed),
        objects.by_unique_id(uow.connection, [unique_id]),
        known_anchors(submission, ownership),
        ownership.owner,
    )


def _referred(operations: Sequence[Operation]) -> list[str]:
    ids: list[str] = []
    for operation in operations:
        if isinstance(operation, StatusChange):
            ids.append(operation.target)
        elif isinstance(operation, NewAssociation):
            ids += [operation.association.source, operation.association.target]
    return [each for each in dict.fromkeys(ids) if is_uuid(each)]


class _Update:
    """Applies an update that was found right.

    Args:
        keep_status: a new version takes the status of the one before (ITI-92); else it is Approved.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        submission: Submission,
        ownership: Ownership,
        present: Present,
        *,
        keep_status: bool,
    ) -> None:
        self.uow = uow
        self.ownership = ownership
        self.present = present
        self.keep_status = keep_status
        self.submission = with_final_ids(submission, lambda: uuid.uuid4().urn)
        self.operations, _ = read_operations(self.submission)
        self.anchors = anchors(self.submission, ownership)
        self.previous = {
            each.item.id: latest
            for each in self.operations
            if isinstance(each, NewVersion) and (latest := present.latest(each)) is not None
        }

    def apply(self) -> None:
        connection, now = self.uow.connection, self.uow.now
        copies = self._propagated()
        submission_set = as_first_version(self.submission.submission_set)
        updated: list[DocumentEntry | Folder] = [*self.submission.entries, *self.submission.folders]
        described: list[Described] = [submission_set, *map(self._version, updated)]
        objects.save_described(
            connection,
            [(item, self.anchors[item.id], body_of(item)) for item in described],
            now,
        )
        associations = [
            *(replace(each, status=Availability.APPROVED) for each in self.submission.associations),
            *copies,
        ]
        objects.save_associations(connection, [(each, body_of(each)) for each in associations], now)
        self._set_status(
            [each.id for each in self.previous.values() if each.status == Availability.APPROVED],
            Availability.DEPRECATED,
        )
        replaced = [
            each.association.target
            for each in self.operations
            if isinstance(each, NewAssociation) and each.association.type in REPLACEMENTS
        ]
        if replaced:
            self._set_status([*objects.derived_from(connection, replaced)], Availability.DEPRECATED)
        for operation in self.operations:
            if isinstance(operation, StatusChange):
                self._set_status([operation.target], operation.new)
        objects.touch_folders(connection, self._touched_folders(associations), now)
        self._publish()

    def _version(self, item: DocumentEntry | Folder) -> DocumentEntry | Folder:
        previous = self.previous[item.id]
        status = previous.status if self.keep_status else Availability.APPROVED
        return replace(item, version=previous.version + 1, logical_id=previous.logical_id, status=status)

    def _propagated(self) -> list[Association]:
        """The approved associations of the previous versions, made anew for the new ones.

        A new membership of a folder becomes a member of the submission set.
        """
        successors = {
            self.previous[each.item.id].id: each.item.id
            for each in self.operations
            if isinstance(each, NewVersion) and each.propagate
        }
        copied = [
            (each, successors.get(each.source, each.source), successors.get(each.target, each.target))
            for each in self._approved_associations(list(successors))
        ]
        refuse_errors(crossing(copied, self._anchors_of_ends(copied), self.ownership.owner))
        made: list[Association] = []
        for registered, source, target in copied:
            again = replace(association_of(registered), id=uuid.uuid4().urn, source=source, target=target)
            made.append(again)
            if again.type == AssociationType.HAS_MEMBER:
                made.append(
                    Association(
                        id=uuid.uuid4().urn,
                        type=AssociationType.HAS_MEMBER,
                        source=self.submission.submission_set.id,
                        target=again.id,
                    )
                )
        return made

    def _approved_associations(self, ids: Sequence[str]) -> list[RegisteredAssociation]:
        """Relationships and folder memberships; memberships of submission sets stay where they are."""
        if not ids:
            return []
        connection = self.uow.connection
        types = [*RELATIONSHIPS, AssociationType.HAS_MEMBER]
        found = {
            each.id: each
            for each in (
                *objects.associations_from(connection, ids, types),
                *objects.associations_to(connection, ids, types),
            )
            if each.status == Availability.APPROVED
        }
        sources = {each.source for each in found.values()}
        sets = {each.id for each in objects.sets_by_id(connection, sources)}
        return [each for each in found.values() if each.source not in sets]

    def _anchors_of_ends(self, copied: Iterable[tuple[RegisteredAssociation, str, str]]) -> dict[str, str]:
        ends = {end for _, source, target in copied for end in (source, target)}
        registered = objects.objects_by_id(self.uow.connection, sorted(ends.difference(self.anchors)))
        return {each.id: each.anchor for each in registered.values() if isinstance(each, RegisteredObject)} | {
            object_id: anchor.xds_cx for object_id, anchor in self.anchors.items()
        }

    def _set_status(self, ids: Sequence[str], status: Availability) -> None:
        objects.set_status(self.uow.connection, ids, status, self.uow.now, self.uow.caller.label)

    def _touched_folders(self, associations: Iterable[Association]) -> list[str]:
        return [each.source for each in associations if each.type == AssociationType.HAS_MEMBER]

    def _publish(self) -> None:
        submission_set = self.submission.submission_set
        self.uow.publish(
            "submission.registered",
            self.anchors[submission_set.id].xds_cx,
            {"set_uuid": submission_set.id, "unique_id": submission_set.unique_id},
        )
        for operation in self.operations:
            if isinstance(operation, NewVersion):
                item, previous = operation.item, self.previous[operation.item.id]
                payload = {"uuid": item.id, "unique_id": item.unique_id, "previous_uuid": previous.id}
                kind = "document" if isinstance(item, DocumentEntry) else "folder"
                self.uow.publish(f"{kind}.updated", self._subject(item.id, previous), payload)
            elif isinstance(operation, StatusChange):
                target = self.present.by_id.get(operation.target)
                payload = {"uuid": operation.target, "status": operation.new}
                self.uow.publish("status.changed", self._subject(operation.target, target), payload)

    def _subject(self, object_id: str, registered: Registered | None) -> str:
        anchor: PatientId | None = self.anchors.get(object_id)
        if anchor is not None:
            return anchor.xds_cx
        return registered.anchor if isinstance(registered, RegisteredObject) else object_id

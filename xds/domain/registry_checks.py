"""Does a submission fit what the registry already holds?

Source: ITI TF-2: 3.42.4.1.3.3 and 3.42.4.1.3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ihe.errors import Finding
from xds.domain.checks import METADATA_ERROR, name_of
from xds.domain.model import (
    RELATIONSHIPS,
    REPLACEMENTS,
    Association,
    AssociationType,
    Availability,
    DocumentEntry,
    Folder,
    Submission,
    SubmissionSet,
)
from xds.domain.registered import Registered, RegisteredEntry, RegisteredFolder, RegisteredObject


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry holds that concerns a submission.

    Attributes:
        by_id: objects that the submission refers to or whose id it claims.
        by_unique_id: entries, sets and folders whose uniqueId the submission also uses.
        holders: id of an entry that is to be replaced → the folders that hold it.
        anchors: object id of the submission → CX of its anchor; of objects of unknown patients none.
        owner: anchor CX → the owner now.
    """

    by_id: Mapping[str, Registered]
    by_unique_id: Mapping[str, Sequence[RegisteredObject]]
    holders: Mapping[str, Sequence[RegisteredFolder]]
    anchors: Mapping[str, str]
    owner: Callable[[str], str]


def check_against_registry(submission: Submission, known: Known) -> list[Finding]:
    """Everything in a submission that the present state of the registry forbids."""
    return [
        *check_ids(submission, known.by_id),
        *_unique_ids(submission, known),
        *_associations(submission, known),
    ]


def outside_references(submission: Submission) -> tuple[str, ...]:
    """Ids that associations name and that are no objects of the submission, in order, each once."""
    inside = {item.id for item in submission.objects}
    named = (end for each in submission.associations for end in (each.source, each.target))
    return tuple(dict.fromkeys(end for end in named if end not in inside))


def check_ids(submission: Submission, registered: Container[str]) -> Iterator[Finding]:
    """Whether an object of the submission claims the id of a registered one."""
    for item in submission.objects:
        if item.id in registered:
            where = name_of(item)
            context = f"{where}: entryUUID {item.id} is already the id of a registered object"
            yield Finding(METADATA_ERROR, context, where)


def check_unused(item: SubmissionSet | Folder, holders: Sequence[RegisteredObject]) -> Iterator[Finding]:
    """Whether the uniqueId of a new set or folder is that of anything registered."""
    if holders:
        where = name_of(item)
        context = f"{where}: uniqueId {item.unique_id} is already used in the registry"
        yield Finding("XDSDuplicateUniqueIdInRegistry", context, f"{where}/uniqueId")


def _unique_ids(submission: Submission, known: Known) -> Iterator[Finding]:
    for item in submission.described:
        holders = known.by_unique_id.get(item.unique_id or "", ())
        where = name_of(item)
        if not isinstance(item, DocumentEntry):
            yield from check_unused(item, holders)
            continue
        for holder in holders:
            if isinstance(holder, RegisteredEntry):
                yield from _same_document(item, holder)
            else:
                context = f"{where}: uniqueId {item.unique_id} belongs to a SubmissionSet or Folder"
                yield Finding(METADATA_ERROR, context, f"{where}/uniqueId")


def _same_document(entry: DocumentEntry, holder: RegisteredEntry) -> Iterator[Finding]:
    where = name_of(entry)
    if entry.is_on_demand != holder.on_demand:
        kind = "on-demand" if holder.on_demand else "stable"
        context = f"{where}: uniqueId {entry.unique_id} belongs to a registered {kind} entry"
        yield Finding(METADATA_ERROR, context, f"{where}/uniqueId")
        return
    if entry.is_on_demand:
        return
    if entry.hash and entry.hash.lower() != holder.hash:
        context = f"{entry.unique_id}: {where}: hash {entry.hash[:100]!r} is not that of the registered document"
        yield Finding("XDSNonIdenticalHash", context, f"{where}/hash")
    if entry.size is not None and entry.size != holder.size:
        context = f"{entry.unique_id}: {where}: size {entry.size} is not that of the registered document"
        yield Finding("XDSNonIdenticalSize", context, f"{where}/size")


def _associations(submission: Submission, known: Known) -> Iterator[Finding]:
    checks = _AssociationChecks(submission, known)
    for association in submission.associations:
        yield from checks.check(association)


class _AssociationChecks:
    def __init__(self, submission: Submission, known: Known) -> None:
        self.submission = submission
        self.inside = {item.id: item for item in submission.objects}
        self.known = known

    def check(self, association: Association) -> Iterator[Finding]:
        missing = list(self._missing(association))
        yield from missing
        if missing:
            return
        if association.type in RELATIONSHIPS:
            yield from self._relationship(association)
        elif association.type == AssociationType.HAS_MEMBER:
            yield from self._membership(association)

    def _missing(self, association: Association) -> Iterator[Finding]:
        for attribute, end in (("sourceObject", association.source), ("targetObject", association.target)):
            if end and end not in self.inside and end not in self.known.by_id:
                where = name_of(association)
                context = f"{where}: {attribute} {end} is not registered"
                yield Finding("UnresolvedReferenceException", context, f"{where}/{attribute}")

    def _relationship(self, association: Association) -> Iterator[Finding]:
        target = self.known.by_id.get(association.target)
        where = name_of(association)
        if target is not None:
            if not isinstance(target, RegisteredEntry):
                context = f"{where}: targetObject {association.target} is no DocumentEntry"
                yield Finding(METADATA_ERROR, context, f"{where}/targetObject")
                return
            yield from self._not_deprecated(association, target, "targetObject")
            if association.type == AssociationType.SNAPSHOT_OF:
                yield from self._snapshot(association, target)
        yield from self._one_owner(association)
        if association.type in REPLACEMENTS:
            yield from self._folders_of_replaced(association)

    def _snapshot(self, association: Association, target: RegisteredEntry) -> Iterator[Finding]:
        source, where = self.inside.get(association.source), name_of(association)
        if not target.on_demand:
            context = f"{where}: targetObject {target.id} of IsSnapshotOf is no on-demand entry"
            yield Finding(METADATA_ERROR, context, f"{where}/targetObject")
        if isinstance(source, DocumentEntry) and source.is_on_demand:
            context = f"{where}: sourceObject {source.id} of IsSnapshotOf is no stable entry"
            yield Finding(METADATA_ERROR, context, f"{where}/sourceObject")

    def _folders_of_replaced(self, association: Association) -> Iterator[Finding]:
        """The replacement joins the folders of what it replaces, so they must be its patient's."""
        owner, where = self._owner(association.source), name_of(association)
        for folder in self.known.holders.get(association.target, ()):
            if owner is not None and self.known.owner(folder.anchor) != owner:
                context = f"{where}: Folder({folder.id}) holds the replaced document but belongs to another patient"
                yield Finding("XDSPatientIdDoesNotMatch", context, f"{where}/targetObject")

    def _membership(self, association: Association) -> Iterator[Finding]:
        source, target = self.known.by_id.get(association.source), self.known.by_id.get(association.target)
        where = name_of(association)
        if association.source == self.submission.submission_set.id:
            if isinstance(target, RegisteredEntry):
                yield from self._not_deprecated(association, target, "targetObject")
            elif target is not None:
                context = f"{where}: targetObject {target.id} is registered and no DocumentEntry"
                yield Finding(METADATA_ERROR, context, f"{where}/targetObject")
            return
        if source is not None and not isinstance(source, RegisteredFolder):
            context = f"{where}: sourceObject {association.source} is no Folder"
            yield Finding(METADATA_ERROR, context, f"{where}/sourceObject")
            return
        if target is not None and not isinstance(target, RegisteredEntry):
            context = f"{where}: targetObject {association.target} is no DocumentEntry"
            yield Finding(METADATA_ERROR, context, f"{where}/targetObject")
            return
        for attribute, end in (("sourceObject", source), ("targetObject", target)):
            if end is not None:
                yield from self._not_deprecated(association, end, attribute)
        yield from self._one_owner(association)

    def _not_deprecated(
        self, association: Association, end: RegisteredEntry | RegisteredFolder, attribute: str
    ) -> Iterator[Finding]:
        if end.status == Availability.DEPRECATED:
            where = name_of(association)
            context = f"{where}: {attribute} {end.id} is deprecated; no new association may refer to it"
            yield Finding("XDSRegistryDeprecatedDocumentError", context, f"{where}/{attribute}")

    def _one_owner(self, association: Association) -> Iterator[Finding]:
        owner, other = self._owner(association.source), self._owner(association.target)
        if owner is not None and other is not None and owner != other:
            where = name_of(association)
            context = f"{where}: {association.source} and {association.target} belong to different patients"
            yield Finding("XDSPatientIdDoesNotMatch", context, where)

    def _owner(self, object_id: str) -> str | None:
        """``None`` when the submission doesn't say, or names nobody known."""
        registered = self.known.by_id.get(object_id)
        anchor = registered.anchor if isinstance(registered, RegisteredObject) else self.known.anchors.get(object_id)
        return None if anchor is None else self.known.owner(anchor)

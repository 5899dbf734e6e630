"""Does a submission fit what the registry already holds?

Source: ITI TF-2: 3.42.4.1.3.3 and 3.42.4.1.3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ihe.errors import Finding
from xds.domain.checks import METADATA_ERROR, name_of
from xds.domain.model import (
    RELATIONSHIPS,
    Association,
    AssociationType,
    Availability,
    DocumentEntry,
    Submission,
)
from xds.domain.registered import Registered, RegisteredEntry, RegisteredFolder, RegisteredObject


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry holds that concerns a submission.

    Attributes:
        by_id: objects that the submission refers to or whose id it claims.
        by_unique_id: entries, sets and folders whose uniqueId the submission also uses.
        anchors: object id of the submission → CX of its anchor.
        owner: anchor CX → the owner now.
    """

    by_id: Mapping[str, Registered]
    by_unique_id: Mapping[str, Sequence[RegisteredObject]]
    anchors: Mapping[str, str]
    owner: Callable[[str], str]


def check_against_registry(submission: Submission, known: Known) -> list[Finding]:
    """Everything in a submission that the present state of the registry forbids."""
    return [*_identities(submission, known), *_unique_ids(submission, known), *_associations(submission, known)]


def outside_references(submission: Submission) -> tuple[str, ...]:
    """Ids that associations name and that are no objects of the submission, in order, each once."""
    inside = {item.id for item in submission.objects}
    named = (end for each in submission.associations for end in (each.source, each.target))
    return tuple(dict.fromkeys(end for end in named if end not in inside))


def _identities(submission: Submission, known: Known) -> Iterator[Finding]:
    for item in submission.objects:
        if item.id in known.by_id:
            where = name_of(item)
            yield Finding(METADATA_ERROR, f"{where}: an object with this id is already registered", where)


def _unique_ids(submission: Submission, known: Known) -> Iterator[Finding]:
    for item in submission.described:
        holders = known.by_unique_id.get(item.unique_id or "", ())
        where = name_of(item)
        if not isinstance(item, DocumentEntry):
            if holders:
                context = f"{where}: uniqueId {item.unique_id} is already used in the registry"
                yield Finding("XDSDuplicateUniqueIdInRegistry", context, f"{where}/uniqueId")
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
    if (entry.hash or "").lower() != holder.hash:
        context = f"{entry.unique_id}: a document of this uniqueId is registered with another hash"
        yield Finding("XDSNonIdenticalHash", context, f"{where}/hash")
    if entry.size != holder.size:
        context = f"{entry.unique_id}: a document of this uniqueId is registered with another size"
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
            if end not in self.inside and end not in self.known.by_id:
                where = name_of(association)
                context = f"{where}: {attribute} {end} is not registered"
                yield Finding("UnresolvedReferenceException", context, f"{where}/{attribute}")

    def _relationship(self, association: Association) -> Iterator[Finding]:
        target = self.known.by_id.get(association.target)
        where = name_of(association)
        if target is not None:
            if not isinstance(target, RegisteredEntry):
                yield Finding(METADATA_ERROR, f"{where}: targetObject must be a DocumentEntry", where)
                return
            yield from self._not_deprecated(association, target)
        if association.type == AssociationType.SNAPSHOT_OF and target is not None and not target.on_demand:
            context = f"{where}: the target of IsSnapshotOf must be an on-demand entry"
            yield Finding(METADATA_ERROR, context, f"{where}/targetObject")
        yield from self._one_owner(association)

    def _membership(self, association: Association) -> Iterator[Finding]:
        source, target = self.known.by_id.get(association.source), self.known.by_id.get(association.target)
        where = name_of(association)
        if association.source == self.submission.submission_set.id:
            if isinstance(target, RegisteredEntry):
                yield from self._not_deprecated(association, target)
            elif target is not None:
                context = f"{where}: a SubmissionSet takes existing objects only if they are DocumentEntries"
                yield Finding(METADATA_ERROR, context, f"{where}/targetObject")
            return
        if source is not None and not isinstance(source, RegisteredFolder):
            yield Finding(METADATA_ERROR, f"{where}: sourceObject must be a Folder", f"{where}/sourceObject")
            return
        if target is not None and not isinstance(target, RegisteredEntry):
            context = f"{where}: targetObject must be a DocumentEntry"
            yield Finding(METADATA_ERROR, context, f"{where}/targetObject")
            return
        for end in (source, target):
            if end is not None:
                yield from self._not_deprecated(association, end)
        yield from self._one_owner(association)

    def _not_deprecated(self, association: Association, end: RegisteredEntry | RegisteredFolder) -> Iterator[Finding]:
        if end.status == Availability.DEPRECATED:
            where = name_of(association)
            context = f"{where}: {end.id} is deprecated; no new association may refer to it"
            yield Finding("XDSRegistryDeprecatedDocumentError", context, where)

    def _one_owner(self, association: Association) -> Iterator[Finding]:
        if self._owner(association.source) != self._owner(association.target):
            where = name_of(association)
            context = f"{where}: {association.source} and {association.target} belong to different patients"
            yield Finding("XDSPatientIdDoesNotMatch", context, where)

    def _owner(self, object_id: str) -> str:
        registered = self.known.by_id.get(object_id)
        anchor = registered.anchor if isinstance(registered, RegisteredObject) else None
        return self.known.owner(anchor or self.known.anchors[object_id])

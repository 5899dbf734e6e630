"""May the operations of a metadata update be applied to what is registered?

Source: IHE ITI Metadata Update supplement, 3.57.4.1.3; Restricted Metadata Update supplement, 3.92.4.1.3.
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
    Folder,
    Submission,
)
from xds.domain.registered import (
    Registered,
    RegisteredAssociation,
    RegisteredEntry,
    RegisteredFolder,
    RegisteredObject,
    RegisteredSet,
)
from xds.domain.registry_checks import check_ids, check_unused
from xds.domain.update_operations import UPDATE_ERROR, NewAssociation, NewVersion, Operation, StatusChange

VERSION_ERROR = "XDSMetadataVersionError"
_SUBMITTABLE = RELATIONSHIPS | {AssociationType.HAS_MEMBER}


@dataclass(frozen=True, slots=True)
class Present:
    """What is registered and concerns an update.

    Attributes:
        versions: logicalID → every version, ascending.
        by_id: objects that operations refer to.
        twins: associations registered with the source of a new association.
        claimed: registered objects whose ids objects of the submission have.
        set_holders: objects with the uniqueId of the submission set.
        anchors: object id of the submission → CX of its anchor; of objects of unknown patients none.
        owner: anchor CX → the owner now.
    """

    versions: Mapping[str, Sequence[RegisteredEntry | RegisteredFolder]]
    by_id: Mapping[str, Registered]
    twins: Sequence[RegisteredAssociation]
    claimed: Mapping[str, Registered]
    set_holders: Sequence[RegisteredObject]
    anchors: Mapping[str, str]
    owner: Callable[[str], str]

    def latest(self, operation: NewVersion) -> RegisteredEntry | RegisteredFolder | None:
        """The version that the new one would follow."""
        versions = self.versions.get(operation.item.logical_id or "", ())
        return versions[-1] if versions else None


def check_operations(
    submission: Submission, operations: Sequence[Operation], present: Present, *, restricted: bool
) -> list[Finding]:
    """Everything that forbids the operations.

    Args:
        restricted: the rules of Restricted Update Document Set (ITI-92).
    """
    checks = _Checks(submission, operations, present, restricted)
    return [
        *check_ids(submission, present.claimed),
        *check_unused(submission.submission_set, present.set_holders),
        *(finding for operation in operations for finding in checks.check(operation)),
    ]


class _Checks:
    def __init__(
        self, submission: Submission, operations: Sequence[Operation], present: Present, restricted: bool
    ) -> None:
        self.submission = submission
        self.present = present
        self.restricted = restricted
        self.new_ids = {each.item.id for each in operations if isinstance(each, NewVersion)} | {
            each.association.id for each in operations if isinstance(each, NewAssociation)
        }

    def check(self, operation: Operation) -> Iterator[Finding]:
        if isinstance(operation, NewVersion):
            yield from self._new_version(operation)
        elif self.restricted:
            context = f"{name_of(operation.trigger)}: only new versions of entries may be submitted here"
            yield Finding("XDSInvalidRequestException", context, operation.trigger.id)
        elif isinstance(operation, StatusChange):
            yield from self._status_change(operation)
        else:
            yield from self._new_association(operation.association)

    def _new_version(self, operation: NewVersion) -> Iterator[Finding]:
        item, latest = operation.item, self.present.latest(operation)
        where = name_of(item)
        if isinstance(item, DocumentEntry) != (isinstance(latest, RegisteredEntry) or latest is None):
            context = f"{where}: logicalID {item.logical_id} belongs to another kind of object"
            yield Finding(UPDATE_ERROR, context, item.id)
            return
        if latest is None:
            context = f"{where}: no version with logicalID {item.logical_id} is registered"
            yield Finding(VERSION_ERROR, context, item.id)
            return
        if str(latest.version) != operation.previous_version.strip():
            submitted = operation.previous_version[:100]
            context = f"{where}: PreviousVersion {submitted!r} is not {latest.version}, the latest version registered"
            yield Finding(VERSION_ERROR, context, item.id)
        if item.unique_id != latest.unique_id:
            code = "XDSMetadataIdentifierError" if self.restricted else UPDATE_ERROR
            yield Finding(code, f"{where}: uniqueId must not change; it is {item.unique_id!r}", item.id)
        if self.restricted:
            yield from self._restricted(operation, latest)
        elif latest.status != Availability.APPROVED:
            yield Finding(UPDATE_ERROR, f"{where}: the latest version is deprecated", item.id)
        if _object_type(item) != _object_type(latest):
            code = "UnmodifiableMetadataError" if self.restricted else UPDATE_ERROR
            yield Finding(code, f"{where}: objectType must not change; it is {_object_type(item)!r}", item.id)
        yield from self._set_patient(self.present.anchors.get(item.id), where, item.id)

    def _restricted(self, operation: NewVersion, latest: RegisteredEntry | RegisteredFolder) -> Iterator[Finding]:
        item = operation.item
        where, unmodifiable = name_of(item), "UnmodifiableMetadataError"
        if not isinstance(item, DocumentEntry) or not isinstance(latest, RegisteredEntry):
            yield Finding("XDSInvalidRequestException", f"{where}: only entries may be updated here", item.id)
            return
        if not operation.propagate:
            context = f"{where}: AssociationPropagation must not be no"
            yield Finding("XDSMetadataAnnotationError", context, item.id)
        if item.patient_id is not None and item.patient_id.xds_cx != latest.patient_id:
            context = f"{where}: patientId must not change; it is {item.patient_id.xds_cx}"
            yield Finding("XDSPatientIDReconciliationError", context, item.id)
        source = item.source_patient_id.xds_cx if item.source_patient_id is not None else None
        for attribute, submitted, registered in (
            ("sourcePatientId", source, latest.source_patient_id),
            ("repositoryUniqueId", item.repository_unique_id, latest.repository_unique_id),
            ("documentAvailability", item.document_availability, latest.document_availability),
            ("availabilityStatus", item.status or latest.status, latest.status),
        ):
            if submitted != registered:
                shown = "absent" if submitted is None else repr(submitted[:100])
                yield Finding(unmodifiable, f"{where}: {attribute} must not change; it is {shown}", item.id)

    def _status_change(self, operation: StatusChange) -> Iterator[Finding]:
        where, trigger = name_of(operation.trigger), operation.trigger.id
        if operation.target in self.new_ids:
            if operation.original != Availability.APPROVED:
                yield Finding(UPDATE_ERROR, f"{where}: a new object is Approved, not Deprecated", trigger)
            return
        target = self.present.by_id.get(operation.target)
        if target is None or isinstance(target, RegisteredSet):
            context = f"{where}: {operation.target[:100]!r} is no object whose status can be changed"
            yield Finding(UPDATE_ERROR, context, trigger)
            return
        if target.status != operation.original:
            original = operation.original.rpartition(":")[2]
            context = f"{where}: OriginalStatus {original} is not the present status of {operation.target}"
            yield Finding(UPDATE_ERROR, context, trigger)
        if isinstance(target, RegisteredEntry | RegisteredFolder):
            versions = self.present.versions.get(target.logical_id, ())
            if versions and versions[-1].id != target.id:
                context = f"{where}: {operation.target} is not the latest version of its object"
                yield Finding(UPDATE_ERROR, context, trigger)
            yield from self._set_patient(target.anchor, where, trigger)

    def _new_association(self, association: Association) -> Iterator[Finding]:
        where = name_of(association)
        if association.type not in _SUBMITTABLE:
            context = f"{where}: associationType {association.type[:100]!r} is not known"
            yield Finding(METADATA_ERROR, context, f"{where}/associationType")
            return
        source, target = self.present.by_id.get(association.source), self.present.by_id.get(association.target)
        for attribute, end in (("sourceObject", source), ("targetObject", target)):
            if end is None:
                value = association.source if attribute == "sourceObject" else association.target
                context = f"{where}: {attribute} {value[:100]!r} is not registered"
                yield Finding("UnresolvedReferenceException", context, f"{where}/{attribute}")
            elif end.status != Availability.APPROVED:
                context = f"{where}: {attribute} {end.id} is deprecated"
                yield Finding("XDSRegistryDeprecatedDocumentError", context, f"{where}/{attribute}")
        if source is None or target is None:
            return
        expected = RegisteredFolder if association.type == AssociationType.HAS_MEMBER else RegisteredEntry
        if not isinstance(source, expected) or not isinstance(target, RegisteredEntry):
            context = f"{where}: associationType {association.type} may not join objects of these kinds"
            yield Finding(METADATA_ERROR, context, where)
        elif self.present.owner(source.anchor) != self.present.owner(target.anchor):
            context = f"{where}: {source.id} and {target.id} belong to different patients"
            yield Finding("XDSPatientIdDoesNotMatch", context, where)
        if any(
            (each.type, each.source, each.target, each.status)
            == (association.type, association.source, association.target, Availability.APPROVED)
            for each in self.present.twins
        ):
            yield Finding(UPDATE_ERROR, f"{where}: the same association is registered already", where)

    def _set_patient(self, anchor: str | None, where: str, location: str) -> Iterator[Finding]:
        patient_id = self.submission.submission_set.patient_id
        if anchor is None or patient_id is None or self.submission.submission_set.id not in self.present.anchors:
            return
        if self.present.owner(anchor) != self.present.owner(patient_id.xds_cx):
            context = f"{where}: the SubmissionSet names another patient, {patient_id.xds_cx}"
            yield Finding("XDSPatientIDReconciliationError", context, location)


def crossing(
    copied: Sequence[tuple[RegisteredAssociation, str, str]],
    anchors: Mapping[str, str],
    owner: Callable[[str], str],
) -> list[Finding]:
    """Associations that would join two patients if they were made anew.

    Args:
        copied: the association with the ids of its new source and target.
        anchors: object id → CX of its anchor; ends that are no described objects are absent.
    """
    return [
        Finding(
            "XDSPatientIDReconciliationError",
            f"Association({association.id}): would join objects of different patients",
            association.id,
        )
        for association, source, target in copied
        if source in anchors and target in anchors and owner(anchors[source]) != owner(anchors[target])
    ]


def _object_type(item: DocumentEntry | Folder | RegisteredEntry | RegisteredFolder) -> str | None:
    return item.object_type if isinstance(item, DocumentEntry | RegisteredEntry) else None

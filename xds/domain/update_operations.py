"""What a metadata update asks for: new versions, status changes, new associations.

Each is triggered by an association that starts from the submission set.

Source: IHE ITI Metadata Update supplement, 3.57.4.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ihe.errors import Finding
from xds.domain.checks import name_of
from xds.domain.datatypes import is_uuid
from xds.domain.model import Association, AssociationType, Availability, DocumentEntry, Folder, Submission

UPDATE_ERROR = "XDSMetadataUpdateError"
OPERATION_ERROR = "XDSMetadataUpdateOperationError"
_ORIGINAL_STATUS, _NEW_STATUS = "OriginalStatus", "NewStatus"
_PROPAGATION = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A new version of an entry or folder.

    Attributes:
        previous_version: number of the version that it is to follow, as submitted.
        propagate: whether the associations of the previous version are made anew for it.
    """

    trigger: Association
    item: DocumentEntry | Folder
    previous_version: str
    propagate: bool


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A change of availabilityStatus of a registered object or of one in the submission."""

    trigger: Association
    target: str
    original: str
    new: Availability


@dataclass(frozen=True, slots=True)
class NewAssociation:
    """An association between registered objects."""

    trigger: Association
    association: Association


Operation = NewVersion | StatusChange | NewAssociation


def read_operations(submission: Submission) -> tuple[list[Operation], list[Finding]]:
    """The operations of a submission in their order, and what cannot be read as one."""
    reader = _Reader(submission)
    for association in submission.associations:
        reader.read(association)
    reader.finish()
    return reader.operations, reader.findings


class _Reader:
    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.by_id = {item.id: item for item in submission.objects}
        self.submitted = {
            each.target for each in submission.associations if each.type == AssociationType.SUBMIT_ASSOCIATION
        }
        self.operations: list[Operation] = []
        self.findings: list[Finding] = []

    def read(self, association: Association) -> None:
        if association.id in self.submitted:
            return
        target = self.by_id.get(association.target)
        if association.source != self.submission.submission_set.id:
            self._note(association, "starts from no SubmissionSet and is submitted by no SubmitAssociation")
        elif association.type == AssociationType.UPDATE_STATUS:
            self._status_change(association)
        elif association.type == AssociationType.SUBMIT_ASSOCIATION:
            if isinstance(target, Association):
                self.operations.append(NewAssociation(association, target))
            else:
                self._note(association, "submits no association of the submission")
        elif association.type == AssociationType.HAS_MEMBER and isinstance(target, DocumentEntry | Folder):
            self._new_version(association, target)
        else:
            self._note(association, "triggers no operation of metadata update")

    def finish(self) -> None:
        """Note objects that no operation concerns, and logical objects that two concern."""
        concerned = {each.item.id for each in self.operations if isinstance(each, NewVersion)}
        for item in self.submission.described[1:]:
            if item.id not in concerned:
                context = f"{name_of(item)}: no operation concerns it; an initial version has its own transaction"
                self.findings.append(Finding(UPDATE_ERROR, context, item.id))
        seen: set[str] = set()
        for operation in self.operations:
            if isinstance(operation, NewVersion) and operation.item.logical_id:
                if operation.item.logical_id in seen:
                    context = f"{name_of(operation.item)}: its logicalID is updated twice in one submission"
                    self.findings.append(Finding(UPDATE_ERROR, context, operation.item.id))
                seen.add(operation.item.logical_id)
        if not self.operations and not self.findings:
            self.findings.append(Finding(UPDATE_ERROR, "the submission asks for no operation"))

    def _new_version(self, association: Association, item: DocumentEntry | Folder) -> None:
        previous = association.slot("PreviousVersion")
        if previous is None:
            self._note(association, "has no PreviousVersion; an initial version has its own transaction")
            return
        if isinstance(item, DocumentEntry) and association.slot("SubmissionSetStatus") != "Original":
            status = association.slot("SubmissionSetStatus")
            self._note(association, f"SubmissionSetStatus is {_shown(status)} and must be Original")
            return
        if not item.logical_id or item.logical_id == item.id or not is_uuid(item.logical_id):
            problem = "must be the UUID of the object's first version"
            context = f"{name_of(item)}: logicalID (lid) is {_shown(item.logical_id)} and {problem}"
            self.findings.append(Finding(UPDATE_ERROR, context, item.id))
            return
        propagation = association.slot("AssociationPropagation") or "yes"
        if propagation not in _PROPAGATION:
            self._note(association, f"AssociationPropagation {_shown(propagation)} is neither yes nor no")
            return
        self.operations.append(NewVersion(association, item, previous, _PROPAGATION[propagation]))

    def _status_change(self, association: Association) -> None:
        original, new = association.slot(_ORIGINAL_STATUS), association.slot(_NEW_STATUS)
        problems = list(_status_problems(association, original, new))
        for problem in problems:
            self._note(association, problem, OPERATION_ERROR)
        if not problems:
            assert original is not None
            assert new is not None
            self.operations.append(StatusChange(association, association.target, original, Availability(new)))

    def _note(self, association: Association, problem: str, code: str = UPDATE_ERROR) -> None:
        self.findings.append(Finding(code, f"{name_of(association)}: {problem}", association.id))


def _status_problems(association: Association, original: str | None, new: str | None) -> Iterator[str]:
    for name in association.slots:
        if name not in (_ORIGINAL_STATUS, _NEW_STATUS):
            yield f"slot {name[:100]!r} does not belong to UpdateAvailabilityStatus"
    for name, value in ((_ORIGINAL_STATUS, original), (_NEW_STATUS, new)):
        if value is None:
            yield f"{name} is absent"
        elif value not in tuple(Availability):
            yield f"{name} {_shown(value)} is no availabilityStatus"
    if original is not None and original == new:
        yield f"OriginalStatus and NewStatus are both {_shown(new)}"


def _shown(value: str | None) -> str:
    return "absent" if value is None else repr(value[:100])

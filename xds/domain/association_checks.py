"""Do the associations of a submission say something that XDS allows?

Source: ITI TF-3: 4.2.2 and 4.2.1.5; ITI TF-2: 3.42.4.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ihe.errors import Finding
from xds.domain.checks import METADATA_ERROR, name_of
from xds.domain.datatypes import is_symbolic, is_uuid
from xds.domain.model import (
    RELATIONSHIPS,
    REPLACEMENTS,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    Submission,
)

_TARGET_REGISTERED = REPLACEMENTS | {AssociationType.SNAPSHOT_OF}
_UPDATES = frozenset({AssociationType.UPDATE_STATUS, AssociationType.SUBMIT_ASSOCIATION})


def check_associations(submission: Submission) -> list[Finding]:
    """Everything wrong with the associations by themselves; what they refer to outside is not looked at."""
    return [*_Associations(submission).check()]


class _Associations:
    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.set_id = submission.submission_set.id
        self.by_id = {item.id: item for item in submission.objects}
        self.members = {
            association.target
            for association in submission.associations
            if association.type == AssociationType.HAS_MEMBER and association.source == self.set_id
        }

    def check(self) -> Iterator[Finding]:
        for association in self.submission.associations:
            dangling = list(self._references(association))
            yield from dangling
            if dangling:
                continue
            if association.type == AssociationType.HAS_MEMBER:
                yield from self._membership(association)
            elif association.type in RELATIONSHIPS:
                yield from self._relationship(association)
            elif association.type in _UPDATES:
                yield _wrong(association, "associationType", f"{association.type} belongs to metadata update")
            else:
                yield _wrong(association, "associationType", f"{association.type!r} is not known")
        for item in self.submission.described[1:]:
            if item.id not in self.members:
                where = name_of(item)
                yield Finding(METADATA_ERROR, f"{where}: no HasMember joins it to the SubmissionSet", where)

    def _references(self, association: Association) -> Iterator[Finding]:
        for attribute, value in (("sourceObject", association.source), ("targetObject", association.target)):
            if not value:
                yield _wrong(association, attribute, "is missing")
            elif value not in self.by_id and (is_symbolic(value) or not is_uuid(value)):
                yield _unresolved(association, attribute, value)

    def _membership(self, association: Association) -> Iterator[Finding]:
        if association.documentation is not None:
            problem = f"{_shown(association.documentation.code)} must not stand on a HasMember"
            yield _wrong(association, "documentation", problem)
        previous = association.slot("PreviousVersion")
        if previous is not None:
            yield _wrong(association, "PreviousVersion", f"{_shown(previous)} belongs to metadata update")
        source, target = self.by_id.get(association.source), self.by_id.get(association.target)
        status = association.slot("SubmissionSetStatus")
        if status is not None and (association.source != self.set_id or isinstance(target, Folder | Association)):
            problem = f"{_shown(status)} says something of documents in a SubmissionSet only; here it means nothing"
            yield replace(_wrong(association, "SubmissionSetStatus", problem), severity="Warning")
        if association.source == self.set_id:
            yield from self._set_membership(association)
        elif isinstance(source, Folder) or source is None:
            if target is not None and not isinstance(target, DocumentEntry):
                yield _wrong(association, "targetObject", f"{_shown(association.target)} is no DocumentEntry")
            elif source is None and association.id not in self.members:
                problem = "is an existing Folder; the SubmissionSet must have this association as a member"
                yield _wrong(association, "sourceObject", f"{_shown(association.source)} {problem}")
        else:
            problem = f"{_shown(association.source)} is neither the SubmissionSet nor a Folder"
            yield _wrong(association, "sourceObject", problem)

    def _set_membership(self, association: Association) -> Iterator[Finding]:
        target = self.by_id.get(association.target)
        status = association.slot("SubmissionSetStatus")
        if isinstance(target, DocumentEntry) and status != "Original":
            problem = f"is {_shown(status)} and must be Original: the DocumentEntry is part of the submission"
            yield _wrong(association, "SubmissionSetStatus", problem)
        elif target is None and status != "Reference":
            if status == "Original":
                yield _unresolved(association, "targetObject", association.target)
            else:
                problem = f"is {_shown(status)} and must be Reference: the DocumentEntry is no part of the submission"
                yield _wrong(association, "SubmissionSetStatus", problem)
        elif target is self.submission.submission_set:
            yield _wrong(association, "targetObject", f"{_shown(association.target)} is the SubmissionSet itself")

    def _relationship(self, association: Association) -> Iterator[Finding]:
        source, target = self.by_id.get(association.source), self.by_id.get(association.target)
        if not isinstance(source, DocumentEntry):
            yield _unresolved(association, "sourceObject", association.source)
        if target is not None and not isinstance(target, DocumentEntry):
            yield _wrong(association, "targetObject", f"{_shown(association.target)} is no DocumentEntry")
        elif target is not None and association.type in _TARGET_REGISTERED:
            yield _unresolved(association, "targetObject", association.target)
        if association.source == association.target:
            yield _wrong(association, "targetObject", f"{_shown(association.target)} is the sourceObject, too")


def _wrong(association: Association, attribute: str, problem: str) -> Finding:
    where = name_of(association)
    return Finding(METADATA_ERROR, f"{where}: {attribute} {problem}", f"{where}/{attribute}")


def _shown(value: str | None) -> str:
    return "absent" if value is None else repr(value[:100])


def _unresolved(association: Association, attribute: str, value: str) -> Finding:
    where = name_of(association)
    context = f"{where}: {attribute} {value[:100]!r} refers to no object that it may refer to"
    return Finding("UnresolvedReferenceException", context, f"{where}/{attribute}")

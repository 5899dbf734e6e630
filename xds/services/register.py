"""Register a submission: all of it, or nothing and every reason why.

Source: ITI TF-2: 3.42.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ihe.errors import Finding, Refused
from ihe.unit_of_work import UnitOfWork
from xds.domain.association_checks import check_associations
from xds.domain.checks import check_submission
from xds.domain.datatypes import is_uuid
from xds.domain.identifiers import as_first_versions, with_final_ids
from xds.domain.imaging import with_canonical_format
from xds.domain.model import (
    REPLACEMENTS,
    Association,
    AssociationType,
    Availability,
    DocumentEntry,
    DocumentKind,
    Submission,
)
from xds.domain.registered import RegisteredFolder, RegisteredObject
from xds.domain.registry_checks import Known, check_against_registry, outside_references
from xds.services.ownership import (
    Ownership,
    anchors,
    check_patients,
    known_anchors,
    require_no_opposition,
    require_own,
)
from xds.services.registry import Registry
from xds.store import objects
from xds.translate.ebxml_writer import body_of


def register(
    uow: UnitOfWork,
    submission: Submission,
    registry: Registry,
    kind: DocumentKind = DocumentKind.STABLE,
) -> list[Finding]:
    """Check a submission and save it in the caller's transaction.

    Args:
        kind: the only kind of document entry taken (ITI-42 stable, ITI-61 on-demand).

    Returns:
        Warnings; the submission is registered.

    Raises:
        Refused: something is wrong; carries every finding, warnings among them. Nothing was saved.
        AccessDenied: an entry is of another site's patient, or of one who opposes that documents are shared.
    """
    require_own(uow, (entry.source_patient_id for entry in submission.entries))
    submission = replace(submission, entries=tuple(map(with_canonical_format, submission.entries)))
    findings = [*check_submission(submission, registry.value_sets, kind), *check_associations(submission)]
    ownership = Ownership(uow, registry.directory, to_write=True)
    findings += check_patients(submission, ownership)

    known = _load(uow, submission, ownership)
    told = {(each.code, each.location) for each in findings}
    findings += (each for each in check_against_registry(submission, known) if (each.code, each.location) not in told)
    refuse_errors(findings)
    require_no_opposition(uow, registry.directory, (entry.patient_id for entry in submission.entries))

    final = as_first_versions(with_final_ids(submission, lambda: uuid.uuid4().urn))
    _Registration(uow, final, ownership, known.holders).save()
    return findings


def refuse_errors(findings: Sequence[Finding]) -> None:
    """Refuse with all findings if one is an error.

    Raises:
        Refused: it is.
    """
    if any(finding.severity == "Error" for finding in findings):
        raise Refused(findings)


def _load(uow: UnitOfWork, submission: Submission, ownership: Ownership) -> Known:
    """Lock, then read, everything in the registry that decides about the submission."""
    unique_ids = [item.unique_id for item in submission.described if item.unique_id]
    objects.lock(uow.connection, [*unique_ids, *(item.id for item in submission.objects)])
    claimed = [item.id for item in submission.objects if is_uuid(item.id)]
    referred = [each for each in outside_references(submission) if is_uuid(each)]
    by_id = objects.objects_by_id(uow.connection, [*claimed, *referred], for_update=True)
    holders: dict[str, list[RegisteredObject]] = defaultdict(list)
    for holder in objects.by_unique_id(uow.connection, unique_ids):
        holders[holder.unique_id].append(holder)
    replaced = {each.target for each in submission.associations if each.type in REPLACEMENTS and each.target in by_id}
    return Known(
        by_id,
        holders,
        {each: objects.folders_holding(uow.connection, each, for_update=True) for each in sorted(replaced)},
        known_anchors(submission, ownership),
        ownership.owner,
    )


class _Registration:
    """Saves a submission that was found right, with what it brings about."""

    def __init__(
        self,
        uow: UnitOfWork,
        submission: Submission,
        ownership: Ownership,
        holders: Mapping[str, Sequence[RegisteredFolder]],
    ) -> None:
        self.uow = uow
        self.submission = submission
        self.holders = holders
        self.anchors = anchors(submission, ownership)

    def save(self) -> None:
        connection, now = self.uow.connection, self.uow.now
        replaced = [each for each in self.submission.associations if each.type in REPLACEMENTS]
        inherited = list(self._inherited_memberships(replaced))
        associations = [*self.submission.associations, *inherited]
        described = self.submission.described
        objects.save_described(connection, [(item, self.anchors[item.id], body_of(item)) for item in described], now)
        objects.save_associations(connection, [(each, body_of(each)) for each in associations], now)
        if replaced:
            deprecated = objects.derived_from(connection, [each.target for each in replaced])
            objects.set_status(connection, list(deprecated), Availability.DEPRECATED, now, self.uow.caller.label)
            for entry_id, anchor in deprecated.items():
                self.uow.publish("document.deprecated", anchor, {"entry_uuid": entry_id})
        objects.touch_folders(connection, self._touched_folders(associations), now)
        self._publish()

    def _inherited_memberships(self, replaced: Iterable[Association]) -> Iterable[Association]:
        """The replacement joins the folders of what it replaces (ITI TF-2: 3.42.4.1.3.3.1)."""
        for association in replaced:
            for folder in self.holders.get(association.target, ()):
                member = Association(
                    id=uuid.uuid4().urn,
                    type=AssociationType.HAS_MEMBER,
                    source=folder.id,
                    target=association.source,
                )
                yield member
                yield Association(
                    id=uuid.uuid4().urn,
                    type=AssociationType.HAS_MEMBER,
                    source=self.submission.submission_set.id,
                    target=member.id,
                )

    def _touched_folders(self, associations: Iterable[Association]) -> list[str]:
        """Existing folders that gain a document; new ones carry the moment of registration already."""
        new = {item.id for item in self.submission.objects}
        return [
            each.source for each in associations if each.type == AssociationType.HAS_MEMBER and each.source not in new
        ]

    def _publish(self) -> None:
        submission_set = self.submission.submission_set
        self.uow.publish(
            "submission.registered",
            self.anchors[submission_set.id].xds_cx,
            {"set_uuid": submission_set.id, "unique_id": submission_set.unique_id},
        )
        for entry in self.submission.entries:
            self.uow.publish("document.registered", self.anchors[entry.id].xds_cx, _announcement(entry))


def _announcement(entry: DocumentEntry) -> dict[str, str | None]:
    return {
        "entry_uuid": entry.id,
        "unique_id": entry.unique_id,
        "repository_unique_id": entry.repository_unique_id,
        "mime_type": entry.mime_type,
    }

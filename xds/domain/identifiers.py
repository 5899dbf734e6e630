"""Symbolic names of a submission → UUIDs of the registry.

Source: ITI TF-2: 3.42.4.1.3.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from xds.domain.datatypes import is_symbolic
from xds.domain.model import Availability, DocumentEntry, Folder, Submission, SubmissionSet

DescribedT = TypeVar("DescribedT", DocumentEntry, SubmissionSet, Folder)


def with_final_ids(submission: Submission, new_uuid: Callable[[], str]) -> Submission:
    """The submission with a UUID for each symbolic name, the same wherever the name stands.

    UUIDs that the sender chose stay.

    Args:
        new_uuid: makes a fresh ``urn:uuid:``.
    """
    final = {item.id: new_uuid() if is_symbolic(item.id) else item.id for item in submission.objects}
    return replace(
        submission,
        submission_set=replace(submission.submission_set, id=final[submission.submission_set.id]),
        entries=tuple(replace(each, id=final[each.id]) for each in submission.entries),
        folders=tuple(replace(each, id=final[each.id]) for each in submission.folders),
        associations=tuple(
            replace(
                each,
                id=final[each.id],
                source=final.get(each.source, each.source),
                target=final.get(each.target, each.target),
            )
            for each in submission.associations
        ),
    )


def as_first_versions(submission: Submission) -> Submission:
    """The submission with each object approved and the first version of itself, whatever the sender wrote."""
    return replace(
        submission,
        submission_set=as_first_version(submission.submission_set),
        entries=tuple(as_first_version(each) for each in submission.entries),
        folders=tuple(as_first_version(each) for each in submission.folders),
        associations=tuple(replace(each, status=Availability.APPROVED) for each in submission.associations),
    )


def as_first_version(item: DescribedT) -> DescribedT:
    """The object approved and the first version of itself."""
    return replace(item, logical_id=None, version=1, status=Availability.APPROVED)

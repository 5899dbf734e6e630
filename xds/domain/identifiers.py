"""Symbolic names of a submission → UUIDs of the registry.

Source: ITI TF-2: 3.42.4.1.3.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xds.domain.datatypes import is_symbolic
from xds.domain.model import Submission


def with_final_ids(submission: Submission, new_uuid: Callable[[], str]) -> Submission:
    """The submission with a UUID for each symbolic name, the same wherever the name stands.

    UUIDs that the sender chose stay. Each object becomes the first version of itself.

    Args:
        new_uuid: makes a fresh ``urn:uuid:``.
    """
    final = {item.id: new_uuid() if is_symbolic(item.id) else item.id for item in submission.objects}

    return replace(
        submission,
        submission_set=replace(
            submission.submission_set, id=final[submission.submission_set.id], logical_id=None, version=1
        ),
        entries=tuple(replace(each, id=final[each.id], logical_id=None, version=1) for each in submission.entries),
        folders=tuple(replace(each, id=final[each.id], logical_id=None, version=1) for each in submission.folders),
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

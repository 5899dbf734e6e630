"""Metadata updates of sample entries."""

from __future__ import annotations

from dataclasses import replace

from tests.xds_samples import submission
from xds.domain.model import DocumentEntry, Submission


def new_version(document: DocumentEntry, logical_id: str, previous: str = "1", **slots: str) -> Submission:
    """An update of an entry."""
    assert document.patient_id is not None
    updated = replace(document, id="new", logical_id=logical_id)
    made = submission(document.patient_id, updated)
    values = {"SubmissionSetStatus": ("Original",), "PreviousVersion": (previous,)}
    trigger = replace(made.associations[0], slots=values | {name: (text,) for name, text in slots.items()})
    return replace(made, associations=(trigger,))

"""The metadata objects: what they answer about themselves."""

from __future__ import annotations

from xds.domain.model import (
    Association,
    AssociationType,
    DocumentEntry,
    DocumentKind,
    Folder,
    Submission,
    SubmissionSet,
)


def test_the_first_value_of_a_slot_is_the_answer() -> None:
    member = Association(
        id="a1",
        type=AssociationType.HAS_MEMBER,
        source="set",
        target="doc",
        slots={"SubmissionSetStatus": ("Original",), "empty": ()},
    )
    assert member.slot("SubmissionSetStatus") == "Original"
    assert member.slot("empty") is None
    assert member.slot("PreviousVersion") is None


def test_an_entry_knows_whether_its_content_is_made_on_demand() -> None:
    assert not DocumentEntry(id="d").is_on_demand
    assert DocumentEntry(id="d", object_type=DocumentKind.ON_DEMAND).is_on_demand


def test_a_submission_lists_its_set_first_and_its_associations_last() -> None:
    submission = Submission(
        submission_set=SubmissionSet(id="set"),
        entries=(DocumentEntry(id="doc"),),
        folders=(Folder(id="folder"),),
        associations=(Association(id="link", type=AssociationType.HAS_MEMBER, source="set", target="doc"),),
    )
    assert [each.id for each in submission.objects] == ["set", "doc", "folder", "link"]

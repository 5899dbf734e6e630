"""Everything that can be wrong with a submission by itself has its finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ihe.values import Code
from tests.xds_samples import entry, folder, member, pid, relation, submission
from xds.application import load_value_sets
from xds.domain.association_checks import check_associations
from xds.domain.checks import check_submission
from xds.domain.model import AssociationType, Author, DocumentKind, Submission
from xds.domain.value_sets import ValueSets

ANNE = pid("A-1")
NOTHING_ALLOWED = ValueSets()


def findings(made: Submission, kind: DocumentKind | None = DocumentKind.STABLE) -> list[tuple[str, str | None]]:
    found = [*check_submission(made, NOTHING_ALLOWED, kind), *check_associations(made)]
    return [(each.code, each.location) for each in found]


def test_a_complete_submission_has_no_finding() -> None:
    links = [member("folder", "doc")]
    assert findings(submission(ANNE, entry("doc", ANNE), folders=[folder("folder", ANNE)], associations=links)) == []


@pytest.mark.parametrize(
    ("field", "value", "attribute"),
    [
        ("class_code", None, "classCode"),
        ("type_code", None, "typeCode"),
        ("format_code", None, "formatCode"),
        ("healthcare_facility_type_code", None, "healthcareFacilityTypeCode"),
        ("practice_setting_code", None, "practiceSettingCode"),
        ("confidentiality_codes", (), "confidentialityCode"),
        ("creation_time", None, "creationTime"),
        ("language_code", None, "languageCode"),
        ("source_patient_id", None, "sourcePatientId"),
        ("patient_id", None, "patientId"),
        ("mime_type", None, "mimeType"),
        ("unique_id", None, "uniqueId"),
        ("repository_unique_id", None, "repositoryUniqueId"),
        ("hash", None, "hash"),
        ("size", None, "size"),
        ("creation_time", "2024-01-01", "creationTime"),
        ("service_stop_time", "2024", "serviceStopTime"),
        ("home", "1.2.3", "homeCommunityId"),
        ("class_code", Code("10", ""), "classCode"),
        ("reference_id_list", ("bare",), "referenceIdList"),
        ("object_type", "urn:uuid:0", "objectType"),
        ("object_type", DocumentKind.ON_DEMAND, "objectType"),
    ],
)
def test_each_fault_of_an_entry_is_found_where_it_is(field: str, value: Any, attribute: str) -> None:
    made = submission(ANNE, replace(entry("doc", ANNE), **{field: value}))
    assert ("XDSRegistryMetadataError", f"DocumentEntry(doc)/{attribute}") in findings(made)


def test_limited_metadata_needs_less() -> None:
    bare = entry("doc", ANNE, limited_metadata=True, class_code=None, creation_time=None, language_code=None)
    assert findings(submission(ANNE, bare)) == []


def test_one_id_and_one_unique_id_for_each_object() -> None:
    first = entry("doc", ANNE)
    same_id = submission(ANNE, first, entry("doc", ANNE))
    assert ("XDSRegistryMetadataError", "doc") in findings(same_id)
    same_unique_id = submission(ANNE, first, entry("other", ANNE, unique_id=first.unique_id))
    assert ("XDSRegistryDuplicateUniqueIdInMessage", first.unique_id) in findings(same_unique_id)


def test_one_patient_for_all() -> None:
    made = submission(ANNE, entry("doc", pid("A-2")))
    assert findings(made) == [("XDSPatientIdDoesNotMatch", "DocumentEntry(doc)/patientId")]


def test_a_finding_names_object_attribute_and_value() -> None:
    wrong = entry(
        "doc",
        pid("A-2"),
        creation_time="2024-13",
        service_stop_time="2024",
        hash="short",
        reference_id_list=("bare",),
        class_code=Code("10", ""),
    )
    links = [member("set", UUID, "Sideways"), relation(AssociationType.APPENDS, "doc", "nowhere")]
    found = submission(ANNE, wrong, associations=links)
    contexts = {each.location: each.context for each in check_submission(found, NOTHING_ALLOWED)}
    contexts |= {each.location: each.context for each in check_associations(found)}
    for attribute, value in (
        ("creationTime", "2024-13"),
        ("serviceStopTime", "2024"),
        ("hash", "short"),
        ("referenceIdList", "bare"),
        ("classCode", "10"),
        ("patientId", "A-2^^^&2.25.2&ISO"),
    ):
        context = contexts[f"DocumentEntry(doc)/{attribute}"]
        assert context.startswith(f"DocumentEntry(doc): {attribute} ")
        assert value in context
    for link, attribute, value in (
        (links[0], "SubmissionSetStatus", "Sideways"),
        (links[1], "targetObject", "nowhere"),
    ):
        assert f"{attribute} " in contexts[f"Association({link.id})/{attribute}"]
        assert value in contexts[f"Association({link.id})/{attribute}"]


def test_a_value_longer_than_a_slot_takes_is_found_wherever_it_stands() -> None:
    long = "x" * 257
    fitting = "x" * 256
    wrong = entry(
        "doc",
        ANNE,
        source_patient_info=(f"PID-5|{long}",),
        authors=(Author(person=f"^{fitting[1:]}", institutions=(long,)),),
        legal_authenticator=long,
        uri=(long,),
        extra={"urn:example:x": (long, fitting)},
    )
    link = relation(AssociationType.APPENDS, "doc", UUID, slots={"urn:example:y": (long,)})
    made = submission(ANNE, wrong, associations=[link], intended_recipients=(long,))
    assert sorted(place or "" for _, place in findings(made)) == [
        f"Association({link.id})/urn:example:y",
        "DocumentEntry(doc)/URI",
        "DocumentEntry(doc)/author",
        "DocumentEntry(doc)/legalAuthenticator",
        "DocumentEntry(doc)/sourcePatientInfo",
        "DocumentEntry(doc)/urn:example:x",
        "SubmissionSet(set)/intendedRecipient",
    ]


def test_a_submission_set_status_where_it_means_nothing_is_a_warning() -> None:
    links = [member("folder", "doc", "Original")]
    made = submission(ANNE, entry("doc", ANNE), folders=[folder("folder", ANNE)], associations=links)
    (found,) = check_associations(made)
    assert (found.severity, found.location) == ("Warning", f"Association({links[0].id})/SubmissionSetStatus")


UUID = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"


@pytest.mark.parametrize(
    ("links", "code"),
    [
        (lambda: [relation("urn:x:unheard", "doc", UUID)], "XDSRegistryMetadataError"),
        (lambda: [relation(AssociationType.UPDATE_STATUS, "set", UUID)], "XDSRegistryMetadataError"),
        (lambda: [relation(AssociationType.REPLACES, "doc", "other")], "UnresolvedReferenceException"),
        (lambda: [relation(AssociationType.APPENDS, UUID, "doc")], "UnresolvedReferenceException"),
        (lambda: [relation(AssociationType.APPENDS, "doc", "nowhere")], "UnresolvedReferenceException"),
        (lambda: [relation(AssociationType.APPENDS, "doc", "doc")], "XDSRegistryMetadataError"),
        (lambda: [relation(AssociationType.APPENDS, "doc", "")], "XDSRegistryMetadataError"),
        (lambda: [member("set", UUID)], "XDSRegistryMetadataError"),
        (lambda: [member("set", UUID, "Original")], "UnresolvedReferenceException"),
        (lambda: [member(UUID, "doc")], "XDSRegistryMetadataError"),
        (lambda: [member("doc", "other")], "XDSRegistryMetadataError"),
        (lambda: [replace(member("set", UUID, "Reference"), documentation=Code("x", "y"))], "XDSRegistryMetadataError"),
    ],
)
def test_each_fault_of_an_association_has_its_code(links: Callable[[], list[Any]], code: str) -> None:
    made = submission(ANNE, entry("doc", ANNE), entry("other", ANNE), associations=links())
    assert [found for found, _ in findings(made)] == [code]


def test_what_no_membership_joins_to_the_set_is_found() -> None:
    made = submission(ANNE, entry("doc", ANNE))
    assert findings(replace(made, associations=())) == [("XDSRegistryMetadataError", "DocumentEntry(doc)")]


def test_a_code_outside_the_table_is_refused_by_name_unless_its_attribute_is_lenient() -> None:
    made = submission(ANNE, replace(entry("doc", ANNE), class_code=Code("odd", "1.2.3"), mime_type="model/odd"))
    strict = check_submission(made, load_value_sets())
    lenient = check_submission(made, load_value_sets(lenient=["classCode", "mimeType"]))
    for found in (strict, lenient):
        places = {each.location: each for each in found}
        assert "'odd^^1.2.3'" in places["DocumentEntry(doc)/classCode"].context
        assert "'model/odd'" in places["DocumentEntry(doc)/mimeType"].context
    concerned = ("DocumentEntry(doc)/classCode", "DocumentEntry(doc)/mimeType")
    assert {each.severity for each in strict} == {"Error"}
    assert {each.severity for each in lenient if each.location in concerned} == {"Warning"}
    assert {each.severity for each in lenient if each.location not in concerned} <= {"Error"}

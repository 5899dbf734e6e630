"""ITI-57 and ITI-92 metadata update, ITI-62 removal: bodies in, bodies out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from tests.xds_samples import entry, folder, fresh_oid, member, relation, submission
from tests.xds_wire_fixtures import (
    ANNE_A,
    ANNE_B,
    APPROVED,
    BERTHE_A,
    DEPRECATED,
    GET_DOCUMENTS,
    REMOVE,
    RESTRICTED_UPDATE,
    UPDATE,
    Wire,
    identifier_of,
    wire,
)
from tests.xds_wire_updates import new_version
from xds.domain.model import (
    Association,
    AssociationType,
    Availability,
    DocumentEntry,
    LocalizedText,
    Submission,
)
from xds.translate.ebxml_vocabulary import LCM, RIM

__all__ = ["wire"]


def registered(wire: Wire, **changes: Any) -> tuple[DocumentEntry, str]:
    """A registered entry and its UUID."""
    document = entry("doc", ANNE_A, **changes)
    assert wire.submit(submission(ANNE_A, document)) == []
    (found,) = [each for each in wire.documents_of(ANNE_A) if identifier_of(each, "uniqueId") == document.unique_id]
    return document, found.get("id", "")


def operation(type: str, target: str, *others: Association, **slots: str) -> Submission:  # noqa: A002
    """An update by an association from the set."""
    trigger = relation(type, "set", target, slots={name: (text,) for name, text in slots.items()})
    return replace(submission(ANNE_A), associations=(trigger, *others))


def versions(wire: Wire, logical_id: str) -> list[tuple[str, str, str]]:
    """Version, status and title of every version."""
    answer = wire.ask(GET_DOCUMENTS, ("$XDSDocumentEntryLogicalID", f"('{logical_id}')"))
    return [
        (
            each.find(f"{{{RIM}}}VersionInfo").get("versionName"),
            each.get("status", "").rpartition(":")[2],
            each.find(f"{{{RIM}}}Name/{{{RIM}}}LocalizedString").get("value"),
        )
        for each in answer.iter(f"{{{RIM}}}ExtrinsicObject")
    ]


def test_an_update_makes_a_version_and_deprecates_the_one_before(wire: Wire) -> None:
    document, uuid = registered(wire)
    changed = replace(document, title=(LocalizedText("Titre corrigé"),))
    assert wire.submit(new_version(changed, uuid), UPDATE) == []
    assert versions(wire, uuid) == [
        ("1", "Deprecated", "Scanner thoracique"),
        ("2", "Approved", "Titre corrigé"),
    ]
    (found,) = wire.documents_of(ANNE_B)
    assert found.get("lid") == uuid
    assert found.get("id") != uuid


def test_of_two_updates_of_one_version_the_second_is_refused(wire: Wire) -> None:
    document, uuid = registered(wire)
    assert wire.submit(new_version(document, uuid), UPDATE) == []
    assert [code for code, _ in wire.submit(new_version(document, uuid), UPDATE)] == ["XDSMetadataVersionError"]
    assert wire.submit(new_version(document, uuid, previous="2"), UPDATE) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"unique_id": "2.25.1.1"}, "XDSMetadataUpdateError"),
        ({"class_code": None}, "XDSRegistryMetadataError"),
        ({"patient_id": BERTHE_A, "source_patient_id": ANNE_B}, "XDSPatientIdDoesNotMatch"),
    ],
)
def test_what_an_update_may_not_change(wire: Wire, changes: dict[str, Any], code: str) -> None:
    document, uuid = registered(wire)
    errors = wire.submit(new_version(replace(document, **changes), uuid), UPDATE)
    assert [found for found, _ in errors] == [code]
    assert [version for version, _, _ in versions(wire, uuid)] == ["1"]


def test_an_update_without_an_original_or_of_no_object_is_refused(wire: Wire) -> None:
    document, uuid = registered(wire)
    other = uuid[:-4] + ("0000" if not uuid.endswith("0000") else "1111")
    assert [code for code, _ in wire.submit(new_version(document, other), UPDATE)] == ["XDSMetadataVersionError"]
    assert [code for code, _ in wire.submit(new_version(document, "symbolic"), UPDATE)] == [
        "XDSMetadataUpdateError",
        "XDSMetadataUpdateError",
    ]
    initial = submission(ANNE_A, entry("doc", ANNE_A))
    assert {code for code, _ in wire.submit(initial, UPDATE)} == {"XDSMetadataUpdateError"}


def test_an_update_brings_ids_of_its_own(wire: Wire) -> None:
    """What another object has already is refused by name, not by the database."""
    first = submission(ANNE_A, document := entry("doc", ANNE_A))
    assert wire.submit(first) == []
    (kept,) = wire.documents_of(ANNE_A)
    uuid = kept.get("id", "")
    _, other = registered(wire)
    made = new_version(document, uuid)
    again = replace(made, submission_set=replace(made.submission_set, unique_id=first.submission_set.unique_id))
    assert wire.submit(again, UPDATE) == [("XDSDuplicateUniqueIdInRegistry", "SubmissionSet(set)/uniqueId")]
    (trigger,) = made.associations
    taken = replace(
        made,
        entries=(replace(made.entries[0], id=other),),
        associations=(replace(trigger, target=other),),
    )
    assert wire.submit(taken, UPDATE) == [("XDSRegistryMetadataError", f"DocumentEntry({other})")]
    as_set = replace(
        made,
        submission_set=replace(made.submission_set, id=other),
        associations=(replace(trigger, source=other),),
    )
    assert wire.submit(as_set, UPDATE) == [("XDSRegistryMetadataError", f"SubmissionSet({other})")]
    assert [version for version, _, _ in versions(wire, uuid)] == ["1"]


def test_everything_wrong_with_an_update_is_told_at_once(wire: Wire) -> None:
    document, uuid = registered(wire)
    wrong = replace(document, unique_id="2.25.1.1", class_code=None, hash="short")
    errors = wire.submit(new_version(wrong, uuid, previous="7"), UPDATE)
    assert sorted(code for code, _ in errors) == [
        "XDSMetadataUpdateError",
        "XDSMetadataVersionError",
        "XDSRegistryMetadataError",
        "XDSRegistryMetadataError",
    ]


def test_memberships_and_relations_pass_to_the_new_version(wire: Wire) -> None:
    document = entry("doc", ANNE_A)
    addendum = entry("addendum", ANNE_A)
    links = [member("folder", "doc"), relation(AssociationType.APPENDS, "addendum", "doc")]
    wire.submit(submission(ANNE_A, document, addendum, folders=[folder("folder", ANNE_A)], associations=links))
    uuids = {identifier_of(each, "uniqueId"): each.get("id", "") for each in wire.documents_of(ANNE_A)}
    assert wire.submit(new_version(document, uuids[document.unique_id or ""]), UPDATE) == []

    now = {identifier_of(each, "uniqueId"): each.get("id", "") for each in wire.documents_of(ANNE_A)}
    answer = wire.ask(
        "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155", ("$uuid", f"('{now[document.unique_id or '']}')")
    )
    kinds = sorted(each.get("associationType", "").rpartition(":")[2] for each in answer.iter(f"{{{RIM}}}Association"))
    assert kinds == ["APND", "HasMember", "HasMember"]


def linked(wire: Wire) -> tuple[DocumentEntry, str, DocumentEntry, str]:
    """A document in a folder and an addendum to it, each with its entryUUID."""
    document, addendum = entry("doc", ANNE_A), entry("addendum", ANNE_A)
    links = [member("folder", "doc"), relation(AssociationType.APPENDS, "addendum", "doc")]
    wire.submit(submission(ANNE_A, document, addendum, folders=[folder("folder", ANNE_A)], associations=links))
    uuids = {identifier_of(each, "uniqueId"): each.get("id", "") for each in wire.documents_of(ANNE_A)}
    return document, uuids[document.unique_id or ""], addendum, uuids[addendum.unique_id or ""]


def relations_of(wire: Wire, uuid: str) -> list[tuple[str, str, str]]:
    """Kind, source and target of the approved associations of an object, those with submission sets apart."""
    answer = wire.ask("urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155", ("$uuid", f"('{uuid}')"))
    return sorted(
        (each.get("associationType", "").rpartition(":")[2], each.get("sourceObject", ""), each.get("targetObject", ""))
        for each in answer.iter(f"{{{RIM}}}Association")
        if not each.findall(f"{{{RIM}}}Slot[@name='SubmissionSetStatus']")
    )


def test_propagation_can_be_forgone_and_nothing_else(wire: Wire) -> None:
    document, uuid, _, addendum = linked(wire)
    before = relations_of(wire, uuid)
    assert [kind for kind, _, _ in before] == ["APND", "HasMember"]
    odd = new_version(document, uuid, AssociationPropagation="perhaps")
    assert ("XDSMetadataUpdateError", odd.associations[0].id) in wire.submit(odd, UPDATE)
    forgone = new_version(document, uuid, AssociationPropagation="no")
    assert [code for code, _ in wire.submit(forgone, RESTRICTED_UPDATE)] == ["XDSMetadataAnnotationError"]
    assert wire.submit(forgone, UPDATE) == []
    (now,) = (each.get("id", "") for each in wire.documents_of(ANNE_A) if each.get("lid") == uuid)
    assert relations_of(wire, now) == []
    assert relations_of(wire, uuid) == before
    assert relations_of(wire, addendum) == [each for each in before if each[0] == "APND"]


def test_both_ends_of_a_relation_are_updated_in_one_submission(wire: Wire) -> None:
    document, first, addendum, second = linked(wire)
    one, other = new_version(document, first), new_version(addendum, second)
    renamed = replace(other.entries[0], id="other")
    trigger = replace(other.associations[0], id="trigger", source=one.submission_set.id, target="other")
    both = replace(one, entries=(*one.entries, renamed), associations=(*one.associations, trigger))
    assert wire.submit(both, UPDATE) == []
    now = {each.get("lid", ""): each.get("id", "") for each in wire.documents_of(ANNE_A)}
    assert ("APND", now[second], now[first]) in relations_of(wire, now[first])
    assert [kind for kind, _, _ in relations_of(wire, now[first])] == ["APND", "HasMember"]


def test_a_patient_is_not_changed_while_a_relation_would_join_two(wire: Wire) -> None:
    document, uuid, _, _ = linked(wire)
    moved = replace(document, patient_id=BERTHE_A)
    assert {code for code, _ in wire.submit(new_version(moved, uuid), UPDATE)} == {"XDSPatientIDReconciliationError"}
    assert wire.documents_of(BERTHE_A) == []
    assert wire.submit(new_version(moved, uuid, AssociationPropagation="no"), UPDATE) == []
    assert [identifier_of(each, "uniqueId") for each in wire.documents_of(BERTHE_A)] == [document.unique_id]


def test_status_goes_forth_and_back(wire: Wire) -> None:
    _, uuid = registered(wire)
    kind = AssociationType.UPDATE_STATUS
    down = operation(kind, uuid, OriginalStatus=Availability.APPROVED, NewStatus=Availability.DEPRECATED)
    assert wire.submit(down, UPDATE) == []
    assert len(wire.documents_of(ANNE_A, DEPRECATED)) == 1
    again = replace(down, submission_set=replace(down.submission_set, unique_id=fresh_oid()))
    assert [code for code, _ in wire.submit(again, UPDATE)] == ["XDSMetadataUpdateError"]
    up = operation(kind, uuid, OriginalStatus=Availability.DEPRECATED, NewStatus=Availability.APPROVED)
    assert wire.submit(up, UPDATE) == []
    assert len(wire.documents_of(ANNE_A, APPROVED)) == 1


@pytest.mark.parametrize(
    "slots",
    [
        {"NewStatus": Availability.DEPRECATED},
        {"OriginalStatus": Availability.APPROVED},
        {"OriginalStatus": Availability.APPROVED, "NewStatus": "urn:x:Gone"},
        {"OriginalStatus": Availability.APPROVED, "NewStatus": Availability.APPROVED},
        {"OriginalStatus": Availability.APPROVED, "NewStatus": Availability.DEPRECATED, "Why": "x"},
    ],
)
def test_a_status_change_is_written_with_two_statuses_and_nothing_else(wire: Wire, slots: dict[str, str]) -> None:
    _, uuid = registered(wire)
    errors = wire.submit(operation(AssociationType.UPDATE_STATUS, uuid, **slots), UPDATE)
    assert {code for code, _ in errors} == {"XDSMetadataUpdateOperationError"}


def test_an_association_is_added_once_and_only_between_documents_of_one_person(wire: Wire) -> None:
    _, first = registered(wire)
    _, second = registered(wire)
    link = relation(AssociationType.APPENDS, first, second)
    for code in (None, "XDSMetadataUpdateError"):
        errors = wire.submit(operation(AssociationType.SUBMIT_ASSOCIATION, link.id, link), UPDATE)
        assert [found for found, _ in errors] == ([code] if code else [])
    foreign = entry("doc", BERTHE_A)
    wire.submit(submission(BERTHE_A, foreign))
    (other,) = wire.documents_of(BERTHE_A)
    across = relation(AssociationType.APPENDS, first, other.get("id", ""))
    errors = wire.submit(operation(AssociationType.SUBMIT_ASSOCIATION, across.id, across), UPDATE)
    assert [code for code, _ in errors] == ["XDSPatientIdDoesNotMatch"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": (LocalizedText("Autre"),)}, None),
        ({"repository_unique_id": "2.25.9"}, "UnmodifiableMetadataError"),
        ({"source_patient_id": ANNE_B}, "UnmodifiableMetadataError"),
        ({"document_availability": "urn:ihe:iti:2010:DocumentAvailability:Offline"}, "UnmodifiableMetadataError"),
        ({"unique_id": "2.25.1.2"}, "XDSMetadataIdentifierError"),
        ({"patient_id": ANNE_B}, "XDSPatientIDReconciliationError"),
    ],
)
def test_a_restricted_update_changes_only_what_it_may(wire: Wire, changes: dict[str, Any], code: str | None) -> None:
    document, uuid = registered(wire)
    errors = wire.submit(new_version(replace(document, **changes), uuid), RESTRICTED_UPDATE)
    assert [found for found, _ in errors] == ([code] if code else [])


def remove(wire: Wire, *ids: str) -> str | None:
    """The code of the refusal, or nothing when the objects were removed."""
    references = "".join(f'<r:ObjectRef id="{each}"/>' for each in ids)
    body = (
        f'<l:RemoveObjectsRequest xmlns:l="{LCM}" xmlns:r="{RIM}"><r:ObjectRefList>{references}</r:ObjectRefList>'
        "</l:RemoveObjectsRequest>"
    )
    answer = wire.client.send(REMOVE, body)
    codes = {each.get("errorCode") for each in answer.iter() if each.get("errorCode")}
    assert len(codes) <= 1
    return next(iter(codes), None)


def test_removal_leaves_nothing_loose_and_nothing_behind(wire: Wire) -> None:
    _, uuid = registered(wire)
    answer = wire.ask("urn:uuid:51224314-5390-4169-9b91-b1980040715a", ("$uuid", f"('{uuid}')"))
    ids = {etree.QName(each).localname: each.get("id", "") for each in answer.find(f"{{{RIM}}}RegistryObjectList")}
    set_id, membership = ids["RegistryPackage"], ids["Association"]
    assert remove(wire, uuid[:-4] + "ffff") == "UnresolvedReferenceException"
    assert remove(wire, uuid) == "ReferencesExistException"
    assert remove(wire, uuid, membership) == "XDSUnreferencedObjectException"
    assert len(wire.documents_of(ANNE_A)) == 1
    assert remove(wire, uuid, membership, set_id) is None
    assert wire.documents_of(ANNE_A) == []
    assert remove(wire, uuid, membership, set_id) == "UnresolvedReferenceException"
    assert remove(wire) == "XDSRegistryMetadataError"

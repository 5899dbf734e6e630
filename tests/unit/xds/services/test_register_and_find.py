"""Registering, then asking: on a real database, without a wire."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import create_engine

from ihe.caller import REGION
from ihe.errors import Refused
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import PatientId
from tests.xds_samples import (
    FOREIGN_OID,
    REGION_OID,
    SITE_A_OID,
    SITE_B_OID,
    SampleDirectory,
    entry,
    folder,
    member,
    pid,
    relation,
    submission,
)
from xds.application import load_value_sets
from xds.domain.criteria import DocumentCriteria
from xds.domain.model import AssociationType, Availability, DocumentKind
from xds.services import find, get
from xds.services.get import Named
from xds.services.register import register
from xds.services.registry import Registry

ANNE_A = pid("A-1", SITE_A_OID)
ANNE_B = pid("B-1", SITE_B_OID)
ANNE = pid("anne", REGION_OID)
BERTHE_A = pid("A-2", SITE_A_OID)


@pytest.fixture
def directory() -> SampleDirectory:
    return SampleDirectory(anne=[ANNE_A, ANNE_B], berthe=[BERTHE_A])


@pytest.fixture
def registry(directory: SampleDirectory) -> Registry:
    return Registry(directory, load_value_sets())


@pytest.fixture
def uow(database_url: str) -> Iterator[UnitOfWork]:
    engine = create_engine(database_url)
    with Database(engine).unit(REGION) as unit:
        yield unit
    engine.dispose()


def titles_of(uow: UnitOfWork, registry: Registry, patient_id: PatientId) -> list[str]:
    found = find.find_documents(uow, registry, patient_id, DocumentCriteria())
    return [each.object.unique_id for each in found]


def codes(refused: pytest.ExceptionInfo[Refused]) -> set[str]:
    return {finding.code for finding in refused.value.findings}


def test_what_is_registered_is_found_by_every_identifier_of_the_person(uow: UnitOfWork, registry: Registry) -> None:
    document = entry("doc", ANNE_A)
    assert register(uow, submission(ANNE_A, document), registry) == []
    for asked in (ANNE, ANNE_A, ANNE_B):
        (found,) = find.find_documents(uow, registry, asked, DocumentCriteria())
        assert found.object.unique_id == document.unique_id
        assert found.object.status == Availability.APPROVED
        assert found.patient_id == asked
    assert titles_of(uow, registry, BERTHE_A) == []


def test_an_unknown_patient_has_no_documents_and_takes_none(uow: UnitOfWork, registry: Registry) -> None:
    stranger = pid("A-404", SITE_A_OID)
    assert titles_of(uow, registry, stranger) == []
    with pytest.raises(Refused) as refused:
        register(uow, submission(stranger, entry("doc", stranger)), registry)
    (finding,) = refused.value.findings
    assert finding.code == "XDSUnknownPatientId"
    assert finding.context.startswith(stranger.xds_cx)


def test_documents_follow_the_record_of_the_site_that_made_them(
    uow: UnitOfWork, registry: Registry, directory: SampleDirectory
) -> None:
    document = entry("doc", ANNE, source_patient_id=ANNE_B)
    register(uow, submission(ANNE, document), registry)
    assert titles_of(uow, registry, ANNE_A) == [document.unique_id]

    directory.link(ANNE_B, "berthe")
    assert titles_of(uow, registry, ANNE_A) == []
    assert titles_of(uow, registry, BERTHE_A) == [document.unique_id]

    (moved,) = get.returned(uow, registry, get.entries(uow, Named(unique_ids=[document.unique_id])), leaf_class=True)
    assert moved.patient_id == pid("berthe", REGION_OID)

    directory.link(ANNE_B, "anne")
    assert titles_of(uow, registry, ANNE_A) == [document.unique_id]
    (back,) = get.returned(uow, registry, get.entries(uow, Named(unique_ids=[document.unique_id])), leaf_class=True)
    assert back.patient_id == ANNE


def test_a_source_patient_of_somebody_else_is_refused(uow: UnitOfWork, registry: Registry) -> None:
    with pytest.raises(Refused) as refused:
        register(uow, submission(ANNE, entry("doc", ANNE, source_patient_id=BERTHE_A)), registry)
    assert codes(refused) == {"XDSPatientIdDoesNotMatch"}


def test_everything_wrong_is_told_at_once_and_nothing_is_kept(uow: UnitOfWork, registry: Registry) -> None:
    wrong = entry("doc", ANNE_A, class_code=None, hash="short", size=None, creation_time="20251399", language_code=None)
    with pytest.raises(Refused) as refused:
        register(uow, submission(ANNE_A, wrong, source_id="not-an-oid"), registry)
    assert {finding.location for finding in refused.value.findings} == {
        "DocumentEntry(doc)/classCode",
        "DocumentEntry(doc)/hash",
        "DocumentEntry(doc)/size",
        "DocumentEntry(doc)/creationTime",
        "DocumentEntry(doc)/languageCode",
        "SubmissionSet(set)/sourceId",
    }
    assert titles_of(uow, registry, ANNE_A) == []


def test_what_the_registry_forbids_is_told_beside_what_is_wrong_in_itself(uow: UnitOfWork, registry: Registry) -> None:
    first, old = entry("doc", ANNE_A), entry("old", ANNE_A)
    sent = submission(ANNE_A, first, old)
    register(uow, sent, registry)
    (kept,) = get.entries(uow, Named(unique_ids=[old.unique_id]))
    register(
        uow,
        submission(ANNE_A, entry("new", ANNE_A), associations=[relation(AssociationType.REPLACES, "new", kept.id)]),
        registry,
    )
    unheard = "urn:uuid:00000000-0000-4000-8000-000000000001"
    wrong = entry("doc", ANNE_A, unique_id=first.unique_id, hash="0" * 40, class_code=None)
    of_nobody = entry("stranger", pid("A-404", SITE_A_OID))
    links = [
        relation(AssociationType.APPENDS, "doc", kept.id),
        relation(AssociationType.APPENDS, "doc", unheard),
        relation(AssociationType.REPLACES, "doc", "nowhere"),
    ]
    with pytest.raises(Refused) as refused:
        register(
            uow,
            submission(ANNE_A, wrong, of_nobody, associations=links, unique_id=sent.submission_set.unique_id),
            registry,
        )
    assert sorted((each.code, each.location) for each in refused.value.findings) == sorted(
        [
            ("XDSRegistryMetadataError", "DocumentEntry(doc)/classCode"),
            ("XDSPatientIdDoesNotMatch", "DocumentEntry(stranger)/patientId"),
            ("XDSUnknownPatientId", "DocumentEntry(stranger)/patientId"),
            ("XDSNonIdenticalHash", "DocumentEntry(doc)/hash"),
            ("XDSDuplicateUniqueIdInRegistry", "SubmissionSet(set)/uniqueId"),
            ("XDSRegistryDeprecatedDocumentError", f"Association({links[0].id})/targetObject"),
            ("UnresolvedReferenceException", f"Association({links[1].id})/targetObject"),
            ("UnresolvedReferenceException", f"Association({links[2].id})/targetObject"),
        ]
    )


def test_ids_that_are_none_are_told_and_never_looked_up(uow: UnitOfWork, registry: Registry) -> None:
    link = relation(AssociationType.APPENDS, "doc", "urn:uuid:nonsense")
    wrong = entry("doc", ANNE_A, patient_id=None)
    with pytest.raises(Refused) as refused:
        register(uow, submission(ANNE_A, wrong, entry("urn:uuid:odd", ANNE_A), associations=[link]), registry)
    assert {(each.code, each.location) for each in refused.value.findings} == {
        ("XDSRegistryMetadataError", "DocumentEntry(doc)/patientId"),
        ("XDSRegistryMetadataError", "DocumentEntry(urn:uuid:odd)/entryUUID"),
        ("UnresolvedReferenceException", f"Association({link.id})/targetObject"),
    }


def test_a_snapshot_is_a_stable_entry_of_an_on_demand_one(uow: UnitOfWork, registry: Registry) -> None:
    nothing = {"object_type": DocumentKind.ON_DEMAND, "creation_time": None, "hash": None, "size": None}
    origin = entry("origin", ANNE_A, **nothing)
    register(uow, submission(ANNE_A, origin), registry, DocumentKind.ON_DEMAND)
    (kept,) = get.entries(uow, Named(unique_ids=[origin.unique_id]))
    link = relation(AssociationType.SNAPSHOT_OF, "doc", kept.id)
    with pytest.raises(Refused) as refused:
        register(
            uow, submission(ANNE_A, entry("doc", ANNE_A, **nothing), associations=[link]), registry,
            DocumentKind.ON_DEMAND,
        )  # fmt: skip
    assert [each.location for each in refused.value.findings] == [f"Association({link.id})/sourceObject"]
    assert register(uow, submission(ANNE_A, entry("doc", ANNE_A), associations=[link]), registry) == []


def test_a_replacement_deprecates_what_it_replaces_with_all_derived_from_it(
    uow: UnitOfWork, registry: Registry
) -> None:
    original = entry("first", ANNE_A)
    addendum = entry("addendum", ANNE_A)
    appended = relation(AssociationType.APPENDS, "addendum", "first")
    holder = folder("folder", ANNE_A)
    register(
        uow,
        submission(
            ANNE_A,
            original,
            addendum,
            folders=[holder],
            associations=[appended, member("folder", "first"), member("folder", "addendum")],
        ),
        registry,
    )
    (registered,) = get.entries(uow, Named(unique_ids=[original.unique_id]))

    corrected = entry("second", ANNE_A)
    replaces = relation(AssociationType.REPLACES, "second", registered.id)
    register(uow, submission(ANNE_A, corrected, associations=[replaces]), registry)

    assert titles_of(uow, registry, ANNE_A) == [corrected.unique_id]
    old = find.find_documents(uow, registry, ANNE_A, DocumentCriteria(statuses=("Deprecated",)))
    assert {each.object.unique_id for each in old} == {original.unique_id, addendum.unique_id}

    (found_folder,) = get.folders(uow, Named(unique_ids=[holder.unique_id]))
    contents = get.folder_and_contents(
        uow, Named(ids=[found_folder.id]), DocumentCriteria(statuses=("Approved", "Deprecated")), ("Approved",)
    )
    assert {each.unique_id for each in contents if hasattr(each, "mime_type")} == {
        original.unique_id,
        addendum.unique_id,
        corrected.unique_id,
    }

    replaces = relation(AssociationType.REPLACES, "third", registered.id)
    third = submission(ANNE_A, entry("third", ANNE_A), associations=[replaces])
    with pytest.raises(Refused) as refused:
        register(uow, third, registry)
    assert codes(refused) == {"XDSRegistryDeprecatedDocumentError"}


def test_a_relation_to_another_patients_document_is_refused(uow: UnitOfWork, registry: Registry) -> None:
    other = entry("other", BERTHE_A)
    register(uow, submission(BERTHE_A, other), registry)
    (registered,) = get.entries(uow, Named(unique_ids=[other.unique_id]))
    appends = relation(AssociationType.APPENDS, "mine", registered.id)
    mine = submission(ANNE_A, entry("mine", ANNE_A), associations=[appends])
    with pytest.raises(Refused) as refused:
        register(uow, mine, registry)
    assert codes(refused) == {"XDSPatientIdDoesNotMatch"}


def test_unresolved_references_are_named(uow: UnitOfWork, registry: Registry) -> None:
    for target in (uuid.uuid4().urn, "nowhere"):
        replaces = relation(AssociationType.REPLACES, "mine", target)
        mine = submission(ANNE_A, entry("mine", ANNE_A), associations=[replaces])
        with pytest.raises(Refused) as refused:
            register(uow, mine, registry)
        assert codes(refused) == {"UnresolvedReferenceException"}


def test_one_unique_id_may_name_the_same_bytes_twice_but_never_other_bytes(uow: UnitOfWork, registry: Registry) -> None:
    document = entry("doc", ANNE_A)
    register(uow, submission(ANNE_A, document), registry)
    register(uow, submission(ANNE_A, replace(document, hash=(document.hash or "").upper())), registry)
    assert titles_of(uow, registry, ANNE_A) == [document.unique_id] * 2
    with pytest.raises(Refused) as refused:
        register(uow, submission(ANNE_A, replace(document, hash="f" * 40, size=9)), registry)
    assert codes(refused) == {"XDSNonIdenticalHash", "XDSNonIdenticalSize"}


def test_a_submission_set_is_registered_once(uow: UnitOfWork, registry: Registry) -> None:
    first = submission(ANNE_A, entry("doc", ANNE_A))
    register(uow, first, registry)
    again = submission(ANNE_A, entry("doc", ANNE_A), unique_id=first.submission_set.unique_id)
    with pytest.raises(Refused) as refused:
        register(uow, again, registry)
    assert codes(refused) == {"XDSDuplicateUniqueIdInRegistry"}


def test_whole_objects_of_two_persons_are_not_returned_together(uow: UnitOfWork, registry: Registry) -> None:
    documents = entry("a", ANNE_A), entry("b", BERTHE_A)
    for document in documents:
        assert document.patient_id is not None
        register(uow, submission(document.patient_id, document), registry)
    found = get.entries(uow, Named(unique_ids=[each.unique_id or "" for each in documents]))
    assert len(get.returned(uow, registry, found, leaf_class=False)) == 2
    with pytest.raises(Refused) as refused:
        get.returned(uow, registry, found, leaf_class=True)
    assert codes(refused) == {"XDSResultNotSinglePatient"}


def test_a_code_outside_the_value_sets_is_refused_by_name(uow: UnitOfWork, registry: Registry) -> None:
    document = entry("doc", ANNE_A, source_patient_id=pid("x", FOREIGN_OID))
    assert document.class_code is not None
    foreign = replace(document, class_code=replace(document.class_code, code="34133-9"))
    with pytest.raises(Refused) as refused:
        register(uow, submission(ANNE_A, foreign), registry)
    (finding,) = refused.value.findings
    assert finding.code == "XDSRegistryMetadataError"
    assert "classCode" in finding.context
    assert "34133-9^^1.2.250.1.213.1.1.4.1" in finding.context


def test_what_a_query_answered_on_a_past_day_can_be_asked(database_url: str, registry: Registry) -> None:
    engine = create_engine(database_url)
    database = Database(engine)
    first, second = entry("first", ANNE_A), entry("second", ANNE_A)
    with database.unit(REGION) as uow:
        register(uow, submission(ANNE_A, first), registry)
        before = uow.now
        (registered,) = get.entries(uow, Named(unique_ids=[first.unique_id or ""]))
    with database.unit(REGION) as uow:
        replaces = relation(AssociationType.REPLACES, "second", registered.id)
        register(uow, submission(ANNE_A, second, associations=[replaces]), registry)
        after = uow.now
        person = registry.directory.resolve(uow, ANNE)
        assert person is not None

        def answered(moment: datetime, *statuses: str) -> list[str]:
            criteria = DocumentCriteria(statuses=statuses)
            found = find.find_documents_on(uow, registry, person, criteria, moment)
            return [each.object.unique_id for each in found]

        assert answered(before - timedelta(seconds=1), "Approved") == []
        assert answered(before, "Approved") == [first.unique_id]
        assert answered(before, "Deprecated") == []
        assert answered(after, "Approved") == [second.unique_id]
        assert answered(after, "Deprecated") == [first.unique_id]
    engine.dispose()

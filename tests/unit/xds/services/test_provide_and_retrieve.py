"""Provide and register, then retrieve: both or neither, and never other bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from ihe.errors import Finding, Refused, TooMany
from xds.domain.document_set import DocumentRequest, Retrieval
from xds.domain.model import Association, AssociationType
from xds.services import retrieve as retrieving
from xds.services.provide import provide
from xds.services.retrieve import retrieve
from xds.translate.kos_writer import build_kos

REPOSITORY = "2.25.2000"


def count(house: Any, table: str) -> int:
    with house.unit() as uow:
        return int(uow.connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def nothing_is_kept(house: Any) -> bool:
    tables = ("content", "repository_document", "document_entry", "submission_set", "association", "imaging_study")
    return not any(count(house, table) for table in (*tables, "outbox_event")) and not house.staged_files()


def fetch(house: Any, *unique_ids: str, repository: str = REPOSITORY) -> Retrieval:
    with house.unit() as uow:
        return retrieve(uow, [DocumentRequest(repository, each) for each in unique_ids], house.repository)


def bytes_of(answer: Retrieval) -> list[bytes]:
    return [b"".join(document.blocks) for document in answer.documents]


def codes(findings: Any) -> list[str]:
    return [finding.code for finding in findings]


def refused(house: Any, submission: Any, documents: dict[str, bytes]) -> list[str]:
    with pytest.raises(Refused) as caught:
        house.submit(submission, documents)
    return codes(caught.value.findings)


def test_documents_are_kept_with_their_computed_metadata(house: Any, make: Any) -> None:
    report, image = make.entry(), make.entry(mime_type="image/png")
    assert house.provide((report, b"bonjour"), (image, b"\x89PNG")) == []
    answer = fetch(house, image.unique_id, report.unique_id)
    assert bytes_of(answer) == [b"\x89PNG", b"bonjour"]
    assert [document.mime_type for document in answer.documents] == ["image/png", "text/plain"]
    assert [document.size for document in answer.documents] == [4, 7]
    with house.unit() as uow:
        row = uow.connection.execute(
            text("SELECT hash, size, repository_unique_id FROM document_entry WHERE unique_id = :id"),
            {"id": report.unique_id},
        ).one()
    assert tuple(row) == (hashlib.sha1(b"bonjour").hexdigest(), 7, REPOSITORY)


def test_correct_hash_and_size_are_accepted(house: Any, make: Any) -> None:
    digest = hashlib.sha1(b"bonjour").hexdigest().upper()
    assert house.provide((make.entry(hash=digest, size=7), b"bonjour")) == []


@pytest.mark.parametrize("wrong", [{"hash": "0" * 40}, {"size": 8}])
def test_a_wrong_hash_or_size_is_refused_and_nothing_kept(house: Any, make: Any, wrong: dict[str, Any]) -> None:
    entry = make.entry(**wrong)
    assert refused(house, make.submission(entry), {entry.id: b"bonjour"}) == ["XDSRepositoryMetadataError"]
    assert nothing_is_kept(house)
    assert list(house.content.objects()) == []


def test_an_entry_needs_a_document_and_a_document_an_entry(house: Any, make: Any) -> None:
    entry = make.entry()
    assert refused(house, make.submission(entry), {"Document-other": b"x"}) == [
        "XDSMissingDocument",
        "XDSMissingDocumentMetadata",
    ]
    assert nothing_is_kept(house)


def test_one_unique_id_twice_in_a_message_is_refused(house: Any, make: Any) -> None:
    first = make.entry()
    second = make.entry(unique_id=first.unique_id)
    assert "XDSRepositoryDuplicateUniqueIdInMessage" in refused(
        house, make.submission(first, second), {first.id: b"x", second.id: b"x"}
    )


def test_what_the_registry_refuses_surfaces_and_nothing_is_kept(house: Any, make: Any) -> None:
    stranger = make.entry(patient_id=make.patient("REGION", "P9"), source_patient_id=make.patient("ROANNE", "R9"))
    assert "XDSUnknownPatientId" in refused(house, make.submission(stranger), {stranger.id: b"x"})
    assert nothing_is_kept(house)
    assert list(house.content.objects()) == []


def test_findings_of_reading_the_submission_refuse_it(house: Any, make: Any) -> None:
    entry = make.entry()
    submission = replace(make.submission(entry), findings=(Finding("XDSRegistryMetadataError", "broken", "x"),))
    assert refused(house, submission, {entry.id: b"x"}) == ["XDSRegistryMetadataError"]


def test_the_same_document_again_is_another_entry_of_it(house: Any, make: Any) -> None:
    first = make.entry()
    again = make.entry(unique_id=first.unique_id)
    house.provide((first, b"same"))
    house.provide((again, b"same"))
    assert count(house, "document_entry") == 2
    assert count(house, "repository_document") == 1
    assert bytes_of(fetch(house, first.unique_id)) == [b"same"]


def test_other_bytes_under_a_known_unique_id_are_refused(house: Any, make: Any) -> None:
    first = make.entry()
    house.provide((first, b"same"))
    again = make.entry(unique_id=first.unique_id)
    found = refused(house, make.submission(again), {again.id: b"else"})
    assert set(found) <= {"XDSNonIdenticalHash", "XDSNonIdenticalSize"}
    assert found
    assert bytes_of(fetch(house, first.unique_id)) == [b"same"]


def test_two_documents_with_the_same_bytes_share_them(house: Any, make: Any) -> None:
    one, other = make.entry(), make.entry()
    house.provide((one, b"same"), (other, b"same"))
    assert count(house, "content") == 1
    assert bytes_of(fetch(house, one.unique_id, other.unique_id)) == [b"same", b"same"]


def test_a_failed_commit_leaves_no_rows_and_only_unnamed_bytes(house: Any, make: Any) -> None:
    entry = make.entry()
    staged = house.content.stage()
    staged.write(b"lost")

    def fail_at_the_end() -> None:
        with house.unit() as uow:
            provide(uow, make.submission(entry), {entry.id: staged}, house.repository)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_at_the_end()
    assert nothing_is_kept(house)
    assert len(list(house.content.objects())) == 1


def test_retrieve_names_what_it_cannot_give_in_the_order_of_the_request(house: Any, make: Any) -> None:
    entry = make.entry()
    house.provide((entry, b"x"))
    with house.unit() as uow:
        answer = retrieve(
            uow,
            [
                DocumentRequest(REPOSITORY, "1.2.3"),
                DocumentRequest(REPOSITORY, entry.unique_id, "urn:oid:1.2"),
                DocumentRequest("1.9.9", entry.unique_id),
            ],
            house.repository,
        )
    assert codes(answer.findings) == ["XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"]
    assert bytes_of(answer) == [b"x"]
    assert [document.request.home for document in answer.documents] == ["urn:oid:1.2"]


def test_a_document_is_asked_of_the_repository_that_keeps_it(house: Any, make: Any) -> None:
    house.repository = replace(house.repository, site_ids={"ROANNE": "2.25.2001"})
    house.caller = replace(house.caller, site="ROANNE")
    entry = make.entry()
    house.provide((entry, b"x"))
    assert codes(fetch(house, entry.unique_id).findings) == ["XDSDocumentUniqueIdError"]
    assert bytes_of(fetch(house, entry.unique_id, repository="2.25.2001")) == [b"x"]


def test_damaged_bytes_are_never_sent(house: Any, make: Any) -> None:
    entry, whole = make.entry(), make.entry()
    house.provide((entry, b"bonjour"), (whole, b"intact"))
    address = hashlib.sha256(b"bonjour").hexdigest()
    house.content._path(address).write_bytes(b"bonsoir")
    answer = fetch(house, entry.unique_id, whole.unique_id)
    assert codes(answer.findings) == ["XDSRepositoryError"]
    assert bytes_of(answer) == [b"intact"]
    house.content.remove(address)
    assert codes(fetch(house, entry.unique_id).findings) == ["XDSRepositoryError"]


def test_a_document_without_metadata_is_not_answered(house: Any, make: Any) -> None:
    entry = make.entry()
    house.provide((entry, b"x"))
    with house.unit() as uow:
        uow.connection.execute(text("DELETE FROM document_entry"))
    assert codes(fetch(house, entry.unique_id).findings) == ["XDSDocumentUniqueIdError"]


def test_what_the_caller_may_not_read_is_as_if_it_were_not_there(house: Any, make: Any) -> None:
    entry = make.entry()
    house.provide((entry, b"x"))
    absent = fetch(house, "1.2.3").findings[0].context.replace("1.2.3", entry.unique_id)
    house.permit(lambda uow, facts: False)
    answer = fetch(house, entry.unique_id)
    assert answer.findings[0].context == absent
    assert answer.documents == ()


def test_a_replaced_document_can_still_be_retrieved(house: Any, make: Any) -> None:
    old = make.entry()
    house.provide((old, b"old"))
    with house.unit() as uow:
        old_uuid = uow.connection.execute(text("SELECT id FROM document_entry")).scalar_one()
    new = make.entry()
    replaces = Association(id="Replaces", type=AssociationType.REPLACES, source=new.id, target=f"urn:uuid:{old_uuid}")
    house.submit(make.submission(new, associations=(replaces,)), {new.id: b"new"})
    assert bytes_of(fetch(house, old.unique_id, new.unique_id)) == [b"old", b"new"]


def test_a_request_for_too_many_documents_is_refused(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieving, "MAX_DOCUMENTS", 2)
    with pytest.raises(TooMany):
        fetch(house, "1.1", "1.2", "1.3")


def test_a_manifest_is_read_on_arrival(house: Any, make: Any) -> None:
    study = make.study()
    make.published_study(house, study)
    with house.unit() as uow:
        row = uow.connection.execute(text("SELECT * FROM imaging_study")).one()
        series = uow.connection.execute(text("SELECT * FROM imaging_series")).one()
    assert (row.study_uid, row.modalities, row.instance_count) == (study.uid, ["CT"], 2)
    assert row.accession_numbers == ["A-1"]
    assert series.sop_instance_uids == [instance.sop_instance_uid for instance in study.series[0].instances]
    assert len(series.sop_class_uids) == 1


def test_two_manifests_and_a_report_come_in_one_submission(house: Any, make: Any) -> None:
    studies = [make.study(), make.study()]
    manifests = [make.manifest(study) for study in studies]
    report = make.entry()
    found = house.provide(
        *((make.manifest_entry(manifest), build_kos(manifest)) for manifest in manifests),
        (report, b"%PDF-1.7 synthetic"),
    )
    assert [each.severity for each in found if each.severity != "Warning"] == []
    with house.unit() as uow:
        rows = uow.connection.execute(text("SELECT document_unique_id, study_uid FROM imaging_study")).all()
        entries = uow.connection.execute(text("SELECT count(*) FROM document_entry")).scalar_one()
    assert {tuple(row) for row in rows} == {(m.uid, s.uid) for m, s in zip(manifests, studies, strict=True)}
    assert entries == 3


def test_the_same_manifest_again_changes_nothing(house: Any, make: Any) -> None:
    manifest = make.manifest(make.study())
    for _ in range(2):
        house.provide((make.manifest_entry(manifest), build_kos(manifest)))
    assert count(house, "imaging_study") == 1


def test_an_unreadable_manifest_is_refused(house: Any, make: Any) -> None:
    entry = make.manifest_entry(make.manifest(make.study()))
    assert refused(house, make.submission(entry), {entry.id: b"no DICOM"}) == ["InvalidDocumentContent"]
    assert nothing_is_kept(house)


def test_a_manifest_that_contradicts_its_entry_is_kept_with_warnings(house: Any, make: Any) -> None:
    manifest = make.manifest(make.study())
    entry = make.manifest_entry(
        manifest,
        service_start_time="20200101",
        reference_id_list=("1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID",),
        source_patient_id=make.patient("ROANNE", "ROA1"),
    )
    warnings = house.provide((entry, build_kos(manifest)))
    assert codes(warnings) == ["InvalidDocumentContent"] * 2
    assert {finding.severity for finding in warnings} == {"Warning"}
    assert count(house, "imaging_study") == 1


def test_a_choice_of_key_images_is_no_manifest(house: Any, make: Any) -> None:
    from ihe.values import Code

    chosen = make.manifest(make.study(), title=Code("113000", "DCM", "Of Interest"))
    warnings = house.provide((make.manifest_entry(chosen), build_kos(chosen)))
    assert codes(warnings) == ["InvalidDocumentContent"]
    assert count(house, "imaging_study") == 0

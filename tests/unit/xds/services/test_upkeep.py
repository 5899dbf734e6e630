"""The check finds what is planted, the sweep removes only what nothing names."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ihe.errors import Refused
from xds.domain.document_set import DocumentRequest
from xds.services.provide import provide
from xds.services.remove_documents import remove
from xds.services.retrieve import retrieve
from xds.services.upkeep import Swept, check, sweep

REPOSITORY = "2.25.2000"
NOW = timedelta(0)


def address(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def problems(house: Any, **options: Any) -> set[tuple[str, str]]:
    options = {"grace": NOW, **options}
    return {(found.kind, found.subject) for found in check(house.database, house.repository, **options)}


def execute(house: Any, statement: str, **values: Any) -> None:
    with house.unit() as uow:
        uow.connection.execute(text(statement), values)


def abandon(house: Any, data: bytes) -> None:
    with house.content.stage() as staged:
        staged.write(data)
        house.content.publish(staged)


def test_a_sound_repository_has_no_problem(house: Any, make: Any) -> None:
    house.provide((make.entry(), b"one"), (make.entry(), b"two"))
    make.published_study(house, make.study())
    assert problems(house) == set()
    assert sweep(house.database, house.repository, grace=NOW) == Swept(0, 0)
    assert problems(house) == set()


@pytest.mark.parametrize("read_bytes", [True, False])
def test_missing_cut_and_unnamed_bytes_are_found(house: Any, make: Any, read_bytes: bool) -> None:
    house.provide(*((make.entry(), data) for data in (b"missing", b"cut", b"sound")))
    house.content.remove(address(b"missing"))
    house.content._path(address(b"cut")).write_bytes(b"c")
    abandon(house, b"unnamed")
    assert problems(house, read_bytes=read_bytes) == {
        ("missing", address(b"missing")),
        ("damaged", address(b"cut")),
        ("unnamed", address(b"unnamed")),
    }


def test_a_flipped_bit_is_found_by_reading(house: Any, make: Any) -> None:
    house.provide((make.entry(), b"sound"))
    house.content._path(address(b"sound")).write_bytes(b"Sound")
    assert problems(house, read_bytes=False) == set()
    assert problems(house) == {("damaged", address(b"sound"))}


def test_entries_and_documents_that_lost_each_other_are_found(house: Any, make: Any) -> None:
    alone, orphan, changed = make.entry(), make.entry(), make.entry()
    house.provide((alone, b"1"), (orphan, b"2"), (changed, b"3"))
    execute(house, "DELETE FROM repository_document WHERE unique_id = :id", id=alone.unique_id)
    execute(house, "DELETE FROM document_entry WHERE unique_id = :id", id=orphan.unique_id)
    execute(house, "UPDATE document_entry SET size = 2 WHERE unique_id = :id", id=changed.unique_id)
    assert problems(house) == {
        ("entry-without-document", alone.unique_id),
        ("document-without-entry", orphan.unique_id),
        ("entry-unlike-document", changed.unique_id),
        ("unnamed", address(b"1")),
    }


def test_young_bytes_are_left_alone(house: Any) -> None:
    abandon(house, b"young")
    assert problems(house, grace=timedelta(hours=1)) == set()
    assert sweep(house.database, house.repository, grace=timedelta(hours=1)) == Swept(0, 0)
    assert sweep(house.database, house.repository, grace=NOW) == Swept(1, 0)
    assert list(house.content.objects()) == []


def test_abandoned_staging_is_swept(house: Any) -> None:
    staged = house.content.stage()
    staged.write(b"x")
    os.utime(staged.path, (0, 0))
    assert sweep(house.database, house.repository) == Swept(0, 1)
    staged.discard()


def test_a_sweep_waits_for_a_submission_that_publishes_the_same_bytes(house: Any, make: Any) -> None:
    """Bytes left by a crash are named again while the sweep runs: they stay."""
    abandon(house, b"contested")
    entry = make.entry()
    published, swept = threading.Event(), threading.Event()

    def submit() -> None:
        with house.content.stage() as staged:
            staged.write(b"contested")
            with house.unit() as uow:
                provide(uow, make.submission(entry), {entry.id: staged}, house.repository)
                published.set()
                swept.wait(10)

    thread = threading.Thread(target=submit)
    thread.start()
    assert published.wait(10)
    assert sweep(house.database, house.repository, grace=NOW) == Swept(0, 0)
    swept.set()
    thread.join()
    assert problems(house) == set()
    assert sweep(house.database, house.repository, grace=NOW) == Swept(0, 0)
    assert problems(house) == set()


def test_a_removed_document_is_gone_with_its_study_and_its_bytes_are_swept(house: Any, make: Any) -> None:
    entry, shared = make.entry(), make.entry()
    house.provide((entry, b"shared"), (shared, b"shared"))
    study = make.published_study(house, make.study())
    with house.unit() as uow:
        remove(uow, [DocumentRequest(REPOSITORY, each.unique_id) for each in (entry, study)], house.repository)
    with house.unit() as uow:
        answer = retrieve(uow, [DocumentRequest(REPOSITORY, entry.unique_id)], house.repository)
        assert [finding.code for finding in answer.findings] == ["XDSDocumentUniqueIdError"]
        assert uow.connection.execute(text("SELECT count(*) FROM imaging_study")).scalar() == 0
    assert sweep(house.database, house.repository, grace=NOW) == Swept(1, 0)
    assert [found.sha256 for found in house.content.objects()] == [address(b"shared")]


def test_removal_is_all_or_nothing_and_names_each_reason(house: Any, make: Any) -> None:
    house.caller = replace(house.caller, site="ROANNE")
    entry = make.entry()
    house.provide((entry, b"x"))
    house.caller = replace(house.caller, site="FIRMINY")
    requests = [
        DocumentRequest(REPOSITORY, entry.unique_id),
        DocumentRequest(REPOSITORY, "1.2.3"),
        DocumentRequest("1.9", entry.unique_id),
    ]
    with pytest.raises(Refused) as refused, house.unit() as uow:
        remove(uow, requests, house.repository)
    assert [finding.code for finding in refused.value.findings] == [
        "XDSRemoveDocumentsError",
        "XDSDocumentUniqueIdError",
        "XDSUnknownRepositoryId",
    ]
    house.caller = replace(house.caller, site="ROANNE")
    with house.unit() as uow:
        remove(uow, requests[:1], house.repository)

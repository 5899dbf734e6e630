"""The content store: durable, idempotent, verified on read."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ihe.errors import Unavailable
from xds.store import content
from xds.store.content import ContentCorrupt, ContentFacts, ContentMissing, DiskContent


@pytest.fixture
def store(tmp_path: Path) -> DiskContent:
    return DiskContent(tmp_path / "content")


def put(store: DiskContent, *blocks: bytes) -> ContentFacts:
    with store.stage() as staged:
        for block in blocks:
            staged.write(block)
        return store.publish(staged)


def path_of(store: DiskContent, facts: ContentFacts) -> Path:
    return store._path(facts.sha256)


def staged_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "content" / "staging").iterdir())


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(blocks=st.lists(st.binary(max_size=2000), max_size=6))
def test_what_was_stored_is_read_back_with_its_hashes(store: DiskContent, blocks: list[bytes]) -> None:
    whole = b"".join(blocks)
    facts = put(store, *blocks)
    assert facts.sha256 == hashlib.sha256(whole).hexdigest()
    assert facts.sha1 == hashlib.sha1(whole).hexdigest()
    assert facts.size == len(whole)
    assert b"".join(store.read(facts.sha256)) == whole
    assert store.verify(facts.sha256) == len(whole)


def test_empty_content_has_the_sha1_of_nothing(store: DiskContent) -> None:
    facts = put(store)
    assert facts.sha1 == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert list(store.read(facts.sha256)) == []


def test_the_same_bytes_twice_are_one_object(store: DiskContent, tmp_path: Path) -> None:
    first, second = put(store, b"abc"), put(store, b"a", b"bc")
    assert first == second
    assert [found.sha256 for found in store.objects()] == [first.sha256]
    assert staged_files(tmp_path) == []


def test_publishing_again_renews_the_date(store: DiskContent) -> None:
    facts = put(store, b"abc")
    os.utime(path_of(store, facts), (0, 0))
    put(store, b"abc")
    (found,) = store.objects()
    assert found.stored_at > datetime.now(UTC) - timedelta(minutes=1)


@pytest.mark.parametrize("damaged", [b"abc", b"abcdeX"])
def test_publishing_repairs_a_damaged_object(store: DiskContent, damaged: bytes) -> None:
    facts = put(store, b"abcdef")
    path_of(store, facts).write_bytes(damaged)
    put(store, b"abcdef")
    assert b"".join(store.read(facts.sha256)) == b"abcdef"


def test_a_transaction_that_runs_again_publishes_again(store: DiskContent) -> None:
    with store.stage() as staged:
        staged.write(b"abc")
        first = store.publish(staged)
        assert staged.read(10) == b"abc"
        assert store.publish(staged) == first
    assert store.verify(first.sha256) == 3


def test_content_that_is_not_published_leaves_nothing(store: DiskContent, tmp_path: Path) -> None:
    with store.stage() as staged:
        staged.write(b"abc")
    assert staged_files(tmp_path) == []
    assert list(store.objects()) == []


def test_a_small_damaged_object_is_refused_before_its_first_byte(store: DiskContent) -> None:
    facts = put(store, b"abcdef")
    path_of(store, facts).write_bytes(b"abcdeX")
    with pytest.raises(ContentCorrupt):
        store.read(facts.sha256)
    with pytest.raises(ContentCorrupt):
        store.verify(facts.sha256)


def test_a_large_damaged_object_is_cut_before_its_last_block(
    store: DiskContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "VERIFIED_FIRST_BYTES", 0)
    whole = bytes(3 * content.BLOCK_BYTES + 5)
    facts = put(store, whole)
    path_of(store, facts).write_bytes(b"X" + whole[1:])
    received = 0
    blocks = store.read(facts.sha256)
    for _ in range(3):
        received += len(next(blocks))
    with pytest.raises(ContentCorrupt):
        next(blocks)
    assert received == 3 * content.BLOCK_BYTES


def test_a_missing_object_is_said_at_once(store: DiskContent) -> None:
    for ask in (store.read, store.verify):
        with pytest.raises(ContentMissing):
            ask("0" * 64)
    store.remove("0" * 64)


def test_an_address_is_never_a_path(store: DiskContent) -> None:
    with pytest.raises(ValueError):
        store.read("../../../../etc/passwd")


def test_removed_is_gone(store: DiskContent) -> None:
    facts = put(store, b"abc")
    store.remove(facts.sha256)
    with pytest.raises(ContentMissing):
        store.read(facts.sha256)


def test_only_abandoned_staging_is_swept(store: DiskContent) -> None:
    with store.stage() as old, store.stage() as young:
        old.write(b"old")
        os.utime(old.path, (0, 0))
        assert store.sweep_staging(datetime.now(UTC) - timedelta(hours=1)) == 1
        young.write(b"young")
        assert store.publish(young).size == 5


def test_nobody_else_may_read(store: DiskContent, tmp_path: Path) -> None:
    facts = put(store, b"abc")
    assert stat.S_IMODE(path_of(store, facts).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "content").stat().st_mode) == 0o700


def test_a_full_disk_is_a_reason_to_try_again_later(store: DiskContent) -> None:
    with store.stage() as staged, Path("/dev/full").open("wb", buffering=0) as full:
        staged._file.close()
        staged._file = full  # type: ignore[assignment]
        with pytest.raises(Unavailable):
            staged.write(b"abc")


def test_threads_storing_the_same_bytes_do_not_disturb_each_other(store: DiskContent) -> None:
    results: list[ContentFacts] = []

    def run() -> None:
        for number in range(20):
            results.append(put(store, b"same", bytes([number])))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    for found in store.objects():
        store.verify(found.sha256)
    assert len(list(store.objects())) == 20


def test_memory_stays_constant(store: DiskContent) -> None:
    block = bytes(1024 * 1024)
    tracemalloc.start()
    try:
        with store.stage() as staged:
            for _ in range(64):
                staged.write(block)
            facts = store.publish(staged)
        assert sum(map(len, store.read(facts.sha256))) == 64 * 1024 * 1024
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024

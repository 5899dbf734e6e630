"""The content store on S3-compatible object storage, over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("boto3", reason="boto3 (extra s3) is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto[server], an S3 server for tests, is not installed")

from ihe.errors import Unavailable  # noqa: E402
from tests.xds_repository import REPOSITORY, House, house, make_entry  # noqa: E402
from xds.domain.document_set import DocumentRequest  # noqa: E402
from xds.services.retrieve import retrieve  # noqa: E402
from xds.services.upkeep import check, sweep  # noqa: E402
from xds.store import content_s3  # noqa: E402
from xds.store.content import BLOCK_BYTES, ContentCorrupt, ContentFacts, ContentMissing, ContentUnreachable  # noqa: E402
from xds.store.content_s3 import S3Content  # noqa: E402

__all__ = ["house"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    threaded = moto_server.ThreadedMotoServer(port=0)
    threaded.start()
    host, port = threaded.get_host_and_port()
    yield f"http://{host}:{port}"
    threaded.stop()


@pytest.fixture
def store(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[S3Content]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "synthetic")
    bucket = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    made = S3Content.from_url(f"s3://{bucket}/a/prefix?endpoint={server}&region=us-east-1", tmp_path / "staging")
    made._client.create_bucket(Bucket=bucket)
    yield made
    made._client.close()


def put(store: S3Content, *blocks: bytes) -> ContentFacts:
    with store.stage() as staged:
        for block in blocks:
            staged.write(block)
        return store.publish(staged)


def overwrite(store: S3Content, facts: ContentFacts, data: bytes) -> None:
    store._client.put_object(Bucket=store._bucket, Key=store._key(facts.sha256), Body=data)


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 1])
def test_what_was_stored_is_read_back_verified(store: S3Content, size: int) -> None:
    whole = bytes(range(256)) * (size // 256 + 1)
    whole = whole[:size]
    facts = put(store, whole)
    assert facts == ContentFacts(hashlib.sha256(whole).hexdigest(), hashlib.sha1(whole).hexdigest(), size)
    assert b"".join(store.read(facts.sha256)) == whole
    assert store.verify(facts.sha256) == size
    (found,) = store.objects()
    assert (found.sha256, found.size) == (facts.sha256, size)
    assert found.stored_at > datetime.now(UTC) - timedelta(minutes=5)


def test_nothing_stays_staged(store: S3Content, tmp_path: Path) -> None:
    with store.stage() as staged:
        staged.write(b"abc")
        first = store.publish(staged)
        assert store.publish(staged) == first
        assert staged.read(10) == b"abc"
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_damaged_object_is_refused(store: S3Content, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = put(store, b"abc"), put(store, bytes(2 * BLOCK_BYTES))
    overwrite(store, small, b"abX")
    with pytest.raises(ContentCorrupt):
        store.read(small.sha256)
    with pytest.raises(ContentCorrupt):
        store.verify(small.sha256)
    monkeypatch.setattr(content_s3, "VERIFIED_FIRST_BYTES", 0)
    overwrite(store, large, b"X" + bytes(2 * BLOCK_BYTES - 1))
    blocks = store.read(large.sha256)
    assert len(next(blocks)) == BLOCK_BYTES
    with pytest.raises(ContentCorrupt):
        next(blocks)


def test_a_removed_or_unknown_object_is_missing(store: S3Content) -> None:
    facts = put(store, b"abc")
    store.remove(facts.sha256)
    store.remove(facts.sha256)
    for ask in (store.read, store.verify):
        with pytest.raises(ContentMissing):
            ask(facts.sha256)


def test_a_store_that_does_not_answer_is_said_so(store: S3Content, tmp_path: Path) -> None:
    nowhere = S3Content.from_url("s3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1", tmp_path / "other")
    with nowhere.stage() as staged:
        staged.write(b"abc")
        with pytest.raises(Unavailable):
            nowhere.publish(staged)
    with pytest.raises(ContentUnreachable):
        nowhere.read("0" * 64)


def test_a_repository_on_object_storage_is_checked_and_swept_as_one_on_disk(
    store: S3Content, house: House, tmp_path: Path
) -> None:
    house.content, house.repository = store, replace(house.repository, content=store)  # type: ignore[assignment]
    kept, lost, flipped = (make_entry() for _ in range(3))
    house.provide((kept, b"kept"), (lost, b"lost"), (flipped, b"flipped"))
    store.remove(hashlib.sha256(b"lost").hexdigest())
    overwrite(store, ContentFacts(hashlib.sha256(b"flipped").hexdigest(), "", 7), b"Flipped")
    orphan = put(store, b"orphan")
    now = timedelta()
    found = {(each.kind, each.subject) for each in check(house.database, house.repository, grace=now)}
    assert found == {
        ("missing", hashlib.sha256(b"lost").hexdigest()),
        ("damaged", hashlib.sha256(b"flipped").hexdigest()),
        ("unnamed", orphan.sha256),
    }
    assert sweep(house.database, house.repository, grace=now).objects == 1
    with house.unit() as uow:
        (document,) = retrieve(uow, [DocumentRequest(REPOSITORY, kept.unique_id or "")], house.repository).documents
        assert b"".join(document.blocks) == b"kept"
    nowhere = S3Content.from_url("s3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1", tmp_path / "other")
    with pytest.raises(ContentUnreachable):
        list(check(house.database, replace(house.repository, content=nowhere)))


@pytest.mark.parametrize("url", ["https://bucket", "s3:///prefix", "s3://bucket?secret=x"])
def test_an_address_of_another_form_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="s3://bucket"):
        S3Content.from_url(url, tmp_path)

"""Document bytes in an S3-compatible object store.

Bytes are staged on the local disk, since their address is known only at their end, and uploaded when they are
published; the store checks the upload against a checksum and answers when the object is durable. Reading verifies as
:mod:`xds.store.content` does. Credentials come from where that vendor's tools take them (environment, profile, role).

Needs the extra ``traitdunion[s3]``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3  # type: ignore[import-untyped]
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from ihe.errors import Unavailable
from xds.domain.document_set import Blocks
from xds.store.content import (
    BLOCK_BYTES,
    DIGEST,
    VERIFIED_FIRST_BYTES,
    ContentFacts,
    ContentMissing,
    ContentUnreachable,
    DiskStaged,
    Source,
    StagedContent,
    StoredObject,
    VerifiedBlocks,
    hashed_size,
    storing,
    sweep_folder,
)

_ONE_STREAM = TransferConfig(use_threads=False, multipart_threshold=64 * 1024**2, multipart_chunksize=64 * 1024**2)
_SPOOLED_BYTES = 1024 * 1024
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class S3Content:
    """A :class:`~xds.store.content.BlobStore` in one bucket.

    Args:
        client: of boto3.
        prefix: of the keys, empty or ending in a slash.
        staging: local folder for bytes on their way in and for what is verified before it is sent.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, staging: Path) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._staging = staging
        staging.mkdir(mode=0o700, parents=True, exist_ok=True)

    @classmethod
    def from_url(cls, url: str, staging: Path) -> S3Content:
        """The store that ``s3://bucket/prefix?endpoint=https://host&region=name`` names.

        Args:
            url: ``endpoint`` and ``region`` may be left out.

        Raises:
            ValueError: not such an address.
        """
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.scheme != "s3" or not parts.hostname or options.keys() - {"endpoint", "region"}:
            raise ValueError("an object store is named s3://bucket/prefix?endpoint=https://host&region=name")
        client = boto3.client(
            "s3",
            endpoint_url=options.get("endpoint"),
            region_name=options.get("region"),
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "max_attempts": 3},
                max_pool_connections=50,
            ),
        )
        prefix = parts.path.strip("/")
        return cls(client, parts.hostname, f"{prefix}/" if prefix else "", staging)

    def stage(self) -> DiskStaged:
        return DiskStaged(self._staging)

    def publish(self, staged: StagedContent) -> ContentFacts:
        if not isinstance(staged, DiskStaged):
            raise TypeError("content must be published where it was staged")
        facts = staged.facts()
        try:
            with storing(), staged.path.open("rb") as source:
                self._client.upload_fileobj(
                    source,
                    self._bucket,
                    self._key(facts.sha256),
                    ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                    Config=_ONE_STREAM,
                )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the object store cannot take the document now") from error
        return facts

    def read(self, sha256: str) -> Blocks:
        with self._reaching(sha256):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(sha256))
            body = _Body(answer["Body"], sha256)
            if answer["ContentLength"] > VERIFIED_FIRST_BYTES:
                return VerifiedBlocks(body, sha256)
            return VerifiedBlocks(self._verified_copy(body, sha256), sha256)

    def verify(self, sha256: str) -> int:
        with self._reaching(sha256):
            body = _Body(self._client.get_object(Bucket=self._bucket, Key=self._key(sha256))["Body"], sha256)
            try:
                return hashed_size(body, sha256)
            finally:
                body.close()

    def objects(self) -> Iterator[StoredObject]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}objects/"
        )
        with self._reaching("every object"):
            for page in pages:
                for found in page.get("Contents", ()):
                    sha256 = found["Key"].rpartition("/")[2]
                    if DIGEST.match(sha256):
                        yield StoredObject(sha256, found["Size"], found["LastModified"])

    def remove(self, sha256: str) -> None:
        with self._reaching(sha256):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(sha256))

    def sweep_staging(self, older_than: datetime) -> int:
        return sweep_folder(self._staging, older_than)

    def _key(self, sha256: str) -> str:
        if not DIGEST.match(sha256):
            raise ValueError("a content address is 64 lower-case hexadecimal digits")
        return f"{self._prefix}objects/{sha256}"

    def _verified_copy(self, body: _Body, sha256: str) -> Source:
        copy = tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES, dir=str(self._staging))  # noqa: SIM115 - handed on open
        try:
            while block := body.read(BLOCK_BYTES):
                copy.write(block)
            copy.seek(0)
            hashed_size(copy, sha256)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        finally:
            body.close()
        return copy

    @contextmanager
    def _reaching(self, sha256: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise ContentMissing(sha256) from None
            raise ContentUnreachable(sha256) from error
        except BotoCoreError as error:
            raise ContentUnreachable(sha256) from error


class _Body:
    """An object's bytes as they arrive from the store."""

    def __init__(self, stream: Any, sha256: str) -> None:
        self._stream = stream
        self._address = sha256

    def read(self, size: int, /) -> bytes:
        try:
            block: bytes = self._stream.read(size)
        except (BotoCoreError, OSError) as error:
            raise ContentUnreachable(self._address) from error
        return block

    def close(self) -> None:
        self._stream.close()

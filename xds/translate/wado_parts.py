"""What an archive sends, on its way to the asker: multipart bodies framed anew, patients under the asker's id.

Constant memory: of a DICOM file no more than its header is held, of other parts nothing. The archive's own addresses
(``Content-Location``, bulk data) do not pass.

Source: DICOM PS3.18 8.6, 8.7.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson
from pydicom.dataset import Dataset

from ihe.errors import MalformedRequest, TooLarge
from ihe.soap.multipart import ContentType, MultipartReader, PartData, PartEnd, PartStart, read_content_type
from xds.translate.dicom_coercion import PassingFile, Piece, ShownPatient

_MOST_PARTS: Final = 1_000_000
_LARGE: Final = 16 * 1024
_MOST_METADATA_BYTES: Final = 256 * 1024 * 1024
_PATIENT_TAGS: Final = ("00080005", "00100020", "00100021", "00100024", "00101002", "04000561")


class Source(Protocol):
    """Bytes that come from elsewhere, to be closed."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Let go."""


class PassingParts:
    """A multipart body on its way; closing it lets the archive go.

    Attributes:
        content_type: of the body as it is sent on.
    """

    def __init__(self, source: Source, content_type: str, patient: ShownPatient | None) -> None:
        kind = ContentType(content_type)
        self._source = source
        self._reader = MultipartReader(kind.parameter("boundary"), _MOST_PARTS)
        self._patient = patient
        self._boundary = f"part-{uuid.uuid4()}"
        inner = kind.parameter("type").replace('"', "") or "application/octet-stream"
        self.content_type = f'multipart/related; type="{inner}"; boundary="{self._boundary}"'

    def __iter__(self) -> Iterator[Piece]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[Sequence[Piece]]:
        """What follows from each piece that the archive sent; see :class:`ihe.http.Batched`."""
        passing: PassingFile | None = None
        for data in self._source:
            pieces: list[Piece] = []
            for event in self._reader.feed(data):
                match event:
                    case PartStart():
                        head = f"--{self._boundary}\r\nContent-Type: {_line(event.content_type)}\r\n\r\n"
                        pieces.append(head.encode("latin-1"))
                        passing = self._passing(event)
                    case PartData(content):
                        pieces += passing.pieces(content) if passing else (content,)
                    case PartEnd():
                        pieces.append(passing.close() + b"\r\n" if passing else b"\r\n")
            yield tuple(_gathered(pieces))
        self._reader.close()
        yield (f"--{self._boundary}--\r\n".encode("latin-1"),)

    def _passing(self, part: PartStart) -> PassingFile | None:
        is_file = read_content_type(part.content_type).media_type == "application/dicom"
        return PassingFile(self._patient) if self._patient and is_file else None

    def close(self) -> None:
        """Let the archive go."""
        self._source.close()


class OnlyPart:
    """The content of the one part of a multipart body, as a body of its own."""

    def __init__(self, source: Source, content_type: str, patient: ShownPatient | None) -> None:
        self._source = source
        self._reader = MultipartReader(ContentType(content_type).parameter("boundary"), 1)
        self._patient = patient

    def __iter__(self) -> Iterator[bytes]:
        yield from map(bytes, _gathered(self._pieces()))

    def _pieces(self) -> Iterator[Piece]:
        passing = PassingFile(self._patient) if self._patient else None
        for data in self._source:
            for event in self._reader.feed(data):
                if isinstance(event, PartData):
                    yield from passing.pieces(event.data) if passing else (event.data,)
        self._reader.close()
        yield passing.close() if passing else b""

    def close(self) -> None:
        """Let the archive go."""
        self._source.close()


class ManyFiles:
    """The files of a multipart body one after the other: their bytes, and ``None`` where each ends."""

    def __init__(self, source: Source, content_type: str, patient: ShownPatient | None) -> None:
        self._source = source
        self._reader = MultipartReader(ContentType(content_type).parameter("boundary"), _MOST_PARTS)
        self._patient = patient

    def __iter__(self) -> Iterator[Piece | None]:
        passing: PassingFile | None = None
        for data in self._source:
            for event in self._reader.feed(data):
                match event:
                    case PartStart():
                        passing = PassingFile(self._patient) if self._patient else None
                    case PartData(content):
                        yield from passing.pieces(content) if passing else (content,)
                    case PartEnd():
                        yield passing.close() if passing else b""
                        yield None
        self._reader.close()

    def close(self) -> None:
        """Let the archive go."""
        self._source.close()


def _line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _gathered(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same bytes, small pieces gathered: each costs a visit to a thread. Large ones pass without being copied."""
    held: list[Piece] = []
    size = 0
    for piece in pieces:
        if len(piece) < _LARGE:
            held.append(piece)
            size += len(piece)
        if held and (size >= _LARGE or len(piece) >= _LARGE):
            yield b"".join(held)
            held, size = [], 0
        if len(piece) >= _LARGE:
            yield piece
    if held:
        yield b"".join(held)


def metadata_json(source: Source, patient: ShownPatient | None, root: str) -> bytes:
    """DICOM JSON of instances with the patient under the asker's id and bulk data at this service's address.

    Args:
        root: DICOMweb address of this service.

    Raises:
        MalformedRequest: the archive sent no such JSON.
        TooLarge: it sent more than is read at once; ask series by series.
    """
    body = bytearray()
    try:
        for piece in source:
            body += piece
            if len(body) > _MOST_METADATA_BYTES:
                raise TooLarge("the metadata are too many to be read at once; ask series by series")
    finally:
        source.close()
    try:
        items = orjson.loads(body)
    except ValueError:
        raise MalformedRequest("the archive's metadata are no JSON") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedRequest("the archive's metadata are no list of instances")
    known: dict[bytes, dict[str, Any]] = {}
    for item in items:
        if patient is not None:
            _show(item, patient, known)
        _readdress(item, lambda address: _here(address, root))
    return orjson.dumps(items)


def _show(item: dict[str, Any], patient: ShownPatient, known: dict[bytes, dict[str, Any]]) -> None:
    stated: dict[str, Any] = {tag: item.pop(tag) for tag in _PATIENT_TAGS if tag in item}
    key = orjson.dumps(stated)
    if key not in known:
        dataset = Dataset.from_json(stated)
        patient.apply(dataset, datetime.now(UTC))
        known[key] = dataset.to_json_dict()
    item.update(known[key])


def _readdress(value: Any, here: Callable[[str], str | None]) -> None:
    """Replace the archive's addresses, at any depth; one that is not understood is left out."""
    if isinstance(value, list):
        for each in value:
            _readdress(each, here)
    elif isinstance(value, dict):
        if "BulkDataURI" in value:
            address = here(str(value["BulkDataURI"]))
            if address is None:
                del value["BulkDataURI"]
            else:
                value["BulkDataURI"] = address
        if value.get("vr") == "UR" and "Value" in value:
            value["Value"] = [here(str(each)) or str(each) for each in value["Value"]]
        for each in value.values():
            if isinstance(each, (dict, list)):
                _readdress(each, here)


def _here(address: str, root: str) -> str | None:
    _, found, path = address.partition("/studies/")
    return f"{root}/studies/{path}" if found else None

"""What an archive sends passes alike, however the network cuts it up."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ihe.errors import MalformedRequest
from ihe.soap.multipart import MultipartReader, PartData
from tests.unit.xds.translate.test_dicom_coercion import PIXELS, SHOWN, make_file
from xds.translate import dicom_coercion
from xds.translate.dicom_coercion import ShownPatient
from xds.translate.wado_parts import ManyFiles, OnlyPart, PassingParts, Source

BOUNDARY = "archive-boundary"
KIND = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
LOOKS_LIKE_A_BOUNDARY = f"\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY}x\r\n\r".encode()
FILES = (
    make_file(),
    make_file(ImplicitVRLittleEndian, SOPInstanceUID="2.25.2"),
    make_file(ExplicitVRLittleEndian, SOPInstanceUID="2.25.3", LongCodeValue="long " * 5000),
    make_file(SOPInstanceUID="2.25.4", PatientID="C-2") + LOOKS_LIKE_A_BOUNDARY,
)


class Cut:
    """A body that comes in pieces."""

    def __init__(self, body: bytes, cuts: list[int]) -> None:
        self._pieces = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from (piece for piece in self._pieces if piece)

    def close(self) -> None:
        self.is_closed = True


def body_of(files: tuple[bytes, ...], *, sizes: bool = True) -> bytes:
    parts = (
        f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n".encode()
        + (f"Content-Length: {len(data)}\r\n".encode() if sizes else b"")
        + b"\r\n"
        + data
        + b"\r\n"
        for data in files
    )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def by_parts(source: Source, shown: ShownPatient | None) -> bytes:
    parts = PassingParts(source, KIND, shown)
    passed = b"".join(parts)
    return passed.replace(re.findall(r'boundary="(.*)"', parts.content_type)[0].encode(), b"")


def by_file(source: Source, shown: ShownPatient | None) -> bytes:
    return b"|".join(b"" if piece is None else bytes(piece) for piece in ManyFiles(source, KIND, shown) if piece != b"")


def without_moments(passed: bytes) -> bytes:
    return re.sub(rb"[0-9]{14}\+0000", b"now", passed)


@pytest.mark.parametrize("shown", [SHOWN, None])
@given(cuts=st.lists(st.integers(0, len(body_of(FILES))), max_size=40).map(sorted), sizes=st.booleans())
def test_any_cuts_give_the_same_answer(shown: ShownPatient | None, cuts: list[int], sizes: bool) -> None:
    body = body_of(FILES, sizes=sizes)
    whole = without_moments(by_parts(Cut(body, []), shown))
    assert without_moments(by_parts(Cut(body, [min(cut, len(body)) for cut in cuts]), shown)) == whole
    assert whole.count(PIXELS) == len(FILES)
    assert whole.count(LOOKS_LIKE_A_BOUNDARY) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_of_any_one_size_give_the_same_answer(size: int) -> None:
    body = body_of(FILES[:2])
    cuts = list(range(size, len(body), size))
    whole = without_moments(by_parts(Cut(body, []), SHOWN))
    assert without_moments(by_parts(Cut(body, cuts), SHOWN)) == whole


def test_each_place_may_be_the_one_where_the_network_cuts() -> None:
    body = body_of(FILES[:2])
    delimiters = re.finditer(rb"--archive-boundary", body)
    seams = (at for found in delimiters for at in range(found.start() - 9, found.end() + 70))
    whole = without_moments(by_parts(Cut(body, []), SHOWN))
    for cut in {min(max(seam, 0), len(body)) for seam in seams}:
        assert without_moments(by_parts(Cut(body, [cut]), SHOWN)) == whole, cut


@given(cuts=st.lists(st.integers(0, len(body_of(FILES))), max_size=40).map(sorted))
def test_files_come_one_by_one_each_with_its_header_first(cuts: list[int]) -> None:
    found: list[list[bytes]] = [[]]
    for piece in ManyFiles(Cut(body_of(FILES), cuts), KIND, SHOWN):
        if piece is None:
            found.append([])
        elif piece:
            found[-1].append(bytes(piece))
    assert found.pop() == []
    for pieces, sent in zip(found, FILES, strict=True):
        read = pydicom.dcmread(io.BytesIO(b"".join(pieces)))
        assert (read.PatientID, read.SOPInstanceUID) == ("R-7", pydicom.dcmread(io.BytesIO(sent)).SOPInstanceUID)
        assert b"R-7" in pieces[0]


@given(cuts=st.lists(st.integers(0, len(body_of(FILES[:1]))), max_size=20).map(sorted))
def test_one_file_comes_as_a_body_of_its_own(cuts: list[int]) -> None:
    source = Cut(body_of(FILES[:1]), cuts)
    part = OnlyPart(source, KIND, SHOWN)
    assert pydicom.dcmread(io.BytesIO(b"".join(part))).PixelData == PIXELS
    part.close()
    assert source.is_closed


@pytest.mark.parametrize("passing", [by_parts, by_file])
@given(end=st.integers(0, len(body_of(FILES[:2])) - 6))
def test_an_answer_that_breaks_off_is_no_whole_one(
    passing: Callable[[Source, ShownPatient | None], bytes], end: int
) -> None:
    with pytest.raises(MalformedRequest):
        passing(Cut(body_of(FILES[:2])[:end], []), SHOWN)


def test_what_follows_from_one_piece_comes_together_and_small_parts_as_one() -> None:
    small = tuple(b"DICM%d" % number for number in range(5000))
    large = bytes(100_000)
    parts = PassingParts(Cut(body_of((*small, large, large)), []), KIND, None)
    together, closing = parts.batches()
    assert len(together) < 50, "one message to a socket holds 1024 pieces"
    assert sum(len(piece) == len(large) for piece in together) == 2
    assert b"".join(together).count(b"DICM") == len(small)
    assert [bytes(piece).endswith(b"--\r\n") for piece in closing] == [True]


def test_bytes_that_only_pass_are_not_copied() -> None:
    reader = MultipartReader(BOUNDARY)
    list(reader.feed(f"--{BOUNDARY}\r\n\r\nx".encode()))
    piece = bytes(100_000)
    (event,) = reader.feed(piece)
    assert isinstance(event, PartData)
    assert event.data.obj is piece


def test_a_header_seen_before_is_dated_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in (datetime(2025, 1, 1, 10, 15, tzinfo=UTC), datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)):

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None, at: datetime = moment) -> Clock:
                return at  # type: ignore[return-value]

        monkeypatch.setattr(dicom_coercion, "datetime", Clock)
        passed = b"".join(OnlyPart(Cut(body_of(FILES[:1]), []), KIND, SHOWN))
        (change,) = pydicom.dcmread(io.BytesIO(passed)).OriginalAttributesSequence
        assert change.AttributeModificationDateTime == f"{moment:%Y%m%d%H%M%S}+0000"

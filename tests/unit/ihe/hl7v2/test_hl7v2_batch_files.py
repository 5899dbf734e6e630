"""Files of messages: whatever stands between them, each comes out whole and alone."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihe.errors import TooLarge
from ihe.hl7v2 import batch
from ihe.hl7v2.batch import read_messages
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.mllp import frame

A = b"MSH|^~\\&|A\rPID|1\r"
B = b"MSH|^~\\&|B\rPID|2||SEE MSH|x\r"


def read(data: bytes) -> list[bytes]:
    return list(read_messages(io.BytesIO(data)))


@pytest.mark.parametrize(
    "data",
    [
        A + B,
        A + b"\r\n\r\n" + B + b"\n",
        b"\xef\xbb\xbf" + A + B,
        b"\xef\xbb\xbfFHS|^~\\&|X\r" + A + B,
        frame(A) + frame(B),
        b"FHS|^~\\&|X\rBHS|^~\\&|X\r" + A + b"BTS|1\rBHS|^~\\&|X\r" + B + b"BTS|1\rFTS|1\r",
    ],
)
def test_messages_come_out_alone(data: bytes) -> None:
    assert read(data) == [A, B]


def test_line_feeds_end_segments_too() -> None:
    first, second = read((A + B).replace(b"\r", b"\n"))
    assert Message.parse(first).segment_names == Message.parse(second).segment_names == ("MSH", "PID")


def test_what_stands_before_the_first_message_is_a_piece_of_its_own() -> None:
    assert read(b"domain;local_id\r" + A) == [b"domain;local_id\r", A]
    assert read(b"") == read(b"\r\n \n") == []


def test_a_message_too_long_is_refused() -> None:
    messages = read_messages(io.BytesIO(A + b"x" * 3000), limit_bytes=1000)
    with pytest.raises(TooLarge):
        list(messages)


@given(st.lists(st.sampled_from([A, B, frame(A), b"BHS|^~\\&|X\r", b"\r\n"]), max_size=8), st.integers(1, 40))
def test_pieces_do_not_depend_on_how_the_file_is_read(pieces: list[bytes], chunk_bytes: int) -> None:
    data = b"".join(pieces)
    whole = read(data)
    assert b"".join(whole).count(b"MSH|^~") == data.count(b"MSH|^~")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "_CHUNK_BYTES", chunk_bytes)
        assert read(data) == whole

"""MLLP framing: whole, cut, glued, damaged and oversized frames give the same events however they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihe.errors import MalformedRequest, TooLarge
from ihe.hl7v2.mllp import HEAD_BYTES, Event, Frame, FrameDecoder, Noise, RefusedFrame, frame

LIMIT = 10_000
A, B = b"MSH|^~\\&|A\rPID|1\r", b"MSH|^~\\&|B\r"


def events_of(*pieces: bytes, limit: int = LIMIT, end: bool = True) -> list[Event]:
    decoder = FrameDecoder(limit)
    events = [event for piece in pieces for event in decoder.receive(piece)]
    return events + decoder.end() if end else events


def outline(events: list[Event]) -> list[object]:
    """Events in a form that compares by content."""
    shapes: list[object] = []
    for event in events:
        if isinstance(event, Frame):
            shapes.append(event.data)
        elif isinstance(event, RefusedFrame):
            shapes.append((type(event.error), event.error.message, event.head))
        else:
            shapes.append(event.length)
    return shapes


def test_frames_in_one_piece() -> None:
    assert events_of(frame(A) + frame(B)) == [Frame(A), Frame(B)]


def test_a_frame_comes_out_as_soon_as_it_ends() -> None:
    assert events_of(frame(A), end=False) == [Frame(A)]


@pytest.mark.parametrize("data", [b"", b"\x0bx", b"a\x1cb", "é\x85".encode(), bytes(set(range(256)) - {11, 28})])
def test_sending_refuses_frame_marks_in_the_data(data: bytes) -> None:
    if b"\x0b" in data or b"\x1c" in data:
        with pytest.raises(ValueError, match="frame mark"):
            frame(data)
    else:
        assert events_of(frame(data)) == [Frame(data)]


@pytest.mark.parametrize("between", [b"\r", b"\n", b"\r\n", b" \r\n\0"])
def test_blanks_between_frames_count_for_nothing(between: bytes) -> None:
    assert events_of(between, frame(A), between, frame(B), between) == [Frame(A), Frame(B)]


def test_noise_between_frames_is_dropped_and_counted() -> None:
    assert events_of(b"\r\nGET / HTTP/1.1\r\n\r\n" + frame(A) + b"noise") == [Noise(18), Frame(A), Noise(5)]


@pytest.mark.parametrize("end_mark", [b"\x1c\r", b"\x1c\n", b"\x1c"])
def test_end_marks_of_careless_senders(end_mark: bytes) -> None:
    assert events_of(b"\x0b" + A + end_mark + frame(B)) == [Frame(A), Frame(B)]
    assert events_of(b"\x0b" + A + end_mark) == [Frame(A)]


def test_a_frame_without_its_cr_is_taken_after_a_pause() -> None:
    decoder = FrameDecoder(LIMIT)
    assert decoder.receive(b"\x0b" + A + b"\x1c") == []
    assert decoder.awaits_final_cr
    assert decoder.pause() == [Frame(A)]
    assert not decoder.is_inside_frame
    assert decoder.pause() == []
    assert decoder.receive(b"\r" + frame(B)) == [Frame(B)]


def test_marks_inside_a_value_do_not_cut_the_message() -> None:
    data = A + b"OBX|1|TX|||a\x1cb\x0bc\r"
    assert events_of(b"\x0b" + data + b"\x1c\r") == [Frame(data)]


def test_a_frame_whose_start_was_lost_is_refused() -> None:
    (event,) = events_of(A + b"\x1c\r", end=False)
    assert isinstance(event, RefusedFrame)
    assert isinstance(event.error, MalformedRequest)
    assert event.head == A


def test_a_frame_given_up_for_a_new_one_is_refused_and_the_new_one_taken() -> None:
    refused, taken = events_of(b"\x0b" + A + frame(B), end=False)
    assert isinstance(refused, RefusedFrame)
    assert refused.head == A
    assert taken == Frame(B)


@pytest.mark.parametrize("sent", [b"\x0b" + A, A])
def test_a_message_cut_by_the_end_of_the_connection_is_refused(sent: bytes) -> None:
    (event,) = events_of(sent)
    assert isinstance(event, RefusedFrame)
    assert event.head == A


def test_an_oversized_frame_is_refused_and_the_next_taken() -> None:
    data = A + b"x" * LIMIT
    refused, taken = events_of(frame(data) + frame(B), end=False)
    assert isinstance(refused, RefusedFrame)
    assert isinstance(refused.error, TooLarge)
    assert refused.head == data[:HEAD_BYTES]
    assert taken == Frame(B)


def test_the_limit_itself_is_allowed() -> None:
    assert events_of(frame(b"x" * LIMIT)) == [Frame(b"x" * LIMIT)]
    assert isinstance(events_of(frame(b"x" * (LIMIT + 1)))[0], RefusedFrame)


def test_an_oversized_frame_is_never_held() -> None:
    decoder = FrameDecoder(LIMIT)
    decoder.receive(b"\x0b" + A)
    for _ in range(800):
        assert decoder.receive(b"x" * 65_536) == []
        assert len(decoder._buffer) <= LIMIT + 65_536
    refused, taken = decoder.receive(b"\x1c\r" + frame(B))
    assert isinstance(refused, RefusedFrame)
    assert isinstance(refused.error, TooLarge)
    assert taken == Frame(B)


_piece = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"MSH", b"\x0bMSH", b"\x1c\r", frame(A), frame(B), b"x" * 60]),
)


@given(st.lists(_piece, max_size=12).map(b"".join), st.data())
def test_events_do_not_depend_on_how_the_bytes_are_cut(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = outline(events_of(stream, limit=50))
    assert outline(events_of(*pieces, limit=50)) == whole
    assert outline(events_of(*[bytes([byte]) for byte in stream], limit=50)) == whole


@given(st.lists(st.binary(max_size=50).map(lambda b: b.translate(None, b"\x0b\x1c")), max_size=5))
def test_framed_data_comes_out_as_it_went_in(messages: list[bytes]) -> None:
    assert events_of(b"".join(map(frame, messages)), limit=50) == [Frame(message) for message in messages]

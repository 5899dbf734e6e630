"""Character sets: what MSH-18 declares, what the bytes are, and that no byte is lost either way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihe.hl7v2.charset import ASCII, LATIN_1, LATIN_9, UTF_8, WINDOWS_1252, Charset, decode, encode
from ihe.hl7v2.er7 import Message


def message(msh_18: str, body: bytes) -> Message:
    header = f"MSH|^~\\&|A|B|C|D|20260101||ADT^A28|1|P|2.5|||||FRA|{msh_18}|FR\r"
    return Message.parse(header.encode() + b"PID|||1||" + body + b"\r")


@pytest.mark.parametrize(
    ("declared", "body", "value", "used", "fallback"),
    [
        ("UNICODE UTF-8", "ZOÉ".encode(), "ZOÉ", UTF_8, False),
        ("UTF-8", "ZOÉ".encode(), "ZOÉ", UTF_8, False),
        ("", "ZOÉ".encode(), "ZOÉ", UTF_8, False),
        ("8859/1", b"ZO\xc9", "ZOÉ", LATIN_1, False),
        ("ISO-8859-1", b"ZO\xc9", "ZOÉ", LATIN_1, False),
        ("8859/15", b"\xbcUVRE \xa4", "ŒUVRE €", LATIN_9, False),
        ("ASCII", b"ZOE", "ZOE", ASCII, False),
        ("8859/15~UNICODE UTF-8", b"\xbcUVRE", "ŒUVRE", LATIN_9, False),
        ("UNICODE UTF-8", b"ZO\xc9", "ZOÉ", WINDOWS_1252, True),
        ("", b"L\x92\xc9TANG", "L’ÉTANG", WINDOWS_1252, True),
        ("8859/1", b"L\x92\xc9TANG", "L’ÉTANG", WINDOWS_1252, True),
        ("8859/1", "ZOÉ".encode(), "ZOÉ", UTF_8, True),
        ("8859/15", "ZOÉ".encode(), "ZOÉ", UTF_8, True),
        ("ASCII", "ZOÉ".encode(), "ZOÉ", UTF_8, True),
        ("KLINGON", "ZOÉ".encode(), "ZOÉ", UTF_8, True),
        ("UNICODE UTF-8", b"ZO\xc9 \x81", "ZOÉ \x81", LATIN_1, True),
    ],
)
def test_text_is_read_by_its_bytes_and_a_false_declaration_is_flagged(
    declared: str, body: bytes, value: str, used: Charset, fallback: bool
) -> None:
    read = message(declared, body)
    assert read.segment("PID").text(5) == value  # type: ignore[union-attr]
    assert (read.charset, read.charset_fallback) == (used, fallback)
    assert read.raw.encode(read.charset.codec) == bytes(read)
    assert bytes(read).endswith(body + b"\r")


@pytest.mark.parametrize(
    ("declared", "body", "expected"),
    [
        ("8859/15", b"A", LATIN_9),
        ("8859/1", "É".encode(), LATIN_1),
        ("UNICODE UTF-8", b"\xc9", UTF_8),
        ("", b"A", UTF_8),
        ("ASCII", b"A", UTF_8),
        ("", b"\xc9", LATIN_1),
        ("WINDOWS-1252", b"\xc9", WINDOWS_1252),
    ],
)
def test_an_answer_is_written_in_what_the_question_declared(declared: str, body: bytes, expected: Charset) -> None:
    assert message(declared, body).answer_charset == expected


def test_an_escaped_byte_is_read_in_the_charset_of_the_message() -> None:
    assert message("8859/15", b"\\XBC\\UVRE\xe9").segment("PID").text(5) == "ŒUVREé"  # type: ignore[union-attr]


@given(
    st.binary(),
    st.sampled_from(["", "UNICODE UTF-8", "8859/1", "8859/15", "ASCII", "WINDOWS-1252", "GB 18030"]),
)
def test_no_byte_is_lost(data: bytes, declared: str) -> None:
    text, charset, _ = decode(data, declared)
    assert text.encode(charset.codec) == data


@pytest.mark.parametrize(
    ("text", "charset", "written"),
    [
        ("ŒUVRE", LATIN_1, b"OEUVRE"),
        ("ŒUVRE", LATIN_9, b"\xbcUVRE"),
        ("Š’ł€", LATIN_1, b"S'lEUR"),
        ("ÉÇ", ASCII, b"EC"),
        ("名前", LATIN_9, b"??"),
        ("a\ud800", UTF_8, b"a?"),
        ("a＋b｜c＆", LATIN_1, b"a+b?c?"),
    ],
)
def test_what_a_charset_lacks_is_written_plainly(text: str, charset: Charset, written: bytes) -> None:
    assert encode(text, charset, reserved="|^~\\&") == written


def test_a_replacement_never_becomes_a_delimiter() -> None:
    assert encode("名", LATIN_1, reserved="|?") == b" "


def test_text_is_taken_in_the_charset_it_declares_if_that_can_hold_it() -> None:
    header = "MSH|^~\\&|A|B|C|D|20260101||ADT^A28|1|P|2.5|||||FRA|8859/1|FR\rPID|||1||"
    assert bytes(Message.parse(f"{header}ZOÉ\r")).endswith(b"ZO\xc9\r")
    beyond = Message.parse(f"{header}ŒUVRE\r")
    assert (beyond.charset, beyond.charset_fallback) == (UTF_8, True)
    assert bytes(beyond).endswith("ŒUVRE\r".encode())


@given(st.text(), st.sampled_from([UTF_8, ASCII, LATIN_1, LATIN_9, WINDOWS_1252]))
def test_writing_never_fails(text: str, charset: Charset) -> None:
    encode(text, charset).decode(charset.codec)

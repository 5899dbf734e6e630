"""Hostile and broken input over MLLP: each gets the wire's own error, the service goes on, what came before and comes
after is kept. Both acknowledgement modes over real sockets.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from ihe.hl7v2.er7 import Message
from ihe.hl7v2.mllp import Frame, FrameDecoder, frame
from tests.hl7v2_desk import Desk, er7, outcome, said


class Line:
    """One connection, byte by byte."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, 30)
        self._socket.settimeout(30)
        self._decoder = FrameDecoder(16 * 1024 * 1024)
        self._read: list[Message] = []

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def hang_up(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self) -> Message | None:
        """The next answer, ``None`` when the other side hangs up."""
        while not self._read:
            data = self._socket.recv(65_536)
            if not data:
                return None
            self._read += [Message.parse(e.data) for e in self._decoder.receive(data) if isinstance(e, Frame)]
        return self._read.pop(0)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def desk(running) -> Desk:
    return Desk(running.service)


@pytest.fixture
def dial(running):
    @contextmanager
    def dial() -> Iterator[Line]:
        line = Line((running.host, running.mllp_port))
        try:
            yield line
        finally:
            line.close()

    return dial


@pytest.fixture(autouse=True)
def goes_on(desk, dial):
    """A message before and one after, on connections of their own, whatever the test does."""

    def feed(local_id: str) -> None:
        with dial() as line:
            line.send(frame(desk.adt("A28", "MFL", local_id).encode()))
            assert outcome(line.answer())[0] == "AA"

    feed("BEFORE")
    yield
    feed("AFTER")
    assert known(desk) >= {"BEFORE", "AFTER"}


def known(desk: Desk) -> set[str]:
    with desk.service.engine.connect() as connection:
        return set(connection.execute(text("SELECT local_id FROM record WHERE state = 'active'")).scalars())


def test_a_frame_cut_off_is_refused_and_not_taken_in(desk, dial):
    with dial() as line:
        line.send(frame(desk.adt("A28", "CHUSE", "C1").encode())[:-60])
        line.hang_up()
        answer = line.answer()
        assert said(answer, "MSA", 1) == "AR"
        assert line.answer() is None
    assert "C1" not in known(desk)


def test_a_frame_given_up_for_another_one(desk, dial):
    first, second = (desk.adt("A28", "CHUSE", name).encode() for name in ("C1", "C2"))
    with dial() as line:
        line.send(b"\x0b" + first[:-40] + frame(second))
        assert said(line.answer(), "MSA", 1) == "AR"
        assert said(line.answer(), "MSA", 1) == "AA"
    assert known(desk) & {"C1", "C2"} == {"C2"}


def test_a_frame_of_50_megabytes_is_refused_and_the_connection_goes_on(desk, dial):
    header = desk.adt("A28", "CHUSE", "HUGE").encode()
    with dial() as line:
        line.send(b"\x0b" + header + b"NTE|1||")
        for _ in range(50):
            line.send(b"x" * 1024 * 1024)
        line.send(b"\r\x1c\r")
        refused = line.answer()
        assert outcome(refused)[:3] == ("AR", "", "207")
        assert "longer" in said(refused, "ERR", 8)
        line.send(frame(desk.adt("A28", "CHUSE", "C1").encode()))
        assert said(line.answer(), "MSA", 1) == "AA"
    assert known(desk) & {"C1", "HUGE"} == {"C1"}


def test_bytes_that_are_not_of_the_declared_charset_are_read_as_windows_1252(desk, dial):
    message = desk.adt("A28", "CHUSE", "C1").encode("cp1252")
    with dial() as line:
        line.send(frame(message))
        assert said(line.answer(), "MSA", 1) == "AA"
    with desk.service.engine.connect() as connection:
        city = connection.execute(text("SELECT traits->>'city' FROM record WHERE local_id = 'C1'")).scalar()
    assert city == "SAINT-ÉTIENNE"


HEADER = "MSH|^~\\&|A|B|C|D|20260115||ADT^A28^ADT_A05|K1|P|2.5"
BROKEN = {
    "nothing": ("", "AR", "100"),
    "no HL7 at all": ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "AR", "100"),
    "no MSH": ("PID|||1^^^CHUSE\r", "AR", "100"),
    "MSH without delimiters": ("MSH", "AR", "100"),
    "two MSH": (HEADER + "\r" + HEADER + "\r", "AR", "100"),
    "a line that is no segment": (HEADER + "\rlower|case\r", "AR", "100"),
    "no PID": (er7(HEADER, "EVN||2026"), "AE", "100"),
    "no identifier": (er7(HEADER, "PID|||||X^Y"), "AE", "101"),
    "unknown domain": (er7(HEADER, "PID|||1^^^NOWHERE||X^Y"), "AE", "204"),
    "unknown event": (er7(HEADER.replace("A28^ADT_A05", "A99"), "PID|||1^^^CHUSE"), "AR", "201"),
    "unknown type": (er7(HEADER.replace("ADT", "ZZZ"), "PID|||1^^^CHUSE"), "AR", "200"),
    "unknown version": (er7(HEADER.replace("2.5", "9.9"), "PID|||1^^^CHUSE"), "AR", "203"),
    "a NUL character": (er7(HEADER, "PID|||1\x002^^^CHUSE||X^Y"), "AR", "100"),
    "an escaped NUL in an identifier": (er7(HEADER, "PID|||1\\X00\\2^^^CHUSE||X^Y"), "AE", "102"),
    "an escaped NUL in a name": (er7(HEADER, "PID|||1^^^CHUSE||X\\X00\\^Y"), "AE", "102"),
    "an endless name": (er7(HEADER, f"PID|||1^^^CHUSE||{'ABC ' * 10_000}^Y"), "AE", "102"),
    "half a million parts": (er7(HEADER, "PID|||" + "~" * 500_000), "AR", "207"),
    "an endless identifier": (er7(HEADER, "PID|||" + "9" * 100_000 + "^^^CHUSE||X^Y"), "AE", "102"),
}


@pytest.mark.parametrize(("message", "code", "condition"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_message_is_refused_on_an_open_connection(desk, dial, message, code, condition):
    with dial() as line:
        line.send(frame(message.encode()))
        refused = line.answer()
        assert (said(refused, "MSA", 1), said(refused, "ERR", 3)) == (code, condition)
        assert said(refused, "ERR", 8)
        line.send(frame(desk.adt("A28", "CHUSE", "C1").encode()))
        assert said(line.answer(), "MSA", 1) == "AA"


def test_an_escaped_nul_in_the_header_or_a_visit_does_no_harm(desk, dial):
    message = desk.adt("A01", "CHUSE", "C1", visit=["I", "WARD\\X00\\A"], account="ACC\\X00\\1")
    with dial() as line:
        line.send(frame(message.replace("TEST|TEST", "TE\\X00\\ST|TEST").replace("|P|2.5", "\\X00\\|P|2.5").encode()))
        assert said(line.answer(), "MSA", 1) == "AA"
        line.send(frame(desk.query("Q22", "@PID.3.1^C\\X00\\1", tag="T\\X00\\").encode()))
        assert outcome(line.answer()) == ("AE", "AE", "102", "QPD^1^3^1^2")
    assert desk.count("SELECT count(*) FROM visit WHERE account = 'ACC1'") == 1


def enhanced(message: str, accept: str, application: str) -> bytes:
    """The message with MSH-15 and MSH-16."""
    header, *rest = message.split("\r")
    fields = header.split("|")
    fields += [""] * (17 - len(fields))
    fields[14], fields[15] = accept, application
    return frame("\r".join(["|".join(fields), *rest]).encode())


@pytest.mark.parametrize(
    ("accept", "application", "codes"),
    [
        ("AL", "AL", ["CA", "AA"]),
        ("AL", "NE", ["CA"]),
        ("NE", "AL", ["AA"]),
        ("ER", "AL", ["AA"]),
        ("SU", "SU", ["CA", "AA"]),
        ("NE", "NE", []),
        ("NE", "ER", []),
    ],
)
def test_enhanced_mode_answers_what_was_asked_for(desk, dial, accept, application, codes):
    with dial() as line:
        line.send(enhanced(desk.adt("A28", "CHUSE", "C1"), accept, application))
        line.send(frame(desk.adt("A28", "CHUSE", "C2").encode()))
        answers = [line.answer() for _ in range(len(codes) + 1)]
    assert [said(a, "MSA", 1) for a in answers] == [*codes, "AA"]
    assert len({said(a, "MSA", 2) for a in answers[:-1]}) <= 1
    assert known(desk) >= {"C1", "C2"}


@pytest.mark.parametrize(
    ("accept", "application", "codes"),
    [("AL", "AL", ["CA", "AE"]), ("AL", "ER", ["CA", "AE"]), ("ER", "SU", []), ("NE", "ER", ["AE"])],
)
def test_enhanced_mode_refusals(desk, dial, accept, application, codes):
    wrong = desk.adt("A28", "CHUSE", "C1").replace("|19480317|", "|19481317|")
    with dial() as line:
        line.send(enhanced(wrong, accept, application))
        line.send(frame(desk.adt("A28", "CHUSE", "C2").encode()))
        answers = [line.answer() for _ in range(len(codes) + 1)]
    assert [said(a, "MSA", 1) for a in answers] == [*codes, "AA"]


def test_enhanced_mode_of_a_query_and_of_what_is_not_offered(desk, dial):
    with dial() as line:
        line.send(enhanced(desk.query("Q22", "@PID.5.1^EXEMPLE"), "AL", "AL"))
        assert [said(line.answer(), "MSA", 1) for _ in range(2)] == ["CA", "AA"]
        line.send(enhanced(desk.query("Q22", "@PID.5.1^EXEMPLE"), "AL", ""))
        assert [said(line.answer(), "MSA", 1) for _ in range(2)] == ["CA", "AA"]
        line.send(enhanced(desk.query("Q22", "@PID.5.1^EXEMPLE"), "ER", ""))
        assert said(line.answer(), "MSA", 1) == "AA"
        line.send(enhanced(desk.adt("A99", "CHUSE", "C1"), "AL", "AL"))
        assert said(line.answer(), "MSA", 1) == "CR"

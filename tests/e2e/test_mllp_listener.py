"""The MLLP listener over real sockets, driven by python-hl7's client, our own, and careless senders."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import hl7
import hl7.client
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from ihe import shared_listener
from ihe.errors import InvalidElement, Unavailable
from ihe.hl7v2.acknowledgement import acknowledge, answers
from ihe.hl7v2.client import MllpClient
from ihe.hl7v2.er7 import Message, Segment
from ihe.hl7v2.listener import Handler, Limits, MllpListener
from ihe.hl7v2.mllp import Frame, FrameDecoder, Noise, frame
from ihe.peer import Peer
from ihe.shared_listener import SharedListener

HOST = "127.0.0.1"
Serve = Callable[..., AbstractContextManager[MllpListener]]


def adt(control_id: str | int = 1, body: str = "PID|1||4711\r", conditions: str = "||") -> bytes:
    header = f"MSH|^~\\&|GAM|SITE|INDEX|REGION|20260101||ADT^A28^ADT_A05|{control_id}|P|2.5|{conditions}"
    return f"{header}||FRA|UNICODE UTF-8|FR\rEVN||20260101\r{body}".encode()


def accept(data: bytes, peer: Peer) -> Sequence[bytes]:
    question = Message.parse(data)
    return [bytes(answer) for answer in answers(question, acknowledge(question))]


@contextmanager
def listening(handler: Handler = accept, *, uvloop: bool = False, **options: object) -> Iterator[MllpListener]:
    """A listener in an event loop with a thread of its own; stopped at the end."""
    if uvloop:
        from uvloop import new_event_loop
    else:
        from asyncio import new_event_loop
    loop = new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = MllpListener(handler, **({"host": HOST, "port": 0} | options))  # type: ignore[arg-type]
    try:
        asyncio.run_coroutine_threadsafe(listener.start(), loop).result(10)
        yield listener
    finally:
        asyncio.run_coroutine_threadsafe(listener.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest) -> Serve:
    def with_loop(handler: Handler = accept, **options: object) -> AbstractContextManager[MllpListener]:
        return listening(handler, uvloop=request.param == "uvloop", **options)

    return with_loop


class Sender:
    """A bare socket with a frame decoder, for senders that do not behave."""

    def __init__(self, listener: MllpListener) -> None:
        self.socket = socket.create_connection((HOST, listener.port), 10)
        self.decoder = FrameDecoder(1_000_000)
        self.answers: list[Message] = []

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Sender:
        self.socket.sendall(data)
        return self

    def receive(self, count: int) -> list[Message]:
        """The next ``count`` answers."""
        while len(self.answers) < count:
            data = self.socket.recv(65_536)
            assert data, "the connection was closed without an answer"
            events = self.decoder.receive(data)
            self.answers += [Message.parse(event.data) for event in events if isinstance(event, Frame)]
        given, self.answers = self.answers[:count], self.answers[count:]
        return given

    def codes(self, count: int) -> list[str]:
        """MSA-1 and MSA-2 of the next ``count`` answers."""
        return [f"{msa(answer).text(1)} {msa(answer).text(2)}".strip() for answer in self.receive(count)]

    def is_closed(self) -> bool:
        return self.socket.recv(1) == b""


def segment(message: Message, name: str) -> Segment:
    found = message.segment(name)
    assert found is not None
    return found


def msa(message: Message) -> Segment:
    return segment(message, "MSA")


def test_python_hl7_as_client(serve: Serve) -> None:
    with serve() as listener, hl7.client.MLLPClient(HOST, listener.port) as client:
        for number in range(20):
            answer = hl7.parse(client.send_message(adt(number)).strip(b"\x0b\x1c\r").decode())
            assert str(answer.segment("MSA")) == f"MSA|AA|{number}"
            assert str(answer.segment("MSH")[9]) == "ACK^A28^ACK"


def test_our_own_client(serve: Serve) -> None:
    with serve() as listener, MllpClient(HOST, listener.port, timeout_seconds=10) as client:
        for number in range(20):
            assert msa(client.send(adt(number))).raw == f"MSA|AA|{number}"


def test_pipelined_messages_are_answered_in_order(serve: Serve) -> None:
    def slower_at_first(data: bytes, peer: Peer) -> Sequence[bytes]:
        number = int(Message.parse(data).control_id)
        time.sleep(0.2 if number == 0 else 0)
        return accept(data, peer)

    with serve(slower_at_first) as listener, Sender(listener) as sender:
        sender.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, 300, 50):
            sender.send(b"".join(frame(adt(number)) for number in range(start, start + 50)))
            time.sleep(0.01)
        assert sender.codes(300) == [f"AA {number}" for number in range(300)]


def test_a_sender_faster_than_the_handler_is_slowed_down_not_buffered(serve: Serve) -> None:
    release = threading.Event()

    def waits(data: bytes, peer: Peer) -> Sequence[bytes]:
        release.wait(20)
        return accept(data, peer)

    with serve(waits) as listener, Sender(listener) as sender:
        sender.socket.settimeout(0.7)  # of each send: it fails only when nothing at all is taken any more
        message = frame(adt(1, "NTE|1||" + "x" * 100_000))
        with pytest.raises(TimeoutError):
            all(map(sender.socket.send, [message] * 1000))
        release.set()


def test_a_sender_may_send_byte_by_byte(serve: Serve) -> None:
    with serve() as listener, Sender(listener) as sender:
        sender.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(adt()):
            sender.send(bytes([byte]))
        assert sender.codes(1) == ["AA 1"]


def test_five_hundred_connections_together(serve: Serve) -> None:
    with serve() as listener:
        senders = [Sender(listener) for _ in range(500)]
        for number, sender in enumerate(senders):
            sender.send(frame(adt(number))[:30])
        for number, sender in enumerate(senders):
            sender.send(frame(adt(number))[30:])
        assert [sender.codes(1) for sender in senders] == [[f"AA {number}"] for number in range(500)]
        assert listener.connection_count == 500
        for sender in senders:
            sender.socket.close()


def test_one_slow_message_holds_up_nobody_else(serve: Serve) -> None:
    release = threading.Event()

    def waits(data: bytes, peer: Peer) -> Sequence[bytes]:
        if Message.parse(data).control_id == "slow":
            release.wait(10)
        return accept(data, peer)

    with serve(waits) as listener, Sender(listener) as slow, Sender(listener) as fast:
        slow.send(frame(adt("slow")))
        assert fast.send(frame(adt("fast"))).codes(1) == ["AA fast"]
        release.set()
        assert slow.codes(1) == ["AA slow"]


def test_what_a_handler_raises_is_answered_without_its_content(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def fails(data: bytes, peer: Peer) -> Sequence[bytes]:
        if b"4711" in data:
            raise RuntimeError("cannot save JEANNE DUPONT")
        raise InvalidElement("the birth date is no date", "PID-7")

    with serve(fails) as listener, Sender(listener) as sender:
        (answer,) = sender.send(frame(adt(1))).receive(1)
        error = segment(answer, "ERR")
        assert (msa(answer).raw, error.text(3)) == ("MSA|AE|1", "207")
        reference = error.text(7)
        assert len(reference) == 32
        assert reference in [getattr(record, "correlation_id", "") for record in caplog.records]
        assert "DUPONT" not in answer.raw + caplog.text
        (answer,) = sender.send(frame(adt(2, "PID|1||0815\r"))).receive(1)
        assert segment(answer, "ERR").raw.startswith("ERR||PID^1^7|102^")


def test_an_answer_that_cannot_be_framed_is_replaced(serve: Serve) -> None:
    with serve(lambda data, peer: [b"MSH|\x1c"]) as listener, Sender(listener) as sender:
        assert sender.send(frame(adt(1))).codes(1) == ["AE 1"]


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (frame(b""), ["AR"]),
        (frame(b"PID|1\r"), ["AR"]),
        (frame(b"MSH|^~^&|A|B|C|D|||ADT^A28|7|P|2.5\r"), ["AR 7"]),
        (frame(adt(7) + b"no segment\r"), ["AR 7"]),
        (adt(7) + b"\x1c\r", ["AR 7"]),
        (b"\x0b" + adt(7), ["AR 7"]),
        (b"\x00\r\nhello\r\n", []),
        (frame(adt(7).decode().encode("utf-16")), ["AR"]),
        (b"\x0b" + adt(7) + b"\x1c", ["AA 7"]),
    ],
)
def test_a_broken_frame_is_refused_and_the_next_taken(serve: Serve, sent: bytes, codes: list[str]) -> None:
    with serve() as listener, Sender(listener) as sender:
        sender.send(frame(adt("before")) + sent + frame(adt("after")))
        assert sender.codes(len(codes) + 2) == ["AA before", *codes, "AA after"]


_piece = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"\x0b", b"\x1c", b"\x1c\r", b"\r", b"MSH|^~\\&|", b"\x0bMSH", b"x" * 400]),
    st.integers(1, 9).map(lambda number: frame(adt(number))),
    st.integers(1, 9).map(lambda number: frame(adt(number, conditions="||AL|NE"))),
)


def test_every_frame_of_any_stream_is_answered_once_and_the_connection_ends_in_order(serve: Serve) -> None:
    with serve(limits=Limits(frame_bytes=300)) as listener:

        @given(st.lists(_piece, max_size=12).map(b"".join))
        @settings(max_examples=60, deadline=None)
        def check(stream: bytes) -> None:
            decoder = FrameDecoder(300)
            events = [*decoder.receive(stream), *decoder.end()]
            with Sender(listener) as sender:
                sender.send(stream)
                sender.socket.shutdown(socket.SHUT_WR)
                sender.receive(sum(not isinstance(event, Noise) for event in events))
                assert sender.is_closed()

        check()


def test_an_oversized_message_is_refused_and_the_next_taken(serve: Serve) -> None:
    with serve(limits=Limits(frame_bytes=100_000)) as listener, Sender(listener) as sender:
        sender.send(frame(adt(7) + b"OBX|1|ED|||" + b"x" * 100_000))
        sender.send(frame(adt("after")))
        refused, taken = sender.receive(2)
        assert msa(refused).raw == "MSA|AR|7"
        assert "100000 bytes" in segment(refused, "ERR").text(8)
        assert msa(taken).raw == "MSA|AA|after"


def test_a_message_cut_by_the_end_of_the_connection_is_answered(serve: Serve) -> None:
    with serve() as listener, Sender(listener) as sender:
        sender.send(frame(adt(1)) + frame(adt(2))[:-20])
        sender.socket.shutdown(socket.SHUT_WR)
        assert sender.codes(2) == ["AA 1", "AR 2"]
        assert sender.is_closed()


def test_a_frame_without_its_last_cr_is_answered_after_a_pause(serve: Serve) -> None:
    with serve() as listener, Sender(listener) as sender:
        assert sender.send(b"\x0b" + adt(1) + b"\x1c").codes(1) == ["AA 1"]
        assert sender.send(b"\r" + frame(adt(2))).codes(1) == ["AA 2"]


def test_a_frame_that_does_not_end_in_time_is_refused(serve: Serve) -> None:
    with serve(limits=Limits(frame_seconds=0.3)) as listener, Sender(listener) as sender:
        sender.send(b"\x0b" + adt(1)[:-3])
        (answer,) = sender.receive(1)
        assert msa(answer).raw == "MSA|AR|1"
        assert "in time" in segment(answer, "ERR").text(8)
        assert sender.is_closed()


def test_a_trickling_frame_does_not_hold_its_connection_for_ever(serve: Serve) -> None:
    with serve(limits=Limits(frame_seconds=0.4)) as listener, Sender(listener) as sender:
        sender.send(b"\x0b" + adt(1))
        sender.socket.settimeout(0.05)
        for _ in range(100):
            try:
                sender.send(b"x")
                (code,) = sender.codes(1)
                break
            except TimeoutError:
                continue
        assert code == "AR 1"


def test_an_idle_connection_is_closed(serve: Serve) -> None:
    with serve(limits=Limits(idle_seconds=0.3)) as listener, Sender(listener) as sender:
        assert sender.send(frame(adt(1))).codes(1) == ["AA 1"]
        assert sender.is_closed()


def test_a_sender_that_never_takes_its_answers_is_slowed_down_and_cut_off(serve: Serve) -> None:
    def verbose(data: bytes, peer: Peer) -> Sequence[bytes]:
        return [adt(1, "NTE|1||" + "x" * 500_000)]

    with serve(verbose, limits=Limits(write_seconds=0.5)) as listener, Sender(listener) as sender:
        sender.socket.settimeout(0.2)
        with pytest.raises((ConnectionError, TimeoutError)):
            sender.send(frame(adt(1)) * 100_000)
        until = time.monotonic() + 10
        while listener.connection_count and time.monotonic() < until:
            time.sleep(0.02)
        assert listener.connection_count == 0


def test_a_connection_too_many_is_closed_and_the_others_go_on(serve: Serve) -> None:
    with serve(limits=Limits(connections=1)) as listener, Sender(listener) as sender:
        assert sender.send(frame(adt(1))).codes(1) == ["AA 1"]
        with Sender(listener) as second, suppress(ConnectionError):
            assert second.is_closed()
        assert sender.send(frame(adt(2))).codes(1) == ["AA 2"]


def test_enhanced_mode_over_the_wire(serve: Serve) -> None:
    with serve() as listener, Sender(listener) as sender:
        for number, conditions in enumerate(("||AL|AL", "||AL|NE", "||NE|NE", "||NE|AL")):
            sender.send(frame(adt(number, conditions=conditions)))
        assert sender.codes(4) == ["CA 0", "AA 0", "CA 1", "AA 3"]


def test_stopping_finishes_what_has_come_and_takes_nothing_new(serve: Serve) -> None:
    at_work = threading.Event()
    release = threading.Event()

    def waits(data: bytes, peer: Peer) -> Sequence[bytes]:
        at_work.set()
        release.wait(10)
        return accept(data, peer)

    with serve(waits) as listener:
        port = listener.port
        idle, busy, half = Sender(listener), Sender(listener), Sender(listener)
        busy.send(frame(adt(1)) + frame(adt(2)))
        half.send(frame(adt(3))[:-9])
        assert at_work.wait(10)
        time.sleep(0.1)
        threading.Timer(0.3, release.set).start()
    assert busy.codes(2) == ["AA 1", "AA 2"]
    (refused,) = half.receive(1)
    assert msa(refused).raw == "MSA|AR|3"
    assert "stopping" in segment(refused, "ERR").text(8)
    for sender in (idle, busy, half):
        assert sender.is_closed()
        sender.socket.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), 1)


def test_stopping_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    def hangs(data: bytes, peer: Peer) -> Sequence[bytes]:
        release.wait(20)
        return []

    with caplog.at_level(logging.CRITICAL, "concurrent.futures"):
        began = time.monotonic()
        with listening(hangs, limits=Limits(drain_seconds=0.3)) as listener, Sender(listener) as sender:
            sender.send(frame(adt(1)))
            time.sleep(0.1)
        assert time.monotonic() - began < 5
        release.set()


def test_several_listeners_share_a_port_and_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_listener, "_STAND_BACK_SECONDS", 2.0)  # however slow the machine is
    with ExitStack() as opened:
        shared = SharedListener.of(socket.create_server((HOST, 0)), 2)
        opened.callback(shared.close)
        first, second = (
            opened.enter_context(listening(shared=replace(shared, bound=shared.bound.dup(), number=number)))
            for number in (0, 1)
        )
        assert first.port == second.port
        for number in range(8):
            client = opened.enter_context(MllpClient(HOST, second.port))
            assert msa(client.send(adt(number))).raw == f"MSA|AA|{number}"
        assert first.connection_count == second.connection_count == 4


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this test, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mllp.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "node.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(pem)
    )
    return path


@pytest.mark.parametrize("is_shared", [False, True])
def test_mutual_tls_shows_the_certificate_of_the_sender(serve: Serve, certificate: Path, is_shared: bool) -> None:
    peers: list[Peer] = []

    def notes(data: bytes, peer: Peer) -> Sequence[bytes]:
        peers.append(peer)
        return accept(data, peer)

    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    server_side.load_verify_locations(certificate)
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=str(certificate))
    client_side.load_cert_chain(certificate)
    shared = SharedListener.of(socket.create_server((HOST, 0)), 1) if is_shared else None
    with (
        serve(notes, ssl=server_side, shared=shared) as listener,
        MllpClient(HOST, listener.port, ssl=client_side) as client,
    ):
        assert msa(client.send(adt(1))).raw == "MSA|AA|1"
        assert msa(client.send(adt(2))).raw == "MSA|AA|2"
    assert peers[0].host == HOST
    assert peers[0].certificate is not None
    assert x509.load_der_x509_certificate(peers[0].certificate).subject.rfc4514_string() == "CN=mllp.test"


@pytest.mark.parametrize("is_shared", [False, True])
def test_who_shows_no_certificate_is_told_of_with_the_address(serve: Serve, certificate: Path, is_shared: bool) -> None:
    refused: list[tuple[str, str]] = []
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    server_side.load_verify_locations(certificate)
    server_side.verify_mode = ssl.CERT_REQUIRED
    nameless = ssl.create_default_context(cafile=str(certificate))
    shared = SharedListener.of(socket.create_server((HOST, 0)), 1) if is_shared else None
    with serve(
        accept,
        ssl=server_side,
        shared=shared,
        refused=lambda address, error: refused.append((address, error.reason)),
    ) as listener:
        with MllpClient(HOST, listener.port, ssl=nameless) as client, pytest.raises(Unavailable):
            client.send(adt(1))
        until = time.monotonic() + 10
        while not refused and time.monotonic() < until:
            time.sleep(0.01)
    assert refused == [(HOST, "PEER_DID_NOT_RETURN_A_CERTIFICATE")]


def test_the_client_says_when_nobody_answers() -> None:
    with listening(lambda data, peer: []) as listener:
        with MllpClient(HOST, listener.port, timeout_seconds=0.2) as client, pytest.raises(Unavailable):
            client.send(adt(1))
        port = listener.port
    with MllpClient(HOST, port, timeout_seconds=1) as client, pytest.raises(Unavailable):
        client.send(adt(1))


def test_the_client_opens_a_new_connection_after_a_failure() -> None:
    with listening(limits=Limits(idle_seconds=0.2)) as listener, MllpClient(HOST, listener.port) as client:
        assert msa(client.send(adt(1))).raw == "MSA|AA|1"
        time.sleep(0.5)
        with pytest.raises(Unavailable):
            client.send(adt(2))
        assert msa(client.send(adt(2))).raw == "MSA|AA|2"

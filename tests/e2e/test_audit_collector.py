"""Audit events reach a syslog collector over TLS, at least once each, whatever happens to the collector."""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree
from sqlalchemy import create_engine

from ihe.audit import AuditEvent, Outcome
from ihe.audit_export import AuditTrailKeeper
from ihe.audit_message import AuditSource
from ihe.store import audit, audit_chain
from ihe.syslog import Collector

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOURCE = AuditSource("traitdunion", None, {})


def collect(port, certificate, kept_in):
    """A collector: keeps the correlation id of each message; runs until it is killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", port)) as listener, Path(kept_in).open("ab", buffering=0) as kept:
        while True:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    stream = connection.makefile("rb")
                    while message := read_frame(stream):
                        patient = etree.fromstring(message.split("\ufeff".encode(), 1)[1]).find(
                            "ParticipantObjectIdentification"
                        )
                        kept.write(patient.get("ParticipantObjectID").encode() + b"\n")
                    connection.unwrap()
            except OSError:
                continue


def read_frame(stream):
    count = b""
    while (digit := stream.read(1)) not in (b"", b" "):
        count += digit
    return stream.read(int(count)) if count else b""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collector")
    key, cert = folder / "key.pem", folder / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*request, *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def engine(database_url):
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


def write(engine, numbers):
    with engine.begin() as connection:
        for number in numbers:
            patient = {"kind": "patient", "id": f"{number}^^^&1.2.3&ISO"}
            audit.append(
                connection,
                AuditEvent(
                    at=NOW,
                    transaction="ITI-9",
                    event_code="110112",
                    event_action="E",
                    outcome=Outcome.SUCCESS,
                    node="10.0.0.1",
                    site=None,
                    user=None,
                    purpose="normal",
                    correlation_id=str(number),
                    objects=(patient,),
                ),
            )


def keeper(engine, port, certificate):
    context = ssl.create_default_context(cafile=str(certificate))
    return AuditTrailKeeper(engine, SOURCE, Collector("localhost", port, context, timeout_seconds=5), every_seconds=0.1)


def started(port, certificate, kept):
    process = multiprocessing.get_context("spawn").Process(target=collect, args=(port, certificate, kept), daemon=True)
    process.start()
    return process


@pytest.mark.parametrize("events", [1500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_nothing_is_lost_with_a_collector_that_is_killed_again_and_again(engine, port, certificate, tmp_path, events):
    kept = tmp_path / "kept"
    kept.touch()
    sender = keeper(engine, port, certificate)
    sender.start()
    collector = started(port, certificate, kept)
    try:
        for part, numbers in enumerate(_parts(events, 6)):
            write(engine, numbers)
            time.sleep(0.3)
            if part % 2 == 0:
                collector.kill()
                collector.join()
                collector = started(port, certificate, kept)
        deadline = time.monotonic() + 120
        while len(set(kept.read_bytes().split())) < events and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        sender.stop()
        collector.kill()
        collector.join()
    whole = {line for line in kept.read_bytes().split() if line.endswith(b"&ISO")}
    assert whole == {f"{number}^^^&1.2.3&ISO".encode() for number in range(events)}


def _parts(count, parts):
    size = -(-count // parts)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def test_a_collector_with_another_certificate_gets_nothing(engine, port, certificate, tmp_path):
    kept = tmp_path / "kept"
    kept.touch()
    collector = started(port, certificate, kept)
    write(engine, range(3))
    stranger = Collector("localhost", port, ssl.create_default_context(), timeout_seconds=5)
    sender = AuditTrailKeeper(engine, SOURCE, stranger)
    sender.seal()
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                sender.send()
            except ssl.SSLCertVerificationError:
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        collector.kill()
        collector.join()
    assert kept.read_bytes() == b""


def test_two_processes_seal_and_send_one_trail(engine, port, certificate, tmp_path):
    kept = tmp_path / "kept"
    collector = started(port, certificate, kept)
    senders = [keeper(engine, port, certificate) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        for numbers in _parts(400, 8):
            write(engine, numbers)
        deadline = time.monotonic() + 60
        while len(kept.read_bytes().split() if kept.exists() else ()) < 400 and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        for sender in senders:
            sender.stop()
        collector.kill()
        collector.join()
    assert {f"{n}^^^&1.2.3&ISO".encode() for n in range(400)} <= set(kept.read_bytes().split())
    with engine.connect() as connection:
        assert list(audit_chain.verify(connection, NOW)) == []
        assert audit_chain.length(connection) == 400

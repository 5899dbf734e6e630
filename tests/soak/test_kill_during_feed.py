"""Kill -9 of the real server at random moments of a feed: nothing acknowledged is lost, nothing is taken in twice or by
half, and a subscriber hears of everything, in order per patient.

All persons are invented.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from ihe.errors import MalformedRequest, Unavailable
from ihe.hl7v2.client import MllpClient
from ihe.hl7v2.er7 import Message
from mpi.store import invariants
from region.embedded_postgres import EmbeddedPostgres
from region.region_table import load_region
from tests.mllp_consumer import Consumer, identifiers, local, wait_for
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "fixtures" / "region.toml"
FAMILIES = ["ABRIAL", "BERGER", "CHAUVE", "DELMAS", "ESCOT", "FAYARD", "GRANGE", "HUGON", "IMBERT", "JOURDAN"]
GIVEN = ["ADELE", "BASILE", "CELESTE", "DENIS", "ELOI", "FLAVIE", "GASTON", "HORTENSE", "IRENE", "JULES"]
FEEDERS = 4


@dataclass
class Server:
    """The service as a process of its own, with its own embedded database."""

    folder: Path
    consumer: Consumer
    http_port: int = field(default_factory=free_port)
    mllp_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAITDUNION_")}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "TRAITDUNION_DATA_DIR": str(self.folder / "data"),
            "TRAITDUNION_REGION_TABLE": str(self._table()),
            "TRAITDUNION_LOG_LEVEL": "error",
        }
        command = [sys.executable, "-c", "from region.cli import main; main()", "serve"]
        command += ["--port", str(self.http_port), "--mllp-port", str(self.mllp_port)]
        self.process = subprocess.Popen(command, env=environment, cwd=self.folder, start_new_session=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the service ended by itself"
            try:
                if httpx.get(f"http://127.0.0.1:{self.http_port}/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the service did not become ready")

    def end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def _table(self) -> Path:
        """The region's table with a consumer at ROANNE."""
        table = self.folder / "region.toml"
        lines = TABLE.read_text(encoding="utf-8")
        listening = f'{{ enabled = true, host = "127.0.0.1", port = {self.consumer.port}, application = "GAM", '
        block = re.search(r'code = "ROANNE".*?(notification = \{[^}]*\})', lines, re.DOTALL)
        assert block is not None
        changed = lines.replace(block[1], f'notification = {listening}facility = "ROANNE" }}')
        table.write_text(changed, encoding="utf-8")
        return table


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Consumer() as consumer:
        found = Server(tmp_path, consumer)
        try:
            yield found
        finally:
            found.end(signal.SIGKILL)
            EmbeddedPostgres(tmp_path / "data" / "postgres").destroy()


def patient_messages(person: int) -> list[bytes]:
    """What two sites tell of one person: created at both, then moved at both."""
    table = load_region(TABLE)
    family = FAMILIES[person % 10] + FAMILIES[person // 10 % 10][:4]
    given = GIVEN[(person // 100 + 3 * person) % 10]
    born = f"{1930 + person % 60}{person % 12 + 1:02}{person // 7 % 28 + 1:02}"
    messages = []
    for event, street in (("A28", "1 RUE DU TEST"), ("A31", "2 RUE DU TEST")):
        for code in ("CHUSE", "ROANNE"):
            authority = table.by_code(code).authority
            at = f"2026011510{person % 60:02}{'00' if event == 'A28' else '30'}"
            lines = [
                f"MSH|^~\\&|FEEDER|TEST|TRAITDUNION|REGION|{at}||ADT^{event}^ADT_A05|{code[0]}{event}{person}|P|2.5",
                f"EVN||{at}",
                (
                    f"PID|||{code[0]}{person}^^^{authority.namespace}&{authority.oid}&ISO^PI||"
                    f"{family}^{given}^{given}^^^^L||{born}|{'FM'[person % 2]}|||{street}^^FEURS^^42110^FRA^H"
                    "~^^^^^^BDL^^42218"
                ),
            ]
            messages.append("".join(f"{line}\r" for line in lines).encode())
    return messages


class Feed:
    """Sends messages over several connections, each again until it is acknowledged."""

    def __init__(self, port: int, persons: int) -> None:
        self._port = port
        self.acknowledged: set[str] = set()
        self.resent = 0
        self.refused: list[str] = []
        shares = [range(number, persons, FEEDERS) for number in range(FEEDERS)]
        self._threads = [threading.Thread(target=self._send, args=(share,), daemon=True) for share in shares]
        for thread in self._threads:
            thread.start()

    def is_over(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _send(self, persons: range) -> None:
        with MllpClient("127.0.0.1", self._port, timeout_seconds=20) as client:
            for person in persons:
                for message in patient_messages(person):
                    self._send_until_acknowledged(client, message)

    def _send_until_acknowledged(self, client: MllpClient, message: bytes) -> None:
        while True:
            try:
                answer = client.send(message).segment("MSA")
            except (Unavailable, MalformedRequest):
                self.resent += 1
                time.sleep(0.05)
                continue
            assert answer is not None
            if answer.text(1) == "AA":
                self.acknowledged.add(answer.text(2))
                return
            self.refused.append(answer.text(2))
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("kills", "messages"),
    [(3, 200), pytest.param(30, 2000, marks=pytest.mark.soak)],
)
@pytest.mark.timeout(3600)
def test_a_killed_server_loses_doubles_and_halves_nothing(server: Server, kills: int, messages: int) -> None:
    persons = messages // 4
    seed = int(os.environ.get("TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"TEST_SEED={seed}")
    chance = random.Random(seed)
    server.start()
    feed = Feed(server.mllp_port, persons)
    for moment in sorted(chance.sample(range(1, messages - 5), kills)):
        wait_for(lambda moment=moment: len(feed.acknowledged) >= moment, 300)
        time.sleep(chance.random() * 0.1)
        server.end(signal.SIGKILL)
        server.start()
    wait_for(feed.is_over, 600)
    assert len(feed.acknowledged) == messages
    assert feed.refused == [], "a crash is no reason to refuse"

    told: dict[str, frozenset[str]] = {}

    def everybody_is_told() -> bool:
        told.update({own(message): identifiers(message) for message in list(server.consumer.received)})
        return len(told) == persons and all(local(ids) == {own_id, "C" + own_id[1:]} for own_id, ids in told.items())

    try:
        wait_for(everybody_is_told, 120)
    finally:
        server.end(signal.SIGTERM)
    assert consumer_order(server.consumer.received) == []
    assert findings(server.folder / "data" / "postgres", messages) == []


def own(message: Message) -> str:
    pid = message.segment("PID")
    assert pid is not None
    return pid.text(3)


def consumer_order(received: list[Message]) -> list[str]:
    """Patients of whom an event was told after a later one that was new."""
    newest: dict[str, int] = {}
    seen: set[str] = set()
    late = []
    for message in received:
        event = int(message.control_id.partition(".")[0])
        if message.control_id not in seen and event < newest.get(own(message), 0):
            late.append(own(message))
        seen.add(message.control_id)
        newest[own(message)] = max(event, newest.get(own(message), 0))
    return late


def findings(folder: Path, messages: int) -> list[str]:
    """What is not as it must be in the database that the killed servers left."""
    wanted = {
        "SELECT count(*) FROM received_message": messages,
        "SELECT count(*) FROM record WHERE state = 'active'": messages // 2,
        "SELECT count(*) FROM record_version": messages,
        "SELECT count(*) FROM identity_event WHERE kind = 'record.created'": messages // 2,
        "SELECT count(*) FROM identity_event WHERE kind = 'record.updated'": messages // 2,
        "SELECT count(*) FROM audit_event WHERE transaction = 'ITI-30' AND outcome = 0": messages,
        "SELECT count(*) FROM outbox_event WHERE NOT distributed": 0,
        "SELECT count(*) FROM outbox_delivery WHERE state <> 'delivered'": 0,
        (
            "SELECT count(*) FROM outbox_event e WHERE payload->>'records' LIKE '%ROANNE%'"
            " AND NOT EXISTS (SELECT 1 FROM outbox_delivery d WHERE d.event_id = e.id AND d.state = 'delivered')"
        ): 0,
    }
    with EmbeddedPostgres(folder) as postgres:
        engine = create_engine(postgres.url("traitdunion"))
        with engine.connect() as connection:
            found = invariants.violations(connection)
            for statement, expected in wanted.items():
                value = connection.execute(text(statement)).scalar()
                if value != expected:
                    found.append(f"{statement}: {value} instead of {expected}")
        engine.dispose()
    return found

"""The service in two processes: each has its share of the connections, and both end when they are told."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import hl7.client
import httpx
import pytest

from tests.service_process import ServiceProcess

CONNECTIONS = 12


@pytest.fixture
def service(database_url, tmp_path):
    service = ServiceProcess(tmp_path / "data", database_url, workers=2)
    service.start()
    yield service
    service.end(signal.SIGKILL)


def shares(service, port):
    """How many connections on a port each process of the service holds."""
    taken = {
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port:04X}") and fields[3] == "01"
    }
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    held = []
    for child in children:
        targets = [str(file.readlink()) for file in Path(f"/proc/{child}/fd").iterdir()]
        held.append(sum(f"socket:[{inode}]" in targets for inode in taken))
    return [each for each in held if each]


def wait_for_both(service):
    """It is ready as soon as one of its processes is."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with ExitStack() as opened:
            for _ in range(4):
                opened.enter_context(httpx.Client(base_url=service.address)).get("/health/ready")
            if len(shares(service, service.ports[0])) == 2:
                return
        time.sleep(0.2)
    raise AssertionError("only one process serves")


def test_connections_are_shared_out_on_both_wires_and_all_are_served(service):
    wait_for_both(service)
    with ExitStack() as opened:
        clients = [opened.enter_context(httpx.Client(base_url=service.address)) for _ in range(CONNECTIONS)]
        for _ in range(2):
            assert [client.get("/health/ready").status_code for client in clients] == [200] * CONNECTIONS
        senders = [opened.enter_context(hl7.client.MLLPClient("127.0.0.1", service.ports[1])) for _ in clients]
        for sender in senders:
            message = b"MSH|^~\\&|A|B|C|D|20260115||QBP^Q23^QBP_Q21|1|P|2.5\rQPD|IHE PIX Query|1|1^^^&1.2&ISO\rRCP|I\r"
            assert b"MSA|AE|1" in sender.send_message(message)
        for port in service.ports:
            found = shares(service, port)
            assert sum(found) == CONNECTIONS
            assert len(found) == 2, "one process has them all"
            assert min(found) >= CONNECTIONS // 3


def test_it_ends_when_told_and_then_refuses(service):
    with httpx.Client(base_url=service.address) as idle:
        assert idle.get("/health/ready").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
    for port in service.ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)

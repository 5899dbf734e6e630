"""The service as a process of its own, to be killed and started again."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import hl7
import httpx
from hl7.client import MLLPClient

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class ServiceProcess:
    """The service as a process.

    Attributes:
        database_url: ``None`` for an embedded database in ``folder``.
        folder: its data folder, and where it works.
        settings: further settings, by their name without prefix.
        variables: of the environment of the service, and of nobody else.
    """

    folder: Path
    database_url: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    workers: int = 1
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """Of the service and of commands beside it."""
        found = {name: value for name, value in os.environ.items() if not name.startswith("TRAITDUNION_")}
        found |= {
            "PYTHONPATH": str(ROOT),
            "TRAITDUNION_DATA_DIR": str(self.folder),
            "TRAITDUNION_LOG_LEVEL": "error",
        }
        if self.database_url is not None:
            found["TRAITDUNION_DATABASE_URL"] = self.database_url
        return found | {f"TRAITDUNION_{name.upper()}": value for name, value in self.settings.items()}

    def command(self, *arguments: str | Path) -> list[str]:
        """``traitdunion`` with these arguments."""
        return [sys.executable, "-c", "from region.cli import main; main()", *map(str, arguments)]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """A command beside the service, to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self) -> None:
        log = (self.folder.parent / "service.log").open("ab")
        arguments = ["serve", "--port", self.ports[0], "--mllp-port", self.ports[1], "--workers", self.workers]
        self.process = subprocess.Popen(
            self.command(*map(str, arguments)),
            env=self.environment | self.variables,
            cwd=self.folder.parent,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder.parent / "service.log").read_text()[-2000:]
            try:
                if httpx.get(f"{self.address}/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the service did not become ready")

    def end(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.killpg(self.process.pid, number)
            self.process.wait(30)
            self.process = None
            self._await_free_ports()

    def _await_free_ports(self) -> None:
        """Its children may outlive it for a moment, and hold the ports."""
        deadline = time.monotonic() + 30
        for port in self.ports:
            while _is_taken(port):
                assert time.monotonic() < deadline, f"port {port} stays taken"
                time.sleep(0.02)

    def peak_bytes(self) -> int:
        """Largest resident size so far, of the process and its children."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return max(_peak(pid) for pid in found)

    def feed(self, local_id: str, authority: str, pid_5: str = "EXEMPLE^MARIE^MARIE^^^^L") -> None:
        """One patient of CHUSE, acknowledged.

        Args:
            authority: OID of the domain of CHUSE.
        """
        message = (
            "MSH|^~\\&|TEST|TEST|IPR|REGION|20260115101500+0100||ADT^A28^ADT_A05|"
            f"C-{local_id}|T|2.5^FRA^2.11|||||FRA|UNICODE UTF-8\r"
            "EVN||20260115101500+0100||||20260115101400+0100\r"
            f"PID|1||{local_id}^^^CHUSE&{authority}&ISO^PI||{pid_5}||19480317|F||||||||||||||||||||||||VALI\r"
        )
        with MLLPClient("127.0.0.1", self.ports[1]) as mllp:
            assert str(hl7.parse(mllp.send_message(message).decode()).segment("MSA")[1]) == "AA"


def started_by(pid: int) -> list[int]:
    """The processes of the service that one of it has started, whatever thread of it did."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(each) for task in tasks for each in (task / "children").read_text().split()]
    return [each for each in children if "spawn_main" in Path(f"/proc/{each}/cmdline").read_text()]


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0

"""A whole service on free ports of this machine, over a database of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from region.bootstrap import Service, build_service
from region.region_table import RegionTable, load_region
from region.server import Listening, http_app
from tests.ports import free_port
from xds.store.content import DiskContent

REGION = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"


@dataclass(frozen=True)
class Running:
    """A service that listens."""

    host: str
    http_port: int
    mllp_port: int
    table: RegionTable
    service: Service

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.http_port}"


@contextmanager
def serving(database_url: str, table: RegionTable, documents: Path, **wiring: Any) -> Iterator[Running]:
    """A service over a database, while the block runs; ``wiring`` goes to :func:`region.bootstrap.build_service`."""
    service = build_service(database_url, table, DiskContent(documents), **wiring)
    listening = Listening("127.0.0.1", free_port(), free_port(), threads=8)
    config = uvicorn.Config(
        http_app(service, listening), host="127.0.0.1", port=listening.http_port, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    found = Running("127.0.0.1", listening.http_port, listening.mllp_port, table, service)
    try:
        _wait_until_ready(found.base_url)
        yield found
    finally:
        server.should_exit = True
        thread.join(20)
        service.close()


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Running]:
    """A service with nothing in it."""
    with serving(database_url, load_region(REGION), tmp_path / "documents") as found:
        yield found


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Callable[[RegionTable], AbstractContextManager[Running]]:
    """Starts a service for another table of domains."""
    return lambda table: serving(database_url, table, tmp_path / "documents")


def _wait_until_ready(base_url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{base_url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the service did not become ready")

"""A workbench on a free port of this machine, whose invented people log in by a click."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from region.bootstrap import Service, build_service
from region.region_table import load_region
from region.server import Listening, bind, listener_of
from web.application import Workbench
from web.oidc import OidcClient
from web.people import load_people
from xds.store.content import DiskContent

_FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


@contextmanager
def demonstration(
    database_url: str, documents: Path, *, clicks: bool = True, oidc: OidcClient | None = None, **more: Any
) -> Iterator[tuple[str, Service]]:
    """Its address and the service, while the block runs."""
    table = load_region(_FIXTURES / "region.toml")
    workbench = Workbench(
        region=table.name,
        site_names={domain.code: domain.name for domain in table},
        site_finess={domain.code: domain.finess for domain in table if domain.finess},
        people=load_people(_FIXTURES / "people.toml", [domain.code for domain in table]),
        oidc=oidc,
        demo_login=clicks,
    )
    service = build_service(database_url, table, DiskContent(documents), workbench=workbench, **more)
    listening = Listening("127.0.0.1", 0, 0, threads=4)
    bound = bind(listening)
    ready = threading.Event()
    server: uvicorn.Server = listener_of(service, listening, ready.set)
    thread = threading.Thread(target=lambda: server.run(sockets=[bound]), daemon=True)
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}", service
    server.should_exit = True
    thread.join(20)
    service.close()


def enter(client: httpx.Client, subject: str) -> httpx.Response:
    """Log in by a click."""
    answer = client.post("/login/demo", data={"subject": subject})
    assert answer.status_code == 303, answer.text
    return answer

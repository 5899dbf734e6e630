"""A whole service with mutual TLS on both listeners, and its partners with certificates of a throw-away authority."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from region.access_settings import access, server_tls
from region.bootstrap import Service, build_service
from region.pki import DemonstrationAuthority
from region.region_table import RegionTable, load_region
from region.server import Listening, bind, listener_of
from region.settings import Settings
from tests.ports import free_port
from xds.domain.value_sets import ValueSets
from xds.store.content import DiskContent

REGION = Path(__file__).resolve().parents[1] / "fixtures" / "region.toml"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Secured:
    """A service that listens, and the folder of its certificates."""

    http_port: int
    mllp_port: int
    folder: Path
    service: Service
    table: RegionTable

    @property
    def base_url(self) -> str:
        return f"https://{HOST}:{self.http_port}"

    @property
    def authority(self) -> DemonstrationAuthority:
        return DemonstrationAuthority.of(self.folder)

    def tls(self, name: str | None) -> ssl.SSLContext:
        """What a partner connects with; ``None`` is one without a certificate."""
        context = ssl.create_default_context(cafile=self.folder / "authority.pem")
        if name is not None:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def client(self, name: str | None, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.base_url, verify=self.tls(name), timeout=20, **options)

    @contextmanager
    def mllp(self, name: str) -> Iterator[MllpPartner]:
        with (
            socket.create_connection((HOST, self.mllp_port), timeout=20) as plain,
            self.tls(name).wrap_socket(plain, server_hostname=HOST) as connection,
        ):
            yield MllpPartner(connection)


class MllpPartner:
    """One MLLP connection over TLS."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, message: str) -> str:
        """The answer; an empty one when the connection is closed instead."""
        self._connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            piece = self._connection.recv(65536)
            if not piece:
                return ""
            answer += piece
        return answer.strip(b"\x0b\x1c\r").decode()


@contextmanager
def secured(
    database_url: str,
    folder: Path,
    clients: Sequence[str] = (),
    nodes: str = "",
    value_sets: ValueSets | None = None,
    **settings: Any,
) -> Iterator[Secured]:
    """A service over a database while the block runs.

    Args:
        folder: for certificates and documents.
        clients: names of the client certificates made.
        nodes: further ``[[node]]`` rows of the region's table.
        value_sets: codes of the affinity domain; by default the French ones.
        settings: further settings.
    """
    certificates = folder / "certificates"
    authority = DemonstrationAuthority.create(certificates)
    authority.issue_server(HOST)
    for name in clients:
        authority.issue_client(name)
    file = folder / "region.toml"
    file.write_text(f"{REGION.read_text()}\n{nodes}")
    table = load_region(file)
    chosen = Settings(
        region_table=file,
        tls_certificate=certificates / "server.pem",
        tls_key=certificates / "server.key",
        tls_authorities=certificates / "authority.pem",
        tls_revoked=certificates / "revoked.pem",
        **settings,
    )
    content = DiskContent(folder / "documents")
    service = build_service(database_url, table, content, access=access(chosen, table), value_sets=value_sets)
    tls = server_tls(chosen)
    listening = Listening(
        HOST,
        free_port(),
        free_port(),
        threads=4,
        http_tls=None if chosen.trusted_proxies else tls,
        mllp_tls=tls,
    )
    ready = threading.Event()
    server = listener_of(service, listening, ready.set)
    thread = threading.Thread(target=server.run, args=([bind(listening)],), daemon=True)
    thread.start()
    try:
        assert ready.wait(30), "the service did not become ready"
        yield Secured(listening.http_port, listening.mllp_port, certificates, service, table)
    finally:
        server.should_exit = True
        thread.join(20)
        service.close()

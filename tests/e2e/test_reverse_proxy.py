"""The service behind nginx with the configuration of docker/: whose certificate counts, and who may say so."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from sqlalchemy import text

from tests.ports import free_port
from tests.secured_region import HOST, Secured, secured
from tests.vouchers import (
    AUDIENCE,
    HOLDER_OF_KEY,
    AuthorizationServer,
    SecurityTokenService,
    held_by,
    write_issuers,
)

CONFIGURATION = Path(__file__).resolve().parents[2] / "docker" / "nginx.conf"
SERVICE = SecurityTokenService()
pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


def configured(region: Secured, port: int, folder: Path) -> Path:
    """The configuration of the composition, for this machine; MLLP does not go through its HTTP part."""
    content = CONFIGURATION.read_text().partition("\nstream {")[0]
    for theirs, ours in (
        ("service:8080", f"{HOST}:{region.http_port}"),
        ("listen 8443 ssl", f"listen {HOST}:{port} ssl"),
        ("/etc/traitdunion/certificates", str(region.folder)),
        ("/dev/stdout", str(folder / "access.log")),
        ("/dev/stderr", str(folder / "error.log")),
    ):
        assert theirs in content
        content = content.replace(theirs, ours)
    content = re.sub(r"/tmp/(?=[a-z.]+;)", f"{folder}/", content)
    file = folder / "nginx.conf"
    file.write_text(content.replace("worker_processes auto;", "worker_processes 1;\nuser root;", 1))
    return file


@pytest.fixture(scope="module")
def proxied(module_database_url, tmp_path_factory) -> Iterator[tuple[Secured, str]]:
    folder = tmp_path_factory.mktemp("proxied")
    table = write_issuers(folder / "issuers", SERVICE, AuthorizationServer())
    options = {"trusted_proxies": HOST, "issuers_table": table, "audiences": (AUDIENCE,)}
    with secured(module_database_url, folder, ["CHUSE", "ROANNE", "ICL"], **options) as region:
        port = free_port()
        file = configured(region, port, folder)
        command = ["nginx", "-c", str(file), "-p", str(folder), "-g", "daemon off;"]
        proxy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            address = f"https://{HOST}:{port}"
            deadline = time.monotonic() + 10
            while not answers(region, address):
                assert proxy.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield region, address
        finally:
            proxy.terminate()
            proxy.wait(10)


def answers(region: Secured, address: str) -> bool:
    with suppress(httpx.TransportError):
        return get(region, address, "CHUSE", "/health/live").status_code == 200
    return False


def get(
    region: Secured, address: str, name: str | None, path: str = "/fhir/metadata", **headers: str
) -> httpx.Response:
    with httpx.Client(verify=region.tls(name), timeout=20) as client:
        return client.get(address + path, headers={key.replace("_", "-"): value for key, value in headers.items()})


def last_node(region: Secured) -> str:
    with region.service.engine.connect() as connection:
        statement = text("SELECT node FROM audit_event WHERE transaction = 'TDU-9' ORDER BY at DESC, id DESC LIMIT 1")
        return connection.execute(statement).scalar_one()


def test_the_certificate_that_the_proxy_verified_names_the_node(proxied):
    region, address = proxied
    for name in ("CHUSE", "ROANNE"):
        assert get(region, address, name).status_code == 200
        assert last_node(region) == f"{name.lower()}.example"


def test_a_certificate_that_a_client_names_is_overwritten(proxied):
    region, address = proxied
    others = quote((region.folder / "ROANNE.pem").read_text())
    assert get(region, address, "CHUSE", x_client_certificate=others).status_code == 200
    assert last_node(region) == "chuse.example"


def test_without_a_certificate_the_proxy_answers_nothing_of_the_service(proxied):
    region, address = proxied
    assert get(region, address, None).status_code == 400
    others = quote((region.folder / "ROANNE.pem").read_text())
    assert get(region, address, None, x_client_certificate=others).status_code == 400


def test_a_key_is_held_behind_the_proxy_too(proxied):
    region, address = proxied
    certificate = x509.load_pem_x509_certificate((region.folder / "CHUSE.pem").read_bytes())
    header = SERVICE.header(method=HOLDER_OF_KEY, confirmation=held_by(certificate))
    message = (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f"<e:Header><a:Action>urn:ihe:iti:2007:RegistryStoredQuery</a:Action>{header}</e:Header><e:Body>"
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"/></e:Body></e:Envelope>'
    )
    for name, is_refused in (("CHUSE", False), ("ROANNE", True)):
        with httpx.Client(verify=region.tls(name), timeout=20) as client:
            answer = client.post(
                f"{address}/ihe/registry", content=message, headers={"content-type": "application/soap+xml"}
            )
        assert ("InvalidSecurityToken" in answer.text) is is_refused, answer.text


def test_a_revoked_certificate_is_refused_behind_the_proxy_too(proxied):
    region, address = proxied
    assert get(region, address, "ICL").status_code == 200
    region.authority.revoke("ICL")
    deadline = time.monotonic() + 10
    while get(region, address, "ICL").status_code != 401:
        assert time.monotonic() < deadline, "a revoked certificate is still let in"
        time.sleep(0.2)
    assert get(region, address, "CHUSE").status_code == 200

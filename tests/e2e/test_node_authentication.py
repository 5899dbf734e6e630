"""Mutual TLS on both listeners, as openssl sees it, and what a certificate stands for (ITI-19)."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from fhir.resources.R4B.auditevent import AuditEvent as FhirAuditEvent
from lxml import etree
from sqlalchemy import text
from typer.testing import CliRunner

from ihe.audit import AuditEvent
from ihe.audit_message import audit_message
from ihe.fhir.audit_event import audit_event
from ihe.store import audit_search
from ihe.store.audit_search import AuditSearch
from region.access_settings import AccessFault, access, server_tls
from region.cli import app
from region.pki import DemonstrationAuthority
from region.region_table import load_region
from region.settings import Settings
from tests.secured_region import HOST, REGION, Secured, secured

OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
RNG = Path(__file__).parents[1] / "unit" / "ihe" / "audit_message.rng"
CLIENTS = ("CHUSE", "ROANNE", "ICL", "GIER", "STRANGER")
_numbers = count(1)


@pytest.fixture(scope="module")
def region(module_database_url, tmp_path_factory):
    with secured(module_database_url, tmp_path_factory.mktemp("secured"), CLIENTS) as found:
        yield found


def adt(region: Secured, sender: str, domain: str, local_id: str = "N1") -> str:
    authority = region.table.by_code(domain).authority
    return (
        f"MSH|^~\\&|{sender}|IPR|R|20260115||ADT^A28^ADT_A05|T{next(_numbers)}|P|2.5\rEVN||20260115\r"
        f"PID|1||{local_id}^^^{authority.namespace}&{authority.oid}&ISO^PI||EXEMPLE^MARIE^^^^^L||19480317|F\r"
    )


def s_client(region: Secured, port: int, *options: str, certificate: str | None = "CHUSE", sent: bytes = b"") -> str:
    """What ``openssl s_client`` says and gets."""
    shown = (
        ["-cert", region.folder / f"{certificate}.pem", "-key", region.folder / f"{certificate}.key"]
        if certificate
        else []
    )
    command = ["openssl", "s_client", "-connect", f"{HOST}:{port}", "-CAfile", region.folder / "authority.pem"]
    done = subprocess.run(
        [*command, *shown, "-ign_eof", *options], input=sent, capture_output=True, check=False, timeout=30
    )
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def ports(region: Secured) -> dict[int, bytes]:
    """Each listener with a request that it answers."""
    return {
        region.http_port: b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        region.mllp_port: b"\x0b" + adt(region, "GAM|CHUSE", "CHUSE").encode() + b"\x1c\r",
    }


def is_answered(said: str) -> bool:
    return "HTTP/1.1" in said or "MSA|" in said


def is_refused_by_server(said: str) -> bool:
    """Whether a client that was willing, and said so, got no common cipher."""
    greeting = re.search(r"written (\d+) bytes", said)
    return "Cipher is (NONE)" in said and greeting is not None and int(greeting[1]) > 0 and not is_answered(said)


@OPENSSL
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_present_protocols_are_served(region, version):
    with region.client("CHUSE") as client:
        assert client.get("/health/live").status_code == 200
    with region.mllp("CHUSE") as partner:
        assert "MSA|AA" in partner.ask(adt(region, "GAM|CHUSE", "CHUSE"))
    for port in ports(region):
        said = s_client(region, port, version, "-brief", "-no_ign_eof", sent=b"Q\n")
        assert "CONNECTION ESTABLISHED" in said
        assert "Verification: OK" in said


@OPENSSL
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_protocols_are_refused_by_the_server(region, version):
    for port, request in ports(region).items():
        said = s_client(region, port, version, "-cipher", "ALL:@SECLEVEL=0", sent=request)
        assert is_refused_by_server(said), said[-500:]


@OPENSSL
@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "NULL", "ECDHE-ECDSA-AES128-SHA256"]
)
def test_ciphers_without_forward_secrecy_or_integrity_are_refused_by_the_server(region, cipher):
    for port, request in ports(region).items():
        said = s_client(region, port, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0", sent=request)
        assert is_refused_by_server(said), said[-500:]


@OPENSSL
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_nothing_is_answered_without_a_certificate(region, version):
    for port, request in ports(region).items():
        assert not is_answered(s_client(region, port, version, certificate=None, sent=request))


@OPENSSL
def test_a_certificate_of_another_authority_is_refused(region, tmp_path):
    other = DemonstrationAuthority.create(tmp_path / "other")
    other.issue_client("CHUSE")
    shown = ["-cert", str(tmp_path / "other" / "CHUSE.pem"), "-key", str(tmp_path / "other" / "CHUSE.key")]
    for port, request in ports(region).items():
        said = s_client(region, port, *shown, certificate=None, sent=request)
        assert not is_answered(said)


def test_plain_text_is_not_answered(region):
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{HOST}:{region.http_port}/health/live")


def test_a_certificate_of_the_authority_that_is_no_node_is_refused_and_audited(region):
    with region.client("STRANGER") as client:
        answer = client.get("/fhir/Patient", params={"identifier": "x|1"})
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (401, "login")
    with region.mllp("STRANGER") as partner:
        assert "MSA|AR" in partner.ask(adt(region, "GAM|CHUSE", "CHUSE"))
    with region.service.engine.connect() as connection:
        found = connection.execute(text("SELECT outcome FROM audit_event WHERE reason = 'NotAuthenticated'")).scalars()
        assert set(found) == {8}


def alerts(region: Secured) -> list[AuditEvent]:
    with region.service.engine.connect() as connection:
        found = audit_search.find(connection, AuditSearch(transactions=("110126",)), 100)
    return [event for _, event in found]


@pytest.mark.parametrize("listener", ["http", "mllp"])
def test_a_handshake_that_fails_is_a_security_alert(database_url, tmp_path, listener):
    with secured(database_url, tmp_path) as region:
        port = region.http_port if listener == "http" else region.mllp_port
        for _ in range(3):
            with (
                suppress(OSError),
                socket.create_connection((HOST, port), timeout=20) as plain,
                region.tls(None).wrap_socket(plain, server_hostname=HOST) as nameless,
            ):
                nameless.recv(1)
        deadline = time.monotonic() + 20
        while not alerts(region):
            assert time.monotonic() < deadline, "nothing was audited"
            time.sleep(0.1)
        (event,) = alerts(region)  # the others of this minute are told together
        assert (event.node, event.reason) == (HOST, "NodeAuthenticationFailure")
        message = etree.fromstring(audit_message(event, region.service.mpi.audit_source))
        etree.RelaxNG(etree.parse(RNG)).assertValid(message)
        codes = [message.find(f"EventIdentification/{each}").get("csd-code") for each in ("EventID", "EventTypeCode")]
        assert codes == ["110113", "110126"]
        asked = {each.get("UserID"): each.get("UserIsRequestor") for each in message.iterfind("ActiveParticipant")}
        assert asked == {HOST: "false", "traitdunion": "true"}
        subject = message.find("ParticipantObjectIdentification")
        assert subject.get("ParticipantObjectID") == HOST
        assert subject.find("ParticipantObjectIDTypeCode").get("csd-code") == "110182"
        FhirAuditEvent.model_validate(audit_event(1, event, region.service.mpi.audit_source))


def test_what_comes_in_one_piece_with_the_end_of_the_handshake_is_answered(region):
    """A client of TLS 1.3 may send its request right behind its last message of the handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = region.tls("CHUSE").wrap_bio(incoming, outgoing, server_hostname=HOST)
    with socket.create_connection((HOST, region.http_port), timeout=20) as plain:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))
        client.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.sendall(outgoing.read())
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200"):
            incoming.write(plain.recv(65536))
            with suppress(ssl.SSLWantReadError):
                answer += client.read()


def test_the_certificate_names_node_and_site(region):
    with region.mllp("ROANNE") as partner:
        assert "MSA|AA" in partner.ask(adt(region, "DPI|ROANNE", "ROANNE"))
    with region.service.engine.connect() as connection:
        row = connection.execute(
            text("SELECT node, site FROM audit_event WHERE transaction = 'ITI-30' AND site = 'ROANNE'")
        ).one()
        assert tuple(row) == ("roanne.example", "ROANNE")


@pytest.mark.parametrize(("sender", "domain"), [("GAM|CHUSE", "CHUSE"), ("X|Y", "ROANNE"), ("DPI|ROANNE", "CHUSE")])
def test_a_node_sends_for_its_own_application_and_domain_only(region, sender, domain):
    with region.mllp("ROANNE") as partner:
        answer = partner.ask(adt(region, sender, domain, "FOREIGN"))
        assert "MSA|AR" in answer
    with region.service.engine.connect() as connection:
        statement = text("SELECT count(*) FROM record WHERE local_id = 'FOREIGN'")
        assert connection.execute(statement).scalar_one() == 0
        refused = connection.execute(text("SELECT DISTINCT node FROM audit_event WHERE reason = 'AccessDenied'"))
        assert refused.scalars().all() == ["roanne.example"]


def is_let_in(region: Secured, name: str) -> bool:
    try:
        with region.client(name) as client:
            client.get("/fhir/metadata")
    except (httpx.TransportError, ssl.SSLError):
        return False
    return True


def test_a_revoked_certificate_is_refused_within_seconds_also_on_a_connection_that_stands(region):
    with region.mllp("ICL") as standing, region.client("ICL") as client:
        message = adt(region, "GAM|ICL", "ICL")
        assert "MSA|AA" in standing.ask(message)
        assert client.get("/fhir/metadata").status_code == 200
        region.authority.revoke("ICL")
        deadline = time.monotonic() + 20
        while "MSA|AA" in standing.ask(message):
            assert time.monotonic() < deadline, "a revoked certificate is still let in"
            time.sleep(0.2)
        assert client.get("/fhir/metadata").status_code == 401
    while is_let_in(region, "ICL"):
        assert time.monotonic() < deadline, "a revoked certificate gets through the handshake"
        time.sleep(0.2)
    with region.client("CHUSE") as client:
        assert client.get("/fhir/metadata").status_code == 200


def server_certificate(region: Secured) -> bytes:
    with suppress(OSError):
        return ssl.get_server_certificate((HOST, region.mllp_port)).encode()
    return b""


def test_a_renewed_certificate_is_shown_and_connections_that_stand_are_kept(region):
    with region.mllp("CHUSE") as standing:
        message = adt(region, "GAM|CHUSE", "CHUSE")
        assert "MSA|AA" in standing.ask(message)
        region.authority.issue_server(HOST)
        wanted = (region.folder / "server.pem").read_bytes().strip()
        deadline = time.monotonic() + 20
        while server_certificate(region).strip() != wanted:
            assert time.monotonic() < deadline, "the new certificate is not shown"
            time.sleep(0.2)
        assert "MSA|AA" in standing.ask(message)


def test_files_that_cannot_be_used_leave_things_as_they_were(region):
    file = region.folder / "revoked.pem"
    content = file.read_bytes()
    try:
        file.write_text("no list")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with region.client("GIER") as client:
                assert client.get("/fhir/metadata").status_code == 200
            time.sleep(0.5)
    finally:
        file.write_bytes(content)


def test_figures_are_for_operators(region):
    with region.client("CHUSE") as client:
        assert client.get("/metrics").status_code == 403
        assert client.get("/health/ready").status_code == 200


def test_a_forwarded_certificate_counts_from_a_trusted_proxy_only(database_url, tmp_path):
    with secured(database_url, tmp_path, ["CHUSE"], trusted_proxies="127.0.0.1") as region:
        plain = f"http://{HOST}:{region.http_port}/fhir/metadata"
        forwarded = quote((region.folder / "CHUSE.pem").read_text())
        assert httpx.get(plain).status_code == 401
        assert httpx.get(plain, headers={"X-Client-Certificate": "nonsense"}).status_code == 401
        assert httpx.get(plain, headers={"X-Client-Certificate": forwarded}).status_code == 200
        with region.mllp("CHUSE") as partner:
            assert "MSA|AA" in partner.ask(adt(region, "GAM|CHUSE", "CHUSE"))
    other = tmp_path / "other"
    other.mkdir()
    with secured(database_url, other, ["CHUSE"], trusted_proxies="192.0.2.0/24") as region:
        plain = f"http://{HOST}:{region.http_port}/fhir/metadata"
        forwarded = quote((region.folder / "CHUSE.pem").read_text())
        assert httpx.get(plain, headers={"X-Client-Certificate": forwarded}).status_code == 401


def test_without_tls_the_service_listens_on_loopback_only(tmp_path):
    assert server_tls(Settings(http_host="127.0.0.1")) is None
    for wrong in (
        {"http_host": "0.0.0.0"},
        {"tls_certificate": tmp_path / "none.pem"},
        {"tls_certificate": tmp_path / "a", "tls_key": tmp_path / "b", "tls_authorities": tmp_path / "c"},
    ):
        with pytest.raises(AccessFault):
            server_tls(Settings(**wrong))
    with pytest.raises(AccessFault):
        access(Settings(trusted_proxies="nowhere"), load_region(REGION))


def test_pki_demo_makes_certificates_of_the_nodes_of_the_table(tmp_path: Path):
    runner = CliRunner()
    folder = str(tmp_path / "pki")
    done = runner.invoke(app, ["pki", "demo", folder])
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 4
    names = {path.stem for path in (tmp_path / "pki").glob("*.pem")} - {"authority", "server", "revoked"}
    assert len(names) == REGION.read_text().count("[[node]]\n")
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "pki").glob("*.key"))
    assert runner.invoke(app, ["pki", "revoke", folder, "ICL"]).exit_code == 0

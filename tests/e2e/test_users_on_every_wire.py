"""Users behind systems: assertions on SOAP, tokens on FHIR, DICOMweb and JSON; over TLS, as partners see it."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree
from sqlalchemy import text

from region.access_settings import AccessFault, access
from region.region_table import load_region
from region.settings import Settings, SettingsError, load_settings
from tests.secured_region import REGION, Secured, secured
from tests.vouchers import (
    AUDIENCE,
    AUTHORIZATION_SERVER,
    HOLDER_OF_KEY,
    PROFESSION,
    PURPOSE,
    STS,
    AuthorizationServer,
    SecurityTokenService,
    attribute,
    coded,
    held_by,
    write_issuers,
)

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
SERVICE, SERVER = SecurityTokenService(), AuthorizationServer()
FOREIGN = SecurityTokenService("CN=ICL,OU=ICL,O=Trait d'Union")
USER = f"<899700000011@{STS}>"
FIND = (
    '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"'
    ' xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><q:ResponseOption returnType="ObjectRef"'
    ' returnComposedObjects="true"/><r:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">'
    "<r:Slot name=\"$XDSDocumentEntryPatientId\"><r:ValueList><r:Value>'{patient}'</r:Value></r:ValueList></r:Slot>"
    '<r:Slot name="$XDSDocumentEntryStatus"><r:ValueList><r:Value>'
    "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')</r:Value></r:ValueList></r:Slot></r:AdhocQuery>"
    "</q:AdhocQueryRequest>"
)


@pytest.fixture(scope="module")
def region(module_database_url, tmp_path_factory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("users")
    table = write_issuers(folder / "issuers", SERVICE, SERVER)
    certificate = FOREIGN.certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "issuers" / "icl.pem").write_bytes(certificate)
    with table.open("a") as more:
        more.write(f'\n[[saml]]\nissuer = "{FOREIGN.name}"\ncertificates = ["icl.pem"]\nsites = ["ICL"]\n')
    options = {
        "issuers_table": table,
        "audiences": (AUDIENCE,),
        "users_required": ("system:/dicom-web", "/ihe/xca", "/fhir/List"),
    }
    with secured(module_database_url, folder, ["CHUSE", "ROANNE", "ICL"], **options) as found:
        with found.mllp("CHUSE") as partner:
            authority = found.table.by_code("CHUSE").authority
            assert "MSA|AA" in partner.ask(
                "MSH|^~\\&|GAM|CHUSE|IPR|R|20260115||ADT^A28^ADT_A05|U1|P|2.5\rEVN||20260115\r"
                f"PID|1||U1^^^{authority.namespace}&{authority.oid}&ISO^PI||EXEMPLE^MARIE^^^^^L||19480317|F\r"
            )
        yield found


@pytest.fixture
def client(region) -> Iterator[httpx.Client]:
    with region.client("CHUSE") as found:
        yield found


def find(region: Secured, client: httpx.Client, *security: str, path: str = "/ihe/registry") -> etree._Element:
    """The body of the answer to a question with these security headers."""
    patient = f"U1^^^&amp;{region.table.by_code('CHUSE').oid}&amp;ISO"
    action = "RegistryStoredQuery" if path == "/ihe/registry" else "CrossGatewayQuery"
    message = (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f"<e:Header><a:Action>urn:ihe:iti:2007:{action}</a:Action>{''.join(security)}</e:Header>"
        f"<e:Body>{FIND.format(patient=patient)}</e:Body></e:Envelope>"
    )
    answer = client.post(path, content=message, headers={"content-type": "application/soap+xml"})
    return etree.fromstring(answer.content).find(f"{SOAP}Body")[0]


def fault(body: etree._Element) -> str | None:
    return body.findtext(f"{SOAP}Code/{SOAP}Subcode/{SOAP}Value")


def last_event(region: Secured, transaction: str) -> tuple:
    with region.service.engine.connect() as connection:
        statement = text(
            "SELECT node, site, user_id, purpose, reason FROM audit_event WHERE transaction = :number"
            " ORDER BY at DESC, id DESC LIMIT 1"
        )
        return tuple(connection.execute(statement, {"number": transaction}).one())


def test_the_user_of_an_assertion_stands_in_the_audit_trail(region, client):
    said = attribute("role", coded("Role", "10", PROFESSION)) + attribute(
        "purpose", coded("PurposeOfUse", "centre_15", PURPOSE)
    )
    assert fault(find(region, client, SERVICE.header(alias="doctor", attributes=said))) is None
    assert last_event(region, "ITI-18") == ("chuse.example", "CHUSE", f"doctor{USER}", "centre_15", None)
    assert fault(find(region, client)) is None
    assert last_event(region, "ITI-18") == ("chuse.example", "CHUSE", None, "normal", None)


def test_who_sent_an_assertion_that_does_not_hold_is_known(region, client):
    assert fault(find(region, client, SERVICE.header(ends=timedelta(hours=-1)))) == "wsse:InvalidSecurityToken"
    assert last_event(region, "ITI-18") == ("chuse.example", None, None, "normal", "InvalidToken")


def test_roles_purposes_and_sites_that_are_not_known_here_open_nothing(region, client):
    for attributes in (
        attribute("role", coded("Role", "HCP", "2.25.99")),
        "",
        attribute("role", coded("Role", "10", PROFESSION))
        + attribute("purpose", coded("PurposeOfUse", "LAWENF", "2.25.9")),
        attribute("role", coded("Role", "10", PROFESSION)) + attribute("Identifiant_Structure", "ROANNE"),
    ):
        assert fault(find(region, client, SERVICE.header(attributes=attributes))) == "wsse:FailedCheck"
        node, _, _, _, reason = last_event(region, "ITI-18")
        assert (node, reason) == ("chuse.example", "AccessDenied")


def test_an_issuer_speaks_for_the_users_of_its_sites(region, client):
    assert fault(find(region, client, FOREIGN.header())) == "wsse:FailedCheck"
    with region.client("ICL") as icl:
        assert fault(find(region, icl, FOREIGN.header())) is None
        assert last_event(region, "ITI-18")[:3] == ("icl.example", "ICL", f"<899700000011@{FOREIGN.name}>")


def test_an_assertion_that_counts_once_counts_once(region, client):
    once = SERVICE.header(id="_once", conditions="<saml:OneTimeUse/>")
    assert fault(find(region, client, once)) is None
    for _ in range(2):
        assert fault(find(region, client, once)) == "wsse:InvalidSecurityToken"
    twice = SERVICE.header(id="_twice")
    assert [fault(find(region, client, twice)) for _ in range(2)] == [None, None]


def test_a_holder_of_a_key_is_the_one_who_connects_with_it(region, client):
    certificate = x509.load_pem_x509_certificate((region.folder / "CHUSE.pem").read_bytes())
    header = SERVICE.header(method=HOLDER_OF_KEY, confirmation=held_by(certificate))
    assert fault(find(region, client, header)) is None
    with region.client("ROANNE") as thief:
        assert fault(find(region, thief, header)) == "wsse:InvalidSecurityToken"


def test_two_security_headers_are_one_too_many(region, client):
    assert fault(find(region, client, SERVICE.header(), SERVICE.header(id="_b"))) == "wsse:InvalidSecurityToken"
    empty = '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"/>'
    assert fault(find(region, client, empty, SERVICE.header())) is None
    assert last_event(region, "ITI-18")[2] == USER


def test_where_a_user_is_required_no_system_acts_by_itself(region, client):
    assert fault(find(region, client, path="/ihe/xca")) == "wsse:FailedAuthentication"
    assert fault(find(region, client, SERVICE.header(), path="/ihe/xca")) is None
    answer = client.get("/dicom-web/studies")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="traitdunion"')
    assert client.get("/fhir/List").status_code == 401
    assert client.get("/fhir/Patient", params={"identifier": "x|1"}).status_code != 401
    by_itself = {"authorization": f"Bearer {SERVER.token(sub='viewer', extensions=None, scope='ITI-66')}"}
    assert client.get("/fhir/List", headers=by_itself).status_code == 401
    assert client.get("/fhir/metadata").status_code == 200


def bearer(**changes) -> dict[str, str]:
    return {"authorization": f"Bearer {SERVER.token(**changes)}"}


def test_the_user_of_a_token_stands_in_the_audit_trail(region, client):
    answer = client.get("/fhir/Patient", params={"family": "EXEMPLE"}, headers=bearer())
    assert answer.status_code == 200, answer.text
    assert last_event(region, "ITI-78") == (
        "chuse.example",
        "CHUSE",
        f"<899700000011@{AUTHORIZATION_SERVER}>",
        "normal",
        None,
    )


@pytest.mark.parametrize(
    "changes",
    [{"exp": int(time.time()) - 600}, {"aud": "https://elsewhere.example"}, {"iss": "https://unknown.example"}],
)
@pytest.mark.parametrize("path", ["/fhir/Patient?family=EXEMPLE", "/dicom-web/studies", "/priors", "/api/summary"])
def test_a_token_that_does_not_hold_is_answered_in_the_form_of_each_wire(client, path, changes):
    answer = client.get(path, headers=bearer(**changes))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="traitdunion", error="invalid_token", error_des')
    if path.startswith("/fhir"):
        assert answer.json()["issue"][0]["code"] == "login"
    else:
        assert answer.headers["content-type"] == "application/problem+json"


def test_scopes_open_what_they_name_and_nothing_else(region, client):
    denied = client.get("/fhir/DocumentReference", params={"status": "current"}, headers=bearer(scope="ITI-78"))
    assert (denied.status_code, denied.json()["issue"][0]["code"]) == (403, "forbidden")
    assert 'error="insufficient_scope"' in denied.headers["www-authenticate"]
    for scope in ("user/DocumentReference.rs", "ITI-67", "user/*.read", "system/*.*"):
        answer = client.get("/fhir/DocumentReference", params={"status": "current"}, headers=bearer(scope=scope))
        assert answer.status_code != 403, scope
    for scope in (
        "patient/DocumentReference.rs",
        "user/DocumentReference.r",
        "user/DocumentReference.rs?x=y",
        "openid",
    ):
        answer = client.get("/fhir/DocumentReference", params={"status": "current"}, headers=bearer(scope=scope))
        assert answer.status_code == 403, scope
    assert client.get("/fhir/metadata", headers=bearer(scope="ITI-78")).status_code == 200


def test_a_token_bound_to_a_certificate_counts_on_its_connections_only(region, client):
    shown = x509.load_pem_x509_certificate((region.folder / "CHUSE.pem").read_bytes())
    digest = hashlib.sha256(shown.public_bytes(serialization.Encoding.DER)).digest()
    mine = bearer(cnf={"x5t#S256": base64.urlsafe_b64encode(digest).decode().rstrip("=")})
    assert client.get("/fhir/Patient", params={"family": "EXEMPLE"}, headers=mine).status_code == 200
    with region.client("ROANNE") as thief:
        assert thief.get("/fhir/Patient", params={"family": "EXEMPLE"}, headers=mine).status_code == 401


def test_a_token_in_the_address_is_none(region, client):
    address = {"family": "EXEMPLE", "access_token": SERVER.token()}
    client.get("/fhir/Patient", params=address)
    assert last_event(region, "ITI-78")[2] is None


def test_clients_are_told_where_tokens_come_from(client):
    security = client.get("/fhir/metadata").json()["rest"][0]["security"]
    assert {coding["code"] for service in security["service"] for coding in service["coding"]} == {
        "Certificates",
        "OAuth",
        "SMART-on-FHIR",
    }
    assert security["extension"][0]["extension"] == [{"url": "token", "valueUri": "https://login.example/token"}]
    told = client.get("/fhir/.well-known/smart-configuration").json()
    assert told["issuer"] == AUTHORIZATION_SERVER
    assert told["token_endpoint"] == "https://login.example/token"
    assert {"ITI-67", "user/Patient.rs"} <= set(told["scopes_supported"])


def test_issuers_are_read_anew_when_their_files_change(region, client):
    """An issuer renews its key: the new one is believed within seconds, without a restart."""
    renewed = SecurityTokenService()
    assert fault(find(region, client, renewed.header())) == "wsse:InvalidSecurityToken"
    file = region.folder.parent / "issuers" / "sts.pem"
    both = (renewed.certificate, SERVICE.certificate)
    file.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in both))
    deadline = time.monotonic() + 10
    while fault(find(region, client, renewed.header())) is not None:
        assert time.monotonic() < deadline, "the new certificate is not believed"
        time.sleep(0.2)
    assert fault(find(region, client, SERVICE.header())) is None


@pytest.mark.parametrize(
    "row",
    [
        '[[saml]]\nissuer = "x"',
        '[[saml]]\nissuer = "x"\ncertificates = ["none.pem"]',
        '[[saml]]\nissuer = "x"\ncertificates = ["sts.pem"]\nconfirmations = ["sender-vouches"]',
        '[[saml]]\nissuer = "x"\ncertificates = ["sts.pem"]\nsites = ["NOWHERE"]',
        f'[[saml]]\nissuer = "{STS}"\ncertificates = ["sts.pem"]',
        '[[oauth]]\nissuer = "x"',
        '[[oauth]]\nissuer = "x"\nkeys = "sts.pem"',
        '[[oauth]]\nissuer = "x"\nkeys = "http://elsewhere.example/keys"',
        '[[oauth]]\nissuer = "x"\nkeys = "keys.json"\nalgorithms = ["HS256"]',
        '[[oauth]]\nissuer = "x"\nkeys = "keys.json"\nopaque = true',
        '[[oauth]]\nissuer = "x"\nintrospection = "https://login.example/introspect"',
        '[[oauth]]\nissuer = "x"\nkeys = "keys.json"\nscoped = "no"',
        '[[role]]\nsystem = "1"\nrole = "wizard"',
        '[[purpose]]\ncode = "1"\npurpose = "curiosity"',
        '[[role]]\nsystem = "1"\nrole = "professional"\nmore = 1',
        "[other]",
    ],
)
def test_a_table_of_issuers_that_is_wrong_stops_the_start(tmp_path: Path, row: str):
    table = write_issuers(tmp_path, SERVICE, SERVER, f"\n{row}\n")
    options = {"trusted_proxies": "127.0.0.1", "issuers_table": table, "region_table": REGION}
    with pytest.raises(AccessFault, match=r"issuers.toml"):
        access(Settings(**options, audiences=(AUDIENCE,)), load_region(REGION))


def test_issuers_need_a_name_of_ours(tmp_path: Path):
    table = write_issuers(tmp_path, SERVICE, SERVER)
    with pytest.raises(AccessFault, match="AUDIENCES"):
        access(Settings(trusted_proxies="127.0.0.1", issuers_table=table), load_region(REGION))
    with pytest.raises(SettingsError, match=r"users_required"):
        load_settings(users_required=("everywhere",))

"""Every cell of the authorisation matrix, asked over TLS on each wire; and what a site may write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import httpx
import pytest
import requests
import zeep
from zeep.transports import Transport

from ihe.authorisation import ANYONE, PURPOSES, Reach, read_matrix
from ihe.transaction import Endpoint, Hl7v2Binding, HttpBinding, OutboundBinding, SoapBinding
from region.authorisation import TABLE, load_matrix
from tests.e2e.test_documents_by_zeep import MARIE, SUCCESS, Site
from tests.secured_region import Secured, secured
from tests.vouchers import (
    AUDIENCE,
    PURPOSE,
    AuthorizationServer,
    SecurityTokenService,
    attribute,
    coded,
    write_issuers,
)

MATRIX = load_matrix()
ROLES = [role for role in MATRIX.roles if role != ANYONE]
NOT_THEIRS = "no site for which this system acts"
_numbers = count(1)

NODES = "".join(
    f"""
[[node]]
name = "{role}.of-a-site"
subject = "CN={role}-OF-SITE,OU={role}-OF-SITE,O=Trait d'Union"
sites = ["CHUSE"]
roles = ["{role}"]

[[node]]
name = "{role}.of-none"
subject = "CN={role}-OF-NONE,OU={role}-OF-NONE,O=Trait d'Union"
roles = ["{role}"]
"""
    for role in ROLES
)


STS, SERVER = SecurityTokenService(), AuthorizationServer()
ROLE_SYSTEM = "2.25.1234567"


@pytest.fixture(scope="module")
def region(module_database_url, tmp_path_factory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("matrix")
    clients = ["CHUSE", "ROANNE", *(f"{role}-OF-{place}" for role in ROLES for place in ("SITE", "NONE"))]
    meanings = "".join(f'[[role]]\nsystem = "{ROLE_SYSTEM}"\ncode = "{role}"\nrole = "{role}"\n' for role in ROLES)
    table = write_issuers(folder / "issuers", STS, SERVER, f"scoped = false\n{meanings}")
    options = {"issuers_table": table, "audiences": (AUDIENCE,)}
    with secured(module_database_url, folder, clients, NODES, **options) as found:
        yield found


@dataclass(frozen=True)
class User:
    """Somebody in a role, for a purpose, at a site; says so on each wire.

    Attributes:
        node: the system through which the user comes.
        organisation: code of the user's site, or ``None``.
    """

    role: str
    purpose: str
    node: str
    organisation: str | None = None

    @cached_property
    def security(self) -> str:
        return STS.header(
            attributes=attribute("role", coded("Role", self.role, ROLE_SYSTEM))
            + attribute("purpose", coded("PurposeOfUse", self.purpose, PURPOSE))
            + (attribute("organisation", self.organisation) if self.organisation else "")
        )

    @cached_property
    def headers(self) -> dict[str, str]:
        said = {
            "subject_role": [{"system": ROLE_SYSTEM, "code": self.role}],
            "purpose_of_use": [{"system": PURPOSE, "code": self.purpose}],
            "subject_organization_id": [self.organisation] if self.organisation else [],
        }
        return {"authorization": f"Bearer {SERVER.token(extensions={'ihe_iua': said})}"}


def received(region: Secured) -> list[tuple[Endpoint, Hl7v2Binding | SoapBinding | HttpBinding]]:
    """Each transaction with one binding of each wire, save those that claim messages on bindings of others."""
    found = {}
    for endpoint in region.service.endpoints:
        for binding in endpoint.transaction.bindings:
            if isinstance(binding, Hl7v2Binding | SoapBinding | HttpBinding) and endpoint.claims is None:
                found.setdefault((endpoint.module, endpoint.transaction.number, type(binding)), (endpoint, binding))
    return list(found.values())


def is_denied(region: Secured, client: httpx.Client, name: str, binding: object, user: User | None = None) -> bool:
    """Whether a request is refused for what the caller is; one without sense is refused for that only afterwards."""
    if isinstance(binding, Hl7v2Binding):
        message = (
            f"MSH|^~\\&|GAM|CHUSE|IPR|R|20260115||{binding.message_code}^{binding.trigger_event}|M{next(_numbers)}"
            f"|P|{binding.versions[0]}\r"
        )
        with region.mllp(name) as partner:
            said = partner.ask(message)
    elif isinstance(binding, SoapBinding):
        namespace, local = re.fullmatch(r"\{(.*)\}(.*)", binding.request_element).groups()
        body = (
            '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"'
            ' xmlns:a="http://www.w3.org/2005/08/addressing"><e:Header>'
            f"<a:Action>{binding.action}</a:Action>{user.security if user else ''}</e:Header><e:Body>"
            f'<n:{local} xmlns:n="{namespace}"/></e:Body></e:Envelope>'
        )
        said = client.post(binding.path, content=body, headers={"content-type": "application/soap+xml"}).text
        assert ("FailedCheck" in said) == ("allowed to" in said or NOT_THEIRS in said), said
    else:
        path = re.sub(r"\{[^}]*\}", "1", binding.path)
        said = client.request(binding.method, path, headers=user.headers if user else {}).text
    return (
        NOT_THEIRS in said
        or "is not allowed to the roles" in said
        or "is allowed to systems and users of a site" in said
        or ("does not send for the application" in said)
    )


def test_every_transaction_has_a_row_and_every_row_a_transaction(region):
    served = {
        endpoint.transaction.number
        for endpoint in region.service.endpoints
        if not all(isinstance(binding, OutboundBinding) for binding in endpoint.transaction.bindings)
    }
    assert read_matrix(TABLE).transactions == served


@pytest.mark.parametrize("role", ROLES)
def test_no_cell_differs_from_the_table(region, role):
    for place in ("SITE", "NONE"):
        name = f"{role}-OF-{place}"
        differing = []
        with region.client(name) as client:
            for endpoint, binding in received(region):
                number = endpoint.transaction.number
                reaches = {
                    cell.reach
                    for cell in MATRIX
                    if (cell.transaction, cell.purpose) == (number, "normal") and cell.role in (role, ANYONE)
                }
                allowed = Reach.REGION in reaches or (Reach.OWN in reaches and place == "SITE")
                if isinstance(binding, Hl7v2Binding):
                    allowed &= place == "SITE"  # the sender that a message names is of a site
                if is_denied(region, client, name, binding) == allowed:
                    differing.append((number, str(binding)))
        assert differing == []


@pytest.mark.parametrize("role", ROLES)
def test_no_cell_differs_for_users_by_assertion_and_by_token(region, role):
    """A user's role counts, and not the system's: that of the portal, of the user's site or of none, may do more."""
    for purpose in PURPOSES:
        of_a_site = User(role, purpose, "system-OF-SITE", "CHUSE")
        of_none = User(role, purpose, "system-OF-NONE")
        for user in (of_a_site, of_none):
            differing = []
            with region.client(user.node) as client:
                for endpoint, binding in received(region):
                    if isinstance(binding, Hl7v2Binding):
                        continue  # messages of HL7 v2 name no user
                    number = endpoint.transaction.number
                    reaches = {
                        cell.reach
                        for cell in MATRIX
                        if (cell.transaction, cell.purpose) == (number, purpose) and cell.role in (role, ANYONE)
                    }
                    allowed = Reach.REGION in reaches or (Reach.OWN in reaches and user is of_a_site)
                    if is_denied(region, client, user.node, binding, user) == allowed:
                        differing.append((number, str(binding)))
            assert differing == [], (purpose, user.node)


def test_a_user_of_another_site_may_do_nothing_through_this_one(region):
    user = User("professional", "normal", "system-OF-SITE", "ROANNE")
    with region.client(user.node) as client:
        for _, binding in received(region):
            if not isinstance(binding, Hl7v2Binding):
                assert is_denied(region, client, user.node, binding, user), binding


def test_a_user_behind_a_gateway_may_do_what_the_gateway_may(region):
    user = User("professional", "normal", "gateway-OF-NONE")
    with region.client(user.node) as client:
        for endpoint, binding in received(region):
            if not isinstance(binding, Hl7v2Binding):
                allowed = is_denied(region, client, user.node, binding) is False
                assert is_denied(region, client, user.node, binding, user) != allowed, endpoint.transaction.number


class CertifiedSite(Site):
    """A partner that shows a certificate."""

    def __init__(self, region: Secured, name: str) -> None:
        self.running, self.messages = region, 0
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.cert = (str(region.folder / f"{name}.pem"), str(region.folder / f"{name}.key"))
        self.session.verify = str(region.folder / "authority.pem")
        wsdl, transport = f"{region.base_url}/wsdl", Transport(session=self.session)
        self.repository = zeep.Client(f"{wsdl}/repository.wsdl", transport=transport).service
        self.registry = zeep.Client(f"{wsdl}/registry.wsdl", transport=transport).service
        self.name = name

    def feed(self, code, local_id, person, ins=None, event="A28", extra=()):
        authority = self.running.table.by_code(code).authority
        ids = f"{local_id}^^^{authority.namespace}&{authority.oid}&ISO^PI"
        message = (
            f"MSH|^~\\&|GAM|{self.name}|IPR|R|20260115||ADT^{event}^ADT_A05|W{next(_numbers)}|P|2.5\rEVN||20260115\r"
            f"PID|1||{ids}||{person}\r"
        )
        with self.running.mllp(self.name) as partner:
            return partner.ask(message)


def test_a_site_reads_every_sites_documents_and_writes_only_its_own(region):
    """And a user whose token is about one patient reads of that patient only."""
    chuse, roanne = CertifiedSite(region, "CHUSE"), CertifiedSite(region, "ROANNE")
    assert "MSA|AA" in chuse.feed("CHUSE", "C1", MARIE)
    assert "MSA|AR" in roanne.feed("CHUSE", "C1", MARIE)
    unique_id, answer = chuse.provide("CHUSE", "C1", b"of CHUSE")
    assert answer.status == SUCCESS
    with pytest.raises(zeep.exceptions.Fault, match="own patients"):
        roanne.provide("CHUSE", "C1", b"of another")
    for site in (chuse, roanne):
        assert site.found_ids(site.cx("CHUSE", "C1")) == {unique_id}
    (entry,) = roanne.find(roanne.cx("CHUSE", "C1"))._value_1
    with pytest.raises(zeep.exceptions.Fault, match="own patients"):
        roanne.registry.DocumentRegistry_DeleteDocumentSet(
            ObjectRefList={"ObjectRef": [{"id": entry["ExtrinsicObject"].id}]}
        )
    other = region.table.by_code("CHUSE").oid.urn
    with region.client("ROANNE") as client:
        patient = {"resourceType": "Patient", "identifier": [{"system": other, "value": "C1"}]}
        answer = client.put("/fhir/Patient", params={"identifier": f"{other}|C1"}, json=patient)
        assert answer.status_code == 403, answer.text
        assert client.get("/fhir/Patient", params={"identifier": f"{other}|C1"}).status_code == 200
    person = {"patient.identifier": f"{other}|C1", "status": "current"}
    with region.client("ROANNE") as client:
        for about, count in ((f"{other}|C1", 1), (chuse.cx("CHUSE", "C1") + "^PI", 1), (f"{other}|C2", 0), (None, 1)):
            said = {"subject_role": [{"system": ROLE_SYSTEM, "code": "professional"}], "person_id": about}
            token = {"authorization": f"Bearer {SERVER.token(extensions={'ihe_iua': said})}"}
            assert client.get("/fhir/DocumentReference", params=person, headers=token).json()["total"] == count, about
        token = {"authorization": f"Bearer {SERVER.token(extensions={'ihe_iua': {**said, 'person_id': 'nobody'}})}"}
        assert client.get("/fhir/DocumentReference", params=person, headers=token).status_code == 401
    for site in (chuse, roanne):
        site.session.close()

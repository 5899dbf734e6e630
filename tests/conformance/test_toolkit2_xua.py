"""The NIST toolkit's plans for users at the registry (XUA), over TLS with assertions of our own making.

The plans name a kind of assertion by the end of their number and say what must become of a submission with it; the
assertions themselves are a security token service's, so they are made here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from lxml import etree

from tests.conformance.toolkit2_plans import RIM, Step
from tests.conformance.toolkit2_runner import Outcome, Toolkit2Runner
from tests.secured_region import Secured, secured
from tests.vouchers import (
    AUDIENCE,
    PROFESSION,
    PURPOSE,
    AuthorizationServer,
    SecurityTokenService,
    Wanted,
    at,
    attribute,
    coded,
    unsigned,
    write_issuers,
)
from tests.xds_samples import SampleDirectory
from xds.domain.value_sets import ValueSets

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
_PATIENT_ID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
_ROLE = attribute("role", coded("Role", "10", PROFESSION))
_PURPOSE = attribute("purpose", coded("PurposeOfUse", "normal", PURPOSE))
_CONTEXT = (
    "<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient"
    "</saml:AuthnContextClassRef></saml:AuthnContext>"
)
_LOGIN = '<saml:AuthnStatement AuthnInstant="{at}">{context}</saml:AuthnStatement>'


def _login(*contexts: str, moment: timedelta = timedelta(minutes=-1)) -> str:
    return "".join(_LOGIN.format(at=at(moment), context=context) for context in contexts)


def _without_signature(sts: SecurityTokenService) -> etree._Element:
    element = unsigned(Wanted(issuer=sts.name))
    element.remove(element[1])
    return element


ASSERTIONS: dict[str, Callable[[SecurityTokenService], etree._Element]] = {
    "": lambda sts: sts.assertion(),
    "expired": lambda sts: sts.assertion(begins=timedelta(hours=-2), ends=timedelta(hours=-1)),
    "notyetvalid": lambda sts: sts.assertion(begins=timedelta(hours=1), ends=timedelta(hours=2)),
    "unsigned": _without_signature,
    "unknownaudience": lambda sts: sts.assertion(audience="https://unknown.example"),
    "invalidauthnstatement": lambda sts: sts.assertion(login=_login("", moment=timedelta(hours=1))),
    "secondrole": lambda sts: sts.assertion(attributes=_ROLE + _ROLE.replace('"10"', '"21"') + _PURPOSE),
    "secondpurposeofuse": lambda sts: sts.assertion(
        attributes=_ROLE + _PURPOSE + _PURPOSE.replace("normal", "centre_15")
    ),
    "secondauthncontext": lambda sts: sts.assertion(login=_login(_CONTEXT, _CONTEXT)),
    "withauthzconsent": lambda sts: sts.assertion(
        attributes=_ROLE
        + _PURPOSE
        + attribute("urn:ihe:iti:bppc:2007:docid", "urn:oid:2.25.77")
        + attribute("urn:ihe:iti:xua:2012:acp", "urn:oid:2.25.78")
    ),
}


class AssertingClient:
    """A partner that sends each submission with an assertion of the kind wanted."""

    def __init__(self, region: Secured, client: httpx.Client, sts: SecurityTokenService) -> None:
        self.region, self.client, self.sts = region, client, sts
        self.kind = ""
        self.faults: list[str] = []

    def send(self, action: str, body: etree._Element) -> etree._Element:
        """The body of the answer; of a fault, an element with the status that the plans call one by."""
        for value in body.iterfind(f".//{RIM}Slot[@name='sourcePatientId']//{RIM}Value"):
            # The plans' source is of a domain of its own; a site of the region writes of its own patients only.
            value.text = body.find(f".//{RIM}ExternalIdentifier[@identificationScheme='{_PATIENT_ID}']").get("value")
        assertion = etree.tostring(ASSERTIONS[self.kind](self.sts)).decode()
        message = (
            '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
            f"<e:Header><a:Action>{action}</a:Action>"
            '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"'
            f' e:mustUnderstand="true">{assertion}</w:Security></e:Header>'
            f"<e:Body>{etree.tostring(body).decode()}</e:Body></e:Envelope>"
        )
        answer = self.client.post(
            "/ihe/registry", content=message.encode(), headers={"content-type": "application/soap+xml"}
        )
        found = etree.fromstring(answer.content).find(f"{SOAP}Body")[0]
        if found.tag == f"{SOAP}Fault":
            self.faults.append(found.findtext(f"{SOAP}Code/{SOAP}Subcode/{SOAP}Value"))
            found.set("status", "toolkit:Fault")
        return found


class XuaRunner(Toolkit2Runner):
    """Plays plans with the assertions that their numbers name, and with patients of a real feed."""

    client: AssertingClient

    def _run_section(self, test: str, section: str) -> list[Outcome]:
        if (test, section) in self.outcomes:
            return []
        before = self.client.kind
        self.client.kind = test.partition("_")[2] if section == "submit" else ""
        try:
            return super()._run_section(test, section)
        finally:
            self.client.kind = before

    def _validate(self, step: Step, answer: etree._Element) -> None:
        """The schemas know no fault."""

    def _patient(self, test: str) -> str:
        if test not in self.patients:
            region, number = self.client.region, f"XUA{len(self.patients)}"
            authority = region.table.by_code("CHUSE").authority
            message = (
                f"MSH|^~\\&|GAM|CHUSE|IPR|R|20260115||ADT^A28^ADT_A05|{number}|P|2.5\rEVN||20260115\r"
                f"PID|1||{number}^^^{authority.namespace}&{authority.oid}&ISO^PI||EXEMPLE^{number}^^^^^L||19480317|F\r"
            )
            with region.mllp("CHUSE") as partner:
                assert "MSA|AA" in partner.ask(message)
            self.patients[test] = f"{number}^^^&{authority.oid}&ISO"
        return self.patients[test]


@pytest.fixture(scope="module")
def played(
    module_database_url: str, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[XuaRunner]:
    material = shared_folder / "testdata/toolkit2"
    if not (material / "testkit/tests/11990_expired").is_dir():
        pytest.skip("the NIST toolkit's plans for XUA are not there")
    folder, sts = tmp_path_factory.mktemp("xua"), SecurityTokenService()
    table = write_issuers(folder / "issuers", sts, AuthorizationServer())
    options = {"issuers_table": table, "audiences": (AUDIENCE,), "users_required": ("/ihe/registry",)}
    with (
        secured(module_database_url, folder, ["CHUSE"], value_sets=ValueSets(), **options) as region,
        region.client("CHUSE") as client,
    ):
        runner = XuaRunner(material, AssertingClient(region, client, sts), SampleDirectory())
        tests = sorted(each.name for each in (material / "testkit/tests").glob("11990*"))
        for test in tests:
            list(runner.run(test))
        yield runner


def test_every_kind_of_assertion_gets_what_its_plan_asks_for(played: XuaRunner) -> None:
    outcomes = [each for section in played.outcomes.values() for each in section]
    assert {each.step.test.partition("_")[2] for each in outcomes} >= set(ASSERTIONS)
    assert [(each.step.label, each.problem or each.skipped) for each in outcomes if each.problem or each.skipped] == []


def test_what_does_not_hold_is_a_fault_of_web_services_security(played: XuaRunner) -> None:
    assert len(played.client.faults) == 8
    assert set(played.client.faults) == {"wsse:InvalidSecurityToken"}

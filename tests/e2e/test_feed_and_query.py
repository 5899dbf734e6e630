"""Feed by python-hl7, ask by HL7 v2 and FHIR, over real sockets."""

from __future__ import annotations

import hl7
import httpx
import pytest
from fhirpy import SyncFHIRClient
from hl7.client import MLLPClient
from sqlalchemy import text

PERSON = "EXEMPLE^MARIE^MARIE LOUISE^^^^L||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100^FRA^H~^^^^^^BDL^^42218"


def adt(event, site, oid, local_id, person=PERSON, *, control_id, extra="", status="VALI", sender="TEST"):
    structure = {"A40": "ADT_A39", "A47": "ADT_A30"}.get(event, "ADT_A05")
    return (
        "\r".join(
            [
                (
                    f"MSH|^~\\&|{sender}|{sender}|IPR|REGION|20260115101500+0100||ADT^{event}^{structure}|{control_id}|T"
                    "|2.5^FRA^2.11|||||FRA|UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM"
                ),
                "EVN||20260115101500+0100||||20260115101400+0100",
                f"PID|1||{local_id}^^^{site}&{oid}&ISO^PI||{person}|||||||||||||||||||N||{status}",
                *([extra] if extra else []),
            ]
        )
        + "\r"
    )


def pix(site, oid, local_id, *targets):
    repetitions = "~".join(f"^^^{t.namespace}&{t.oid}&ISO" for t in targets)
    return (
        "MSH|^~\\&|VIEWER|TEST|IPR|REGION|20260115101500+0100||QBP^Q23^QBP_Q21|Q1|T|2.5\r"
        f"QPD|IHE PIX Query|TAG1|{local_id}^^^{site}&{oid}&ISO|{repetitions}\r"
        "RCP|I\r"
    )


@pytest.fixture
def mllp(running):
    with MLLPClient(running.host, running.mllp_port) as client:
        yield lambda message: hl7.parse(client.send_message(message).decode("utf-8"))


@pytest.fixture
def fed(running, mllp):
    for number, code in enumerate(("CHUSE", "ROANNE", "ICL")):
        authority = running.table.by_code(code).authority
        answer = mllp(adt("A28", authority.namespace, authority.oid, f"{code}1", control_id=f"C{number}"))
        assert str(answer.segment("MSA")[1]) == "AA"
    return running


def _identifiers(answer):
    return {str(repetition).split("^")[0] for repetition in answer.segment("PID")[3]}


def test_pix_query_by_a_sites_own_number(fed, mllp):
    roanne, chu = (fed.table.by_code(code).authority for code in ("ROANNE", "CHUSE"))
    answer = mllp(pix(roanne.namespace, roanne.oid, "ROANNE1"))
    assert [str(answer.segment("MSA")[1]), str(answer.segment("QAK")[2])] == ["AA", "OK"]
    found = _identifiers(answer)
    assert {"CHUSE1", "ICL1"} <= found
    assert "ROANNE1" not in found
    only = mllp(pix(roanne.namespace, roanne.oid, "ROANNE1", chu))
    assert _identifiers(only) == {"CHUSE1"}


def test_pix_query_cases_of_the_profile(fed, mllp):
    roanne, annonay = (fed.table.by_code(code).authority for code in ("ROANNE", "ANNONAY"))
    nothing = mllp(pix(roanne.namespace, roanne.oid, "ROANNE1", annonay))
    assert [str(nothing.segment("MSA")[1]), str(nothing.segment("QAK")[2])] == ["AA", "NF"]
    unknown = mllp(pix(roanne.namespace, roanne.oid, "NOBODY"))
    assert [str(unknown.segment("MSA")[1]), str(unknown.segment("QAK")[2])] == ["AE", "AE"]
    assert str(unknown.segment("ERR")[2]) == "QPD^1^3^1^1"
    assert str(unknown.segment("ERR")[3]).startswith("204")
    domain = mllp(pix("NOWHERE", "1.2.3.4.5", "1"))
    assert str(domain.segment("ERR")[2]) == "QPD^1^3^1^4"


def test_ihe_pix_operation(fed):
    roanne = fed.table.by_code("ROANNE").authority
    url = f"{fed.base_url}/fhir/Patient/$ihe-pix"
    answer = httpx.get(url, params={"sourceIdentifier": f"{roanne.oid.urn}|ROANNE1"})
    assert answer.status_code == 200
    values = {p["valueIdentifier"]["value"] for p in answer.json()["parameter"] if p["name"] == "targetIdentifier"}
    assert {"CHUSE1", "ICL1"} <= values
    statuses = {
        f"{roanne.oid.urn}|NOBODY": 404,
        "urn:oid:1.2.3.4.5|1": 400,
        "nonsense": 400,
    }
    for source, status in statuses.items():
        refused = httpx.get(url, params={"sourceIdentifier": source})
        assert (refused.status_code, refused.json()["resourceType"]) == (status, "OperationOutcome")
    target = httpx.get(url, params={"sourceIdentifier": f"{roanne.oid.urn}|ROANNE1", "targetSystem": "urn:oid:1.2.9"})
    assert target.status_code == 403


def test_fhirpy_searches_and_asks(fed):
    client = SyncFHIRClient(f"{fed.base_url}/fhir")
    found = client.resources("Patient").search(family="exempl", birthdate="1948-03-17").fetch_all()
    assert len(found) == 3
    roanne = fed.table.by_code("ROANNE").authority
    answer = client.execute("Patient/$ihe-pix", method="GET", params={"sourceIdentifier": f"{roanne.oid.urn}|ROANNE1"})
    assert {p["name"] for p in answer["parameter"]} == {"targetIdentifier", "targetId"}
    read = client.reference("Patient", found[0].id).to_resource()
    assert read["name"][0]["family"] == "EXEMPLE"


def test_same_message_twice_gets_the_same_answer_and_changes_nothing(fed, mllp):
    chu = fed.table.by_code("CHUSE").authority
    message = adt("A31", chu.namespace, chu.oid, "CHUSE1", control_id="TWICE")
    first, second = mllp(message), mllp(message)
    assert str(first) == str(second)
    with fed.service.engine.connect() as connection:
        versions = connection.execute(text("SELECT max(version) FROM record_version")).scalar()
    assert versions == 1


def test_a_site_feeds_only_its_own_domain(fed, mllp):
    sender = fed.table.by_code("CHUSE").senders[0]
    roanne = fed.table.by_code("ROANNE").authority
    message = adt("A31", roanne.namespace, roanne.oid, "ROANNE1", control_id="X1").replace(
        "TEST|TEST", f"{sender.application}|{sender.facility}"
    )
    answer = mllp(message)
    assert str(answer.segment("MSA")[1]) == "AR"
    with fed.service.engine.connect() as connection:
        last = connection.execute(text("SELECT outcome, reason, site FROM audit_event ORDER BY id DESC LIMIT 1")).one()
    assert tuple(last) == (8, "AccessDenied", "CHUSE")


def test_merge_over_the_wire(fed, mllp):
    chu, roanne = (fed.table.by_code(code).authority for code in ("CHUSE", "ROANNE"))
    mrg = f"MRG|CHUSE1^^^{chu.namespace}&{chu.oid}&ISO^PI"
    answer = mllp(adt("A40", chu.namespace, chu.oid, "CHUSE2", control_id="M1", extra=mrg))
    assert str(answer.segment("MSA")[1]) == "AA"
    found = _identifiers(mllp(pix(roanne.namespace, roanne.oid, "ROANNE1", chu)))
    assert found == {"CHUSE2"}


def test_unknown_paths_and_methods_answer_in_their_own_form(running):
    missing = httpx.get(f"{running.base_url}/fhir/Nothing")
    assert (missing.status_code, missing.json()["resourceType"]) == (404, "OperationOutcome")
    elsewhere = httpx.get(f"{running.base_url}/nothing")
    assert (elsewhere.status_code, elsewhere.headers["content-type"]) == (404, "application/problem+json")
    method = httpx.delete(f"{running.base_url}/fhir/Patient/$ihe-pix")
    assert method.status_code == 405


def test_metrics_and_health(fed):
    body = httpx.get(f"{fed.base_url}/metrics").text
    assert 'traitdunion_messages_total{outcome="success",transaction="ITI-30"} 3.0' in body
    assert "traitdunion_outbox_undistributed_age_seconds" in body
    assert httpx.get(f"{fed.base_url}/health/live").status_code == 200

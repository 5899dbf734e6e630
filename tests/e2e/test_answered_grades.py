"""A domain that is answered with certain links only is told nothing of probable ones: no number, study or document."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hl7.client import MLLPClient

from tests.e2e.conftest import serving
from tests.imaging_region import PERSON, Region, region

__all__ = ["region"]
CERTAIN = frozenset({"certain"})


@pytest.fixture
def doubtful(region: Region) -> Region:
    """ROANNE has not seen a document of Marie: what was certain is probable."""
    authority = region.running.table.by_code("ROANNE").authority
    message = (
        "MSH|^~\\&|TEST|TEST|IPR|REGION|20260116101500+0100||ADT^A31^ADT_A05|"
        "DOUBT|T|2.5^FRA^2.11|||||FRA|UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM\r"
        "EVN||20260116101500+0100||||20260116101400+0100\r"
        f"PID|1||ROANNE1^^^ROANNE&{authority.oid}&ISO^PI||{PERSON}|||||||||||||||||||N||PROV\r"
    )
    with MLLPClient(region.running.host, region.running.mllp_port) as mllp:
        assert b"MSA|AA" in mllp.send_message(message)
    told = httpx.get(f"{region.running.base_url}/api/explain", params={"domain": "ROANNE", "local_id": "ROANNE1"})
    assert told.json()["grade"] == "probable"
    return region


def answers(base: str, table: Any, uid: str, code: str) -> dict[str, bool]:
    """Who is told of the other's: number (PIX), study (priors, QIDO-RS), document (MHD)."""
    asked, other = f"urn:oid:{table.by_code(code).oid}|{code}1", "CHUSE" if code == "ROANNE" else "ROANNE"
    numbers = httpx.get(f"{base}/fhir/Patient/$ihe-pix", params={"sourceIdentifier": asked})
    documents = {"patient.identifier": asked, "status": "current"}
    studies = httpx.get(f"{base}/dicom-web/domains/{code}/studies", params={"PatientID": f"{code}1"})
    return {
        "number": f'"{other}1"' in numbers.text,
        "priors": uid in httpx.get(f"{base}/priors", params={"patient": f"{code}|{code}1"}).text,
        "qido": uid in studies.text,
        "document": uid in httpx.get(f"{base}/fhir/DocumentReference", params=documents).text,
    }


POLICIES = [
    ({}, True, True),
    ({"answer_grades": {"ROANNE": CERTAIN}}, False, True),
    ({"answered_grades": CERTAIN, "answer_grades": {"ROANNE": CERTAIN | {"probable"}}}, True, False),
]
"""Wiring, and who is told: ROANNE of CHUSE's study, CHUSE of ROANNE's number."""


def test_what_is_answered_follows_the_policy_of_region_and_domain(doubtful: Region, database_url, tmp_path) -> None:
    table, uid = doubtful.running.table, doubtful.study.uid
    for wiring, told_roanne, told_chuse in POLICIES:
        with serving(database_url, table, tmp_path / "documents", **wiring) as running:
            assert set(answers(running.base_url, table, uid, "ROANNE").values()) == {told_roanne}, wiring
            chuse = answers(running.base_url, table, uid, "CHUSE")
            assert chuse["number"] == told_chuse
            assert chuse["priors"] is chuse["qido"] is chuse["document"] is True  # its own

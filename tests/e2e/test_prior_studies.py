"""``/priors`` and FHIR ImagingStudy beside QIDO-RS: one history, whatever is named, and nothing of it in a cache."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fhir.resources.R4B.imagingstudy import ImagingStudy

from tests.imaging_region import Region, region

__all__ = ["region"]

IDS = {"ROANNE": "ROANNE1", "CHUSE": "CHUSE1"}


def priors(service: Region, status: int = 200, /, **asked: Any) -> Any:
    answer = httpx.get(f"{service.running.base_url}/priors", params=asked, timeout=30)
    assert answer.status_code == status, answer.text
    return answer.json()


def imaging_studies(region: Region, **asked: str) -> list[Any]:
    answer = httpx.get(f"{region.running.base_url}/fhir/ImagingStudy", params=asked, timeout=30)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", ())]


def oid(region: Region, code: str) -> str:
    return str(region.running.table.by_code(code).oid)


def test_a_patient_a_study_or_an_accession_number_names_the_history(region: Region) -> None:
    issuer = region.study.accessions[0].issuer
    assert issuer is not None
    for asked in (
        {"patient": "ROANNE|ROANNE1"},
        {"patient": f"urn:oid:{oid(region, 'ROANNE')}|ROANNE1"},
        {"study": region.study.uid, "site": "ROANNE"},
        {"accession": f"{issuer.oid}|A-1", "site": "ROANNE"},
    ):
        found = priors(region, **asked)
        assert found["patient"] == f"ROANNE1^^^&{oid(region, 'ROANNE')}&ISO"
        (study,) = found["studies"]
        assert study["study_instance_uid"] == region.study.uid
        assert [(each["site"], each["id"]) for each in study["joined_by"]][::2] == [
            ("ROANNE", "ROANNE1"),
            ("CHUSE", "CHUSE1"),
        ]
        assert study["copies"][0]["reachable"] is True
        assert study["retrieve_url"] == f"{region.root}/studies/{region.study.uid}"
        assert httpx.get(f"{study['retrieve_url']}/metadata").status_code == 200


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 400),
        ({"patient": "ROANNE1"}, 400),
        ({"patient": "ROANNE|"}, 400),
        ({"accession": "A-1"}, 400),
        ({"study": "x"}, 400),
        ({"study": "1.2.3"}, 404),
        ({"study": "1.2.3", "patient": "ROANNE|ROANNE1"}, 400),
        ({"patient": ["ROANNE|1", "ROANNE|2"]}, 400),
        ({"patient": "ROANNE|ROANNE1", "colour": "red"}, 400),
        ({"patient": "ROANNE|ROANNE1", "region": [str(n) for n in range(30)]}, 400),
    ],
)
def test_what_names_nobody_is_refused(region: Region, asked: dict[str, Any], status: int) -> None:
    assert "studies" not in priors(region, status, **asked)


def test_imaging_study_answers_what_priors_answer(region: Region) -> None:
    system = f"urn:oid:{oid(region, 'ROANNE')}"
    (found,) = imaging_studies(region, **{"patient.identifier": f"{system}|ROANNE1"})
    ImagingStudy.model_validate(found)
    assert found["subject"]["identifier"] == {"system": system, "value": "ROANNE1"}
    assert found["identifier"][0]["value"] == f"urn:oid:{region.study.uid}"
    assert found["contained"][0]["address"] == region.root
    assert (found["numberOfSeries"], found["numberOfInstances"]) == (1, 3)
    issuer = region.study.accessions[0].issuer
    assert issuer is not None
    for asked in (
        {"patient": found["subject"]["reference"]},
        {"identifier": f"urn:dicom:uid|urn:oid:{region.study.uid}"},
        {"identifier": f"urn:oid:{issuer.oid}|A-1"},
        {"_id": region.study.uid, "modality": "CT", "started": "2024-07-14", "status": "available"},
    ):
        assert [each["id"] for each in imaging_studies(region, **asked)] == [region.study.uid]
    for asked in (
        {"_id": region.study.uid, "modality": "MR"},
        {"_id": region.study.uid, "started": "gt2025"},
        {"_id": region.study.uid, "status": "cancelled"},
        {"identifier": f"urn:oid:{oid(region, 'ROANNE')}|A-1"},
        {"patient.identifier": f"{system}|nobody"},
    ):
        assert imaging_studies(region, **asked) == []
    base = f"{region.running.base_url}/fhir/ImagingStudy"
    assert httpx.get(f"{base}/{region.study.uid}").json()["id"] == region.study.uid
    assert httpx.get(f"{base}/1.2.3").status_code == 404
    assert httpx.get(base).status_code == 400
    assert httpx.get(f"{base}?patient.identifier={system}%7CROANNE1&_format=xml").text.startswith("<?xml")
    statement = httpx.get(f"{region.running.base_url}/fhir/metadata").json()
    assert "ImagingStudy" in {each["type"] for each in statement["rest"][0]["resource"]}


def test_nothing_of_a_foreign_study_stays_anywhere_when_the_link_is_undone(region: Region) -> None:
    base, roanne = region.running.base_url, oid(region, "ROANNE")
    asked = f"urn:oid:{roanne}|ROANNE1"
    addresses = [
        f"{base}/priors?patient={asked}",
        f"{region.root}/studies?PatientID=ROANNE1",
        f"{base}/fhir/ImagingStudy?patient.identifier={asked}",
        f"{base}/fhir/DocumentReference?patient.identifier={asked}&status=current",
    ]
    tags: dict[str, str] = {}
    for address in addresses:
        answer = httpx.get(address)
        assert region.study.uid in answer.text, address
        assert "no-store" in answer.headers["cache-control"]
        tags[address] = answer.headers.get("etag", '"any"')
    pictures = httpx.get(region.instance)
    assert pictures.status_code == 200
    _unlink(region)
    for address in addresses:
        answer = httpx.get(address, headers={"If-None-Match": tags[address], "Cache-Control": "max-stale"})
        assert answer.status_code == 200
        assert region.study.uid not in answer.text, address
        assert "no-store" in answer.headers["cache-control"]


def test_an_archive_that_does_not_answer_is_named(region: Region) -> None:
    archive = region.running.service.xds.studies.archives.of("CHUSE")
    archive.breaker.failed(surely=True)
    answer = httpx.get(f"{region.running.base_url}/priors", params={"patient": "ROANNE|ROANNE1"})
    assert "CHUSE" in answer.headers["warning"]
    assert answer.json()["unreachable"] == ["CHUSE"]
    assert answer.json()["studies"][0]["copies"][0]["reachable"] is False


def _unlink(region: Region) -> None:
    pair = {name: {"domain": code, "local_id": IDS[code]} for name, code in (("a", "CHUSE"), ("b", "ROANNE"))}
    body = {**pair, "verdict": "different", "reason": "test"}
    assert httpx.post(f"{region.running.base_url}/api/links", json=body).status_code == 200

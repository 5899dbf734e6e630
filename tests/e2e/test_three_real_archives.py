"""Three Orthanc servers and no mock: stored by storescu, published, found under a fourth site's id, withdrawn."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from hl7.client import MLLPClient

from ihe.caller import Caller
from mpi.domain.identity import RecordKey
from region.pacs.orthanc import Orthanc, program
from region.publishing_commands import publish_once, sites_of
from region.region_table import RegionTable, load_region
from tests.ports import free_port
from tests.unit.xds.translate.test_dicom_coercion import make_file
from tests.xds_repository import new_uid

pytestmark = pytest.mark.skipif(
    program() is None or shutil.which("storescu") is None,
    reason="needs Orthanc with DICOMweb, and DCMTK: make pacs installs them",
)

TABLE = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"
SITES = ("CHUSE", "ANNONAY", "ICL")
PERSON = "EXEMPLE^MARIE^MARIE LOUISE^^^^L||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100^FRA^H~^^^^^^BDL^^42218"


@dataclass(frozen=True)
class Region:
    running: Any
    archives: dict[str, Orthanc]
    folder: Path

    @property
    def root(self) -> str:
        return f"{self.running.base_url}/dicom-web/domains/ROANNE"

    def store(self, site: str, *files: bytes) -> None:
        paths = []
        for number, data in enumerate(files):
            path = self.folder / f"{site}-{number}.dcm"
            path.write_bytes(data)
            paths.append(str(path))
        port = str(self.archives[site].dicom_port)
        subprocess.run(["storescu", "-aec", site, "127.0.0.1", port, *paths], check=True, timeout=60)

    def publish_until(self, done: Callable[[], bool], seconds: float = 10) -> None:
        service = self.running.service
        until = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < until, "not published in time"
            for site in sites_of(service, [], settle_seconds=1.0):
                publish_once(service, site)
            time.sleep(0.2)

    def found(self) -> set[str]:
        answer = httpx.get(f"{self.root}/studies", params={"PatientID": "ROANNE1"}, timeout=30)
        return {each["0020000D"]["Value"][0] for each in answer.json()}


@pytest.fixture
def region(start: Callable[[RegionTable], AbstractContextManager[Any]], tmp_path: Path) -> Iterator[Region]:
    table = load_region(TABLE)
    archives = {code: Orthanc(code, free_port(), free_port(), tmp_path / code) for code in SITES}
    domains = tuple(
        replace(each, pacs_url=archives[each.code].dicomweb_url if each.code in SITES else None) for each in table
    )
    try:
        for archive in archives.values():
            archive.start()
        with start(RegionTable(table.name, table.home_community_id, domains)) as running:
            _feed(running)
            yield Region(running, archives, tmp_path)
    finally:
        for archive in archives.values():
            archive.stop()


def _feed(running: Any) -> None:
    with MLLPClient(running.host, running.mllp_port) as mllp:
        for code in (*SITES, "ROANNE"):
            authority = running.table.by_code(code).authority
            message = (
                "MSH|^~\\&|TEST|TEST|IPR|REGION|20260115101500+0100||ADT^A28^ADT_A05|"
                f"C{code}|T|2.5^FRA^2.11|||||FRA|UNICODE UTF-8|FR||2.11^IHE_FRANCE-2.11-PAM\r"
                "EVN||20260115101500+0100||||20260115101400+0100\r"
                f"PID|1||{code}1^^^{code}&{authority.oid}&ISO^PI||{PERSON}|||||||||||||||||||N||VALI\r"
            )
            assert b"MSA|AA" in mllp.send_message(message)


def _study(site: str, instances: int, uid: str | None = None) -> tuple[str, list[bytes]]:
    study, series = uid or new_uid(), new_uid()
    files = [
        make_file(
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            SOPInstanceUID=f"{series}.{number}",
            PatientID=f"{site}1",
            PatientBirthDate="19480317",
            PatientSex="F",
            StudyDate="20240714",
            StudyTime="083000",
            StudyDescription="Scanner du thorax",
            BodyPartExamined="CHEST",
            AccessionNumber=f"A{site}",
            StudyID="1",
            ReferringPhysicianName="",
            Modality="CT",
            SeriesNumber=1,
            InstanceNumber=number + 1,
        )
        for number in range(instances)
    ]
    return study, files


def _pixels(data: bytes) -> bytes:
    return bytes(pydicom.dcmread(io.BytesIO(data)).PixelData)


def test_from_storescu_to_a_viewer_elsewhere_and_back_again(region: Region) -> None:
    stored = {site: _study(site, 3) for site in SITES}
    for site, (_, files) in stored.items():
        region.store(site, *files)
    uids = {uid for uid, _ in stored.values()}
    region.publish_until(lambda: region.found() == uids)

    service = region.running.service
    roanne = region.running.table.by_code("ROANNE")
    asked = f"urn:oid:{roanne.oid}|ROANNE1"
    listed = httpx.get(f"{region.running.base_url}/priors", params={"patient": asked}).json()["studies"]
    assert {each["study_instance_uid"] for each in listed} == uids
    assert {each["copies"][0]["site"] for each in listed} == set(SITES)
    assert {code["code"] for each in listed for code in each["regions"]} == {"67734004"}
    manifests = httpx.get(
        f"{region.running.base_url}/fhir/DocumentReference",
        params={"patient.identifier": asked, "status": "current"},
    ).json()
    assert len(manifests["entry"]) == 3

    client = DICOMwebClient(region.root)
    for uid, files in stored.values():
        fetched = client.retrieve_study(uid)
        assert {str(each.SOPInstanceUID): bytes(each.PixelData) for each in fetched} == {
            str(pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID): _pixels(data) for data in files
        }
        assert {each.PatientID for each in fetched} == {"ROANNE1"}

    changed, _ = stored["CHUSE"]
    _, more = _study("CHUSE", 5, changed)
    region.store("CHUSE", *more)
    region.publish_until(lambda: _instances(region, changed) == 8)
    with service.database.unit(Caller(node="test")) as uow:
        rows = uow.connection.exec_driver_sql("SELECT status, count(*) FROM document_entry GROUP BY 1").all()
    assert {row[0]: row[1] for row in rows} == {"Approved": 3, "Deprecated": 1}

    archive = region.archives["ICL"]
    (number,) = httpx.get(f"{archive.rest_url}/studies").json()
    httpx.delete(f"{archive.rest_url}/studies/{number}")
    gone = stored["ICL"][0]
    region.publish_until(lambda: region.found() == uids - {gone})

    _unlink(region, RecordKey("CHUSE", "CHUSE1"), RecordKey("ROANNE", "ROANNE1"))
    assert changed not in region.found()
    listed = httpx.get(f"{region.running.base_url}/priors", params={"patient": asked}).json()["studies"]
    assert changed not in {each["study_instance_uid"] for each in listed}


def test_a_killed_archive_takes_nothing_away_and_comes_back(region: Region) -> None:
    uid, files = _study("ANNONAY", 2)
    region.store("ANNONAY", *files)
    region.publish_until(lambda: region.found() == {uid})
    region.archives["ANNONAY"].stop()
    site = next(each for each in sites_of(region.running.service, ["ANNONAY"], 0.0))
    assert publish_once(region.running.service, site) is None
    started = time.monotonic()
    answer = httpx.get(f"{region.root}/studies/{uid}", timeout=30)
    assert (answer.status_code, answer.json()["location"]) == (503, "ANNONAY")
    assert region.found() == {uid}
    assert time.monotonic() - started < 2
    region.archives["ANNONAY"].start()
    until = time.monotonic() + 15
    while httpx.get(f"{region.root}/studies/{uid}", timeout=30).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.2)


def _instances(region: Region, uid: str) -> int:
    answer = httpx.get(f"{region.root}/studies", params={"StudyInstanceUID": uid}).json()
    return int(answer[0]["00201208"]["Value"][0])


def _unlink(region: Region, first: RecordKey, second: RecordKey) -> None:
    body = {
        "a": {"domain": first.domain, "local_id": first.local_id},
        "b": {"domain": second.domain, "local_id": second.local_id},
        "verdict": "different",
        "reason": "test",
    }
    answer = httpx.post(f"{region.running.base_url}/api/links", json=body)
    assert answer.status_code == 200, answer.text

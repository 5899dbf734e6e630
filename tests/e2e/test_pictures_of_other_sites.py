"""Pictures of the sites' archives through /dicom-web: under the asker's id, as manifests list them, never a hang."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from ihe.caller import Caller
from ihe.communities import Community
from ihe.soap.envelope import read_envelope, soap_request
from ihe.soap.mtom import MessageReader, mtom_message
from ihe.soap.sinks import SpoolSink
from ihe.values import Oid
from ihe.xml import parse_xml
from region.region_table import RegionTable, load_region
from tests.conftest import clone_database
from tests.e2e.conftest import serving
from tests.imaging_region import TABLE, Region, region
from tests.ports import free_port
from tests.unit.xds.translate.test_dicom_coercion import PIXELS
from xds.services import retrieve_imaging
from xds.transactions import rad75_cross_gateway_retrieve_imaging_document_set as rad75

__all__ = ["region"]


def test_a_study_streams_under_the_askers_id_with_its_pixels_untouched(region: Region) -> None:
    client = DICOMwebClient(region.root)
    found = client.retrieve_study(region.study.uid)
    assert len(found) == 3
    for each in found:
        assert (each.PatientID, each.IssuerOfPatientID) == ("ROANNE1", "ROANNE")
        assert each.OtherPatientIDsSequence[0].PatientID == "CHUSE1"
        assert each.PixelData == PIXELS
    (metadata, *_) = client.retrieve_study_metadata(region.study.uid)
    assert metadata["00100020"]["Value"] == ["ROANNE1"]
    assert metadata["00101002"]["Value"][0]["00100020"]["Value"] == ["CHUSE1"]
    (item, *_) = httpx.get(f"{region.root}/studies/{region.study.uid}/metadata").json()
    assert item["7FE00010"]["BulkDataURI"].startswith(region.root + "/studies/")


def test_nothing_may_be_kept_by_a_cache(region: Region) -> None:
    for path in ("", "/metadata", "/rendered"):
        answer = httpx.get(region.instance + path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


def test_a_thumbnail_is_a_small_rendering_of_the_middle_picture(region: Region) -> None:
    study, series = region.study, region.study.series[0]
    at = f"{region.root}/studies/{study.uid}"
    middle = series.instances[1].sop_instance_uid
    for address, instance in (
        (f"{at}/thumbnail", middle),
        (f"{at}/series/{series.uid}/thumbnail", middle),
        (f"{region.instance}/thumbnail", series.instances[0].sop_instance_uid),
    ):
        answer = httpx.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        wanted = f"studies/{study.uid}/series/{series.uid}/instances/{instance}/rendered?viewport=160,160"
        assert region.archive.asked[-1] == wanted
    browsers = {"Accept": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"}
    assert httpx.get(f"{at}/thumbnail", headers=browsers).status_code == 200
    assert httpx.get(f"{at}/series/1.2.3/thumbnail").status_code == 404


def test_wado_uri_gives_the_file_itself(region: Region) -> None:
    series = region.study.series[0]
    asked = {
        "requestType": "WADO",
        "studyUID": region.study.uid,
        "seriesUID": series.uid,
        "objectUID": series.instances[1].sop_instance_uid,
        "contentType": "application/dicom",
    }
    answer = httpx.get(f"{region.root}/wado", params=asked)
    assert answer.headers["content-type"] == "application/dicom"
    read = pydicom.dcmread(io.BytesIO(answer.content))
    assert (read.PatientID, read.SOPInstanceUID) == ("ROANNE1", asked["objectUID"])
    assert httpx.get(f"{region.root}/wado", params={**asked, "contentType": "image/jpeg"}).content[:2] == b"\xff\xd8"
    for name in ("studyUID", "seriesUID", "objectUID"):
        assert httpx.get(f"{region.root}/wado", params={**asked, name: ""}).status_code == 404
        assert httpx.get(f"{region.root}/wado", params={**asked, name: "1.2.3"}).status_code == 404


@pytest.mark.parametrize(
    "path", ["/studies/1.2.3", "/studies/{study}/series/1.2.3", "/studies/..%2f..%2fsystem", "/studies/x/metadata"]
)
def test_only_what_a_manifest_lists_is_asked_of_an_archive(region: Region, path: str) -> None:
    region.archive.asked.clear()
    assert httpx.get(region.root + path.format(study=region.study.uid)).status_code in (400, 404)
    assert set(region.archive.asked) <= {"studies?limit=1"}


@pytest.mark.parametrize("path", ["/frames/0", "/frames/x", "/bulk/..%2f..", "/bulk/a.b"])
def test_odd_parts_of_an_instance_are_not_asked_for(region: Region, path: str) -> None:
    region.archive.asked.clear()
    assert httpx.get(region.instance + path).status_code == 404
    assert set(region.archive.asked) <= {"studies?limit=1"}


def test_a_dead_archive_is_named_and_its_recovery_noticed(region: Region) -> None:
    region.archive.delay_seconds = 30
    archives = region.running.service.xds.studies.archives
    _wait(lambda: archives.unreachable(["CHUSE"]) == ("CHUSE",))
    started = time.monotonic()
    answer = httpx.get(region.instance)
    listed = httpx.get(f"{region.root}/studies", params={"PatientID": "ROANNE1"})
    assert time.monotonic() - started < 2
    assert answer.status_code == 503
    assert answer.json()["location"] == "CHUSE"
    assert [each["0020000D"]["Value"] for each in listed.json()] == [[region.study.uid]]
    assert "CHUSE" in listed.headers["warning"]
    region.archive.delay_seconds = 0
    _wait(lambda: not archives.unreachable(["CHUSE"]))
    assert httpx.get(region.instance).status_code == 200
    assert "warning" not in httpx.get(f"{region.root}/studies", params={"PatientID": "ROANNE1"}).headers


def test_bulk_data_and_a_frame_come_whole_or_by_byte_range(region: Region) -> None:
    plain = {"Accept": "application/octet-stream"}
    for path in ("/bulk/7fe00010", "/frames/1"):
        whole = httpx.get(region.instance + path, headers=plain)
        assert (whole.status_code, whole.headers["content-type"]) == (200, "application/octet-stream")
        assert (whole.content, whole.headers["accept-ranges"]) == (PIXELS, "bytes")
        size = len(PIXELS)
        end = size - 1
        for asked, first, last in (("0-99", 0, 99), ("100-", 100, end), (f"{end - 2}-{end + 9}", end - 2, end)):
            part = httpx.get(region.instance + path, headers={**plain, "Range": f"bytes={asked}"})
            assert (part.status_code, part.content) == (206, PIXELS[first : last + 1])
            said, _, total = part.headers["content-range"].partition("/")
            assert said == f"bytes {first}-{last}"
            assert total in ("*", str(size))
        beyond = httpx.get(region.instance + path, headers={**plain, "Range": f"bytes={size}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        for odd in ("bytes=5-1", "bytes=-5", "bytes=0-1,3-4", "lines=1-2"):
            assert httpx.get(region.instance + path, headers={**plain, "Range": odd}).content == PIXELS
    part = httpx.get(f"{region.instance}/rendered", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"pic")
    file = httpx.get(region.instance, headers={"Accept": "application/dicom", "Range": "bytes=0-9"})
    assert file.status_code == 200  # its header is another one for each asker
    assert pydicom.dcmread(io.BytesIO(file.content)).PixelData == PIXELS


def test_a_slow_reader_holds_the_archive_back_and_one_that_leaves_lets_it_go(region: Region) -> None:
    region.archive.repeat = 20_000
    address = f"{region.root}/studies/{region.study.uid}"
    for number in range(20):  # more than are read of one archive at once
        before = region.archive.sent
        with httpx.stream("GET", address, timeout=30) as answer:
            assert answer.status_code == 200
            next(answer.iter_raw(65536))
            if number == 0:
                time.sleep(1)
                held = region.archive.sent
                time.sleep(0.5)
                assert region.archive.sent == held < 60_000_000
        _wait(lambda number=number: region.archive.hung_up == number + 1)  # type: ignore[misc]
        assert region.archive.sent - before < 60_000_000
    region.archive.repeat = 1
    assert httpx.get(address).status_code == 200


def test_who_waits_for_a_slow_archive_keeps_nobody_from_the_history(region: Region) -> None:
    archive = region.running.service.xds.studies.archives.of("CHUSE")
    with ThreadPoolExecutor(40) as pool, httpx.Client(timeout=60) as client:
        region.archive.delay_seconds = 30
        waiting = [pool.submit(client.get, region.instance) for _ in range(40)]
        _wait(lambda: region.archive.taken >= 6)
        started = time.monotonic()
        asked = {"patient": "ROANNE|ROANNE1"}
        found = client.get(f"{region.running.base_url}/priors", params=asked).json()
        listed = client.get(f"{region.root}/studies", params={"PatientID": "ROANNE1"})
        assert time.monotonic() - started < 2
        assert [each["study_instance_uid"] for each in found["studies"]] == [region.study.uid]
        assert listed.status_code == 200
        answers = [each.result() for each in waiting]
    assert {(answer.status_code, answer.json()["location"]) for answer in answers} == {(503, "CHUSE")}
    assert archive.breaker.is_open
    (item,) = httpx.get(f"{region.root}/studies", params={"PatientID": "ROANNE1"}).json()
    assert item["00080056"]["Value"] == ["UNAVAILABLE"]
    (series,) = httpx.get(f"{region.root}/studies/{region.study.uid}/series").json()
    assert series["00080056"]["Value"] == ["UNAVAILABLE"]
    region.archive.delay_seconds = 0
    _wait(lambda: not archive.breaker.is_open)
    (item,) = httpx.get(f"{region.root}/studies", params={"PatientID": "ROANNE1"}).json()
    assert item["00080056"]["Value"] == ["ONLINE"]


def test_by_setting_everything_is_shown_as_the_archive_says(region: Region) -> None:
    studies = replace(region.running.service.xds.studies, coerces=False)
    object.__setattr__(region.running.service.xds, "studies", studies)
    (item,) = httpx.get(f"{region.root}/studies", params={"PatientID": "ROANNE1"}).json()
    (metadata, *_) = httpx.get(f"{region.root}/studies/{region.study.uid}/metadata").json()
    file = httpx.get(region.instance, headers={"Accept": "application/dicom"}).content
    assert item["00100020"]["Value"] == metadata["00100020"]["Value"] == ["CHUSE1"]
    assert "00101002" not in metadata
    assert file in region.archive.files.values()


RAD69 = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
EXPLICIT = "1.2.840.10008.1.2.1"


def _retrieve(
    region: Region,
    *instances: tuple[str, str],
    syntax: str = EXPLICIT,
    action: str = RAD69,
    path: str = "/ihe/imaging",
    home: str | None = None,
) -> tuple[Any, list[bytes]]:
    series = region.study.series[0].uid
    community = f"<b:HomeCommunityId>{home}</b:HomeCommunityId>" if home else ""
    named = "".join(
        f"<b:DocumentRequest>{community}<b:RepositoryUniqueId>{source}</b:RepositoryUniqueId>"
        f"<b:DocumentUniqueId>{uid}</b:DocumentUniqueId></b:DocumentRequest>"
        for source, uid in instances
    )
    body = (
        '<i:RetrieveImagingDocumentSetRequest xmlns:i="urn:ihe:rad:xdsi-b:2009" xmlns:b="urn:ihe:iti:xds-b:2007">'
        f'<i:StudyRequest studyInstanceUID="{region.study.uid}"><i:SeriesRequest seriesInstanceUID="{series}">{named}'
        "</i:SeriesRequest></i:StudyRequest><i:TransferSyntaxUIDList>"
        f"<i:TransferSyntaxUID>{syntax}</i:TransferSyntaxUID></i:TransferSyntaxUIDList>"
        "</i:RetrieveImagingDocumentSetRequest>"
    )
    address = f"{region.running.base_url}{path}"
    message = mtom_message(soap_request(action, address, parse_xml(body.encode())), [], action)
    headers = {"Content-Type": message.content_type}
    answer = httpx.post(address, content=b"".join(message.body), headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    reader = MessageReader(answer.headers["content-type"], SpoolSink)
    reader.feed(answer.content)
    received = reader.close()
    found = [each.sink.path.read_bytes() for each in received.attachments.values()]  # type: ignore[attr-defined]
    reader.discard()
    return read_envelope(received.root).body_element, found


def _status_and_codes(body: Any) -> tuple[str, list[str]]:
    rs = "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}"
    status = body.find(f"{rs}RegistryResponse").get("status").rpartition(":")[2]
    return status, [each.get("errorCode") for each in body.iter(f"{rs}RegistryError")]


def test_pictures_come_over_soap_each_or_an_error_that_names_it(region: Region) -> None:
    source = str(region.running.table.by_code("CHUSE").imaging_source_id)
    uids = [instance.sop_instance_uid for instance in region.study.series[0].instances]
    body, found = _retrieve(region, *((source, uid) for uid in uids))
    assert _status_and_codes(body) == ("Success", [])
    assert [pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID for data in found] == uids
    assert all(pydicom.dcmread(io.BytesIO(data)).PixelData == PIXELS for data in found)
    body, found = _retrieve(region, (source, uids[0]), (source, "1.2.3"), ("2.25.99", uids[1]))
    assert _status_and_codes(body) == ("PartialSuccess", ["XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"])
    assert len(found) == 1
    body, found = _retrieve(region, (source, uids[0]), syntax="1.2.840.10008.1.2.4.90")
    assert _status_and_codes(body) == ("Failure", ["urn:dicom:wado:0007"])
    body, found = _retrieve(region, (source, uids[0]), syntax="")
    assert _status_and_codes(body) == ("Failure", ["XDSIRequestError"])


def test_much_of_a_series_is_asked_for_in_one_question_and_the_rest_one_by_one(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(region.running.table.by_code("CHUSE").imaging_source_id)
    series = region.study.series[0]
    uids = [instance.sop_instance_uid for instance in series.instances]
    monkeypatch.setattr(retrieve_imaging, "_TOGETHER", 2)
    for wanted, questions in ((uids[:2], 1), (uids, 1), (uids[:1], 1), ([*uids[1:], "1.2.3"], 1)):
        region.archive.asked.clear()
        body, found = _retrieve(region, *((source, uid) for uid in wanted))
        assert len([each for each in region.archive.asked if "series" in each]) == questions
        known = [uid for uid in wanted if uid in uids]
        read = [pydicom.dcmread(io.BytesIO(data)) for data in found]
        assert [each.SOPInstanceUID for each in read] == known
        assert {(each.PatientID, each.PixelData) for each in read} == {("CHUSE1", PIXELS)}
        assert _status_and_codes(body)[0] == ("Success" if known == wanted else "PartialSuccess")
    lost = region.archive.files.pop((region.study.uid, series.uid, uids[1]))
    region.archive.asked.clear()
    body, found = _retrieve(region, *((source, uid) for uid in uids))
    assert _status_and_codes(body) == ("PartialSuccess", ["XDSDocumentUniqueIdError"])
    assert len(found) == 2
    assert len([each for each in region.archive.asked if "series" in each]) == 2
    region.archive.files[region.study.uid, series.uid, uids[1]] = lost
    body, found = _retrieve(region, *((source, uid) for uid in uids), syntax="1.2.840.10008.1.2.4.90")
    assert _status_and_codes(body) == ("Failure", ["urn:dicom:wado:0007"] * 3)


def test_another_community_is_answered_when_it_names_this_one(region: Region) -> None:
    source = str(region.running.table.by_code("CHUSE").imaging_source_id)
    uids = [instance.sop_instance_uid for instance in region.study.series[0].instances]
    named = [(source, uid) for uid in uids]
    own = f"urn:oid:{region.running.table.home_community_id}"
    body, found = _retrieve(region, *named, action=rad75.ACTION, path="/ihe/xcai", home=own)
    assert _status_and_codes(body) == ("Success", [])
    assert [pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID for data in found] == uids
    for home, code in ((None, "XDSMissingHomeCommunityId"), ("urn:oid:2.25.404", "XDSUnknownCommunity")):
        body, found = _retrieve(region, *named[:1], action=rad75.ACTION, path="/ihe/xcai", home=home)
        assert _status_and_codes(body) == ("Failure", [code])
        assert found == []


def test_a_consumer_gets_pictures_of_other_communities_through_our_gateway(
    region: Region, embedded_server: Any, template_database: str, tmp_path: Path
) -> None:
    source = str(region.running.table.by_code("CHUSE").imaging_source_id)
    uids = [instance.sop_instance_uid for instance in region.study.series[0].instances]
    own = region.running.table.home_community_id
    there = Community("Loire", own, xcai_retrieve=f"{region.running.base_url}/ihe/xcai")
    dead = Community("Dead", Oid("2.25.902"), xcai_retrieve=f"http://127.0.0.1:{free_port()}/", timeout_seconds=2)
    silent = Community("Silent", Oid("2.25.903"))
    plain = load_region(TABLE)
    table = RegionTable("South", Oid("2.25.904"), tuple(plain), (), (there, dead, silent))
    with (
        clone_database(embedded_server, template_database) as url,
        serving(url, table, tmp_path / "south") as south,
    ):
        asking = replace(region, running=south)
        for wanted in (uids, uids * 50):  # the second in two slices
            body, found = _retrieve(
                asking, *((source, uid) for uid in wanted), path="/ihe/gateway", home=f"urn:oid:{own}"
            )
            assert _status_and_codes(body) == ("Success", [])
            assert [pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID for data in found] == wanted
            assert {pydicom.dcmread(io.BytesIO(data)).PixelData for data in found} == {PIXELS}
        for home, code in (
            ("urn:oid:2.25.902", "XDSUnavailableCommunity"),
            ("urn:oid:2.25.903", "XDSUnavailableCommunity"),
            ("urn:oid:2.25.404", "XDSUnknownCommunity"),
            (None, "XDSDocumentUniqueIdError"),  # ours, which has no such picture
        ):
            body, found = _retrieve(asking, (source, uids[0]), path="/ihe/gateway", home=home)
            assert _status_and_codes(body) == ("Failure", [code]), home
        with south.service.database.unit(Caller(node="test")) as uow:
            audited = uow.connection.exec_driver_sql(
                "SELECT count(*) FROM audit_event WHERE transaction = 'RAD-69' AND outcome = 0"
            ).scalar_one()
        assert audited >= 2


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)

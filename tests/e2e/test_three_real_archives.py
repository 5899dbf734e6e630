"""Three Orthanc servers and no mock: stored by storescu, published by the service, found under a fourth site's id by
every transaction, fetched as they were stored, gone when the link is; and what happens when archives fail.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pydicom
import requests
from dicomtrolley.core import InstanceReference
from dicomtrolley.rad69 import Rad69
from dicomtrolley.xml_templates import RAD69_SOAP_REQUEST_TEMPLATE
from dicomweb_client.api import DICOMwebClient

from ihe.caller import Caller
from ihe.soap.envelope import read_envelope, soap_request
from ihe.xml import parse_xml, serialize
from mpi.domain.identity import RecordKey
from region.synthetic.imaging import Study
from tests.real_archives import SITES, Region, needs_orthanc, region, wait_until

__all__ = ["region"]
pytestmark = needs_orthanc

STORED_QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"


def _find_documents(region: Region) -> set[str]:
    """ITI-18 FindDocuments by ROANNE's number: the study UIDs that the manifests' entries refer to."""
    roanne = region.running.table.by_code("ROANNE").oid
    body = (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"'
        ' xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">'
        '<q:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
        f'<AdhocQuery id="{FIND_DOCUMENTS}"><Slot name="$XDSDocumentEntryPatientId"><ValueList>'
        f"<Value>'ROANNE1^^^&amp;{roanne}&amp;ISO'</Value></ValueList></Slot>"
        '<Slot name="$XDSDocumentEntryStatus"><ValueList>'
        "<Value>('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')</Value></ValueList></Slot></AdhocQuery>"
        "</q:AdhocQueryRequest>"
    )
    address = f"{region.running.base_url}/ihe/registry"
    envelope = serialize(soap_request(STORED_QUERY, address, parse_xml(body.encode())))
    headers = {"Content-Type": f'application/soap+xml; charset=UTF-8; action="{STORED_QUERY}"'}
    answer = httpx.post(address, content=envelope, headers=headers, timeout=60)
    found = read_envelope(parse_xml(answer.content)).body_element
    values = [each.text or "" for each in found.iter("{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}Value")]
    return {value.partition("^")[0] for value in values if value.endswith("urn:ihe:iti:xds:2016:studyInstanceUID")}


def _mhd(region: Region) -> set[str]:
    """ITI-67: the study UIDs that current DocumentReferences relate to."""
    asked = {"patient.identifier": region.marie, "status": "current"}
    answer = httpx.get(f"{region.running.base_url}/fhir/DocumentReference", params=asked, timeout=60)
    related = [each for entry in answer.json().get("entry", ()) for each in entry["resource"]["context"]["related"]]
    studies = (
        each["identifier"]["value"]
        for each in related
        if each["identifier"]["type"]["coding"][0]["code"] == "urn:ihe:iti:xds:2016:studyInstanceUID"
    )
    return {value.removeprefix("urn:oid:") for value in studies}


def _imaging_studies(region: Region) -> set[str]:
    asked = {"patient.identifier": region.marie}
    answer = httpx.get(f"{region.running.base_url}/fhir/ImagingStudy", params=asked, timeout=60)
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


def _qido(region: Region) -> set[str]:
    client = DICOMwebClient(region.root)
    return {each["0020000D"]["Value"][0] for each in client.search_for_studies(search_filters={"PatientID": "ROANNE1"})}


def _ways(region: Region) -> dict[str, set[str]]:
    """What each way of asking lists for Marie."""
    return {
        "priors": region.found(),
        "QIDO-RS": _qido(region),
        "ITI-18": _find_documents(region),
        "MHD": _mhd(region),
        "ImagingStudy": _imaging_studies(region),
    }


def _rad69(region: Region, study: Study) -> dict[str, bytes]:
    """The pictures of a study by RAD-69, as dicomtrolley asks for them."""
    source = region.running.table.by_code(study.site).imaging_source_id
    trolley = Rad69(requests.Session(), f"{region.running.base_url}/ihe/imaging")
    trolley.template = RAD69_SOAP_REQUEST_TEMPLATE.replace("1.3.6.1.4.1000", str(source))
    references = [
        InstanceReference(study_uid=study.uid, series_uid=series.uid, instance_uid=instance.sop_instance_uid)
        for series in study.series
        for instance in series.instances
    ]
    return {str(each.SOPInstanceUID): bytes(each.PixelData) for each in trolley.datasets(references)}


def _pixels(files: list[bytes]) -> dict[str, bytes]:
    read = [pydicom.dcmread(io.BytesIO(data)) for data in files]
    return {str(each.SOPInstanceUID): bytes(each.PixelData) for each in read}


def _complaints(data: bytes, folder: Path) -> str:
    """What dciodvfy has against a file; empty where the program is not installed."""
    if shutil.which("dciodvfy") is None:
        return ""
    file = folder / "checked.dcm"
    file.write_bytes(data)
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, timeout=60, check=False)
    return "\n".join(line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error"))


def test_from_storescu_to_a_viewer_elsewhere_and_gone_with_the_link(region: Region, tmp_path: Path) -> None:
    kinds = dict(zip(SITES, ("CT", "MR", "CR"), strict=True))
    studies = {site: region.study(site, kind, (3, 2)) for site, kind in kinds.items()}
    stored = {site: region.files(study) for site, study in studies.items()}
    others = region.study("CHUSE", "CT", (1,), person=2)
    region.store("CHUSE", *region.files(others))
    for site, files in stored.items():
        region.store(site, *files)
    uids = {study.uid for study in studies.values()}
    seconds = wait_until(lambda: region.found() == uids)
    assert seconds < 10 or os.getloadavg()[0] > (os.cpu_count() or 1), "published later than promised"

    assert {way for way, found in _ways(region).items() if found != uids} == set()
    listed = region.priors(patient=region.marie, modality="CT", region="67734004")["studies"]
    assert [each["copies"][0]["site"] for each in listed] == ["CHUSE", "ICL", "ANNONAY"]
    assert [each["relevance"] for each in listed] == ["region-and-modality", "region", "neither"]
    assert {each["joined_by"][-1]["id"] for each in listed} == {f"{site}1" for site in SITES}

    client = DICOMwebClient(region.root)
    for site, study in studies.items():
        fetched = client.retrieve_study(study.uid)
        assert {str(each.SOPInstanceUID): bytes(each.PixelData) for each in fetched} == _pixels(stored[site])
        assert {(each.PatientID, each.IssuerOfPatientID) for each in fetched} == {("ROANNE1", "ROANNE")}
        assert _rad69(region, study) == _pixels(stored[site])
        for each in fetched:
            target = io.BytesIO()
            each.save_as(target, enforce_file_format=True)
            assert _complaints(target.getvalue(), tmp_path) == ""
        picture = httpx.get(f"{region.root}/studies/{study.uid}/thumbnail", timeout=30)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
        assert len(picture.content) < 20_000

    _unlink(region, "CHUSE")
    left = region.found()
    assert studies["CHUSE"].uid not in left < uids
    assert {way for way, found in _ways(region).items() if found != left} == set()


def test_what_changes_is_replaced_and_what_is_gone_is_withdrawn(region: Region) -> None:
    study = region.study("CHUSE", "CT", (2,))
    gone = region.study("ICL", "MR", (1,))
    region.store("CHUSE", *region.files(study))
    region.store("ICL", *region.files(gone))
    wait_until(lambda: region.found() == {study.uid, gone.uid})
    (first,) = study.series
    added = tuple(replace(each, sop_instance_uid=f"{each.sop_instance_uid}.1") for each in first.instances)
    grown = replace(first, instances=(*first.instances, *added))
    region.store("CHUSE", *region.files(replace(study, series=(grown,))))
    wait_until(lambda: {study.uid: 4}.items() <= _instance_counts(region).items())
    assert _statuses(region) == {"Approved": 2, "Deprecated": 1}
    archive = region.archives["ICL"]
    (number,) = httpx.get(f"{archive.rest_url}/studies").json()
    httpx.delete(f"{archive.rest_url}/studies/{number}")
    wait_until(lambda: region.found() == {study.uid})
    assert _statuses(region) == {"Approved": 1, "Deprecated": 2}
    metrics = httpx.get(f"{region.running.base_url}/metrics").text
    assert 'traitdunion_published_studies_total{outcome="replaced",site="CHUSE"} 1.0' in metrics


def test_a_study_whose_patient_the_archive_corrects_leaves_the_first_one_at_once(region: Region) -> None:
    kept, study = region.study("CHUSE"), region.study("CHUSE", "MR", (2,))
    region.store("CHUSE", *region.files(kept), *region.files(study))
    wait_until(lambda: region.found() == {kept.uid, study.uid})
    region.store("CHUSE", *region.files(study))  # the same again
    corrected = replace(study, key=RecordKey("CHUSE", "CHUSE2"))
    region.store("CHUSE", *region.files(corrected))  # Orthanc now has it of both
    wait_until(lambda: region.found() == {kept.uid})
    paul = {"patient": region.marie.replace("ROANNE1", "ROANNE2")}
    assert region.priors(**paul)["studies"] == []
    archive = region.archives["CHUSE"]
    wanted = {"Level": "Study", "Query": {"PatientID": "CHUSE1", "StudyInstanceUID": study.uid}}
    (number,) = httpx.post(f"{archive.rest_url}/tools/find", json=wanted).json()
    httpx.delete(f"{archive.rest_url}/studies/{number}")
    wait_until(lambda: {each["study_instance_uid"] for each in region.priors(**paul)["studies"]} == {study.uid})
    assert region.found() == {kept.uid}
    assert _statuses(region) == {"Approved": 2, "Deprecated": 1}


def test_one_site_dead_and_one_that_hangs_take_nothing_away(region: Region) -> None:
    studies = {site: region.study(site, "CT", (1,)) for site in SITES}
    for site, study in studies.items():
        region.store(site, *region.files(study))
    uids = {study.uid for study in studies.values()}
    wait_until(lambda: region.found() == uids)
    region.archives["ANNONAY"].stop()
    region.pause("ICL")
    try:
        slowest = 0.0

        def is_named() -> bool:
            nonlocal slowest
            started = time.monotonic()
            answer = region.priors()
            slowest = max(slowest, time.monotonic() - started)
            assert {each["study_instance_uid"] for each in answer["studies"]} == uids
            return set(answer["unreachable"]) == {"ANNONAY", "ICL"}

        wait_until(is_named)
        assert slowest < 2
        reachable = {copy["site"]: copy["reachable"] for each in region.priors()["studies"] for copy in each["copies"]}
        assert reachable == {"CHUSE": True, "ANNONAY": False, "ICL": False}
        started = time.monotonic()
        assert _fetch(region, studies["CHUSE"]).status_code == 200
        refused = _fetch(region, studies["ICL"])
        assert (refused.status_code, refused.json()["location"]) == (503, "ICL")
        assert time.monotonic() - started < 2
    finally:
        region.resume("ICL")
    region.archives["ANNONAY"].start()
    wait_until(lambda: region.priors()["unreachable"] == [])
    for study in studies.values():
        assert _fetch(region, study).status_code == 200


def _instance_counts(region: Region) -> dict[str, int]:
    return {each["study_instance_uid"]: each["instances"] for each in region.priors()["studies"]}


def _fetch(region: Region, study: Study) -> httpx.Response:
    return httpx.get(f"{region.root}/studies/{study.uid}", timeout=30)


def _statuses(region: Region) -> dict[str, int]:
    with region.running.service.database.unit(Caller(node="test")) as uow:
        rows = uow.connection.exec_driver_sql("SELECT status, count(*) FROM document_entry GROUP BY 1").all()
    return {row[0]: row[1] for row in rows}


def _unlink(region: Region, site: str) -> None:
    pair: dict[str, Any] = {
        name: {"domain": code, "local_id": f"{code}1"} for name, code in (("a", site), ("b", "ROANNE"))
    }
    body = {**pair, "verdict": "different", "reason": "test"}
    assert httpx.post(f"{region.running.base_url}/api/links", json=body).status_code == 200

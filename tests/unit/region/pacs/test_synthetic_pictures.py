"""Synthetic pictures are valid DICOM, list what the manifest lists, and differ from patient to patient."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ihe.values import PatientId
from region.pacs.demonstration import SITES, studies_of_story
from region.pacs.orthanc import Orthanc
from region.pacs.pictures import dicom_files
from region.region_table import load_region
from xds.translate.dicom_coercion import PassingFile, ShownPatient

TABLE = load_region(Path(__file__).resolve().parents[4] / "fixtures" / "region.toml")


def test_pictures_are_those_that_the_manifest_lists_and_show_whose_they_are() -> None:
    studies = studies_of_story()
    assert {study.site for study in studies} == set(SITES)
    study = next(each for each in studies if each.modality.code == "CT")
    site = TABLE.by_code(study.site)
    read = [pydicom.dcmread(io.BytesIO(data)) for data in dicom_files(study, site, side=64)]
    listed = [instance.sop_instance_uid for series in study.series for instance in series.instances]
    assert [each.SOPInstanceUID for each in read] == listed
    assert {(each.PatientID, each.IssuerOfPatientID) for each in read} == {(study.key.local_id, study.site)}
    other = next(dicom_files(replace(study, person=study.person + 1), site, side=64))
    difference = read[0].pixel_array.astype(int) - pydicom.dcmread(io.BytesIO(other)).pixel_array
    assert np.mean(np.abs(difference) > 200) > 0.05


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy of dicom3tools: make programs installs it")
def test_dciodvfy_finds_each_kind_valid_as_stored_and_as_shown_to_another_site(tmp_path: Path) -> None:
    seen: set[str] = set()
    roanne = PatientId("R0220415", TABLE.by_code("ROANNE").authority)
    for study in studies_of_story():
        site = TABLE.by_code(study.site)
        data = next(dicom_files(study, site, side=64))
        kind = pydicom.dcmread(io.BytesIO(data)).SOPClassUID
        if kind in seen:
            continue
        seen.add(kind)
        passing = PassingFile(ShownPatient(roanne, site.authority))
        shown = passing.feed(data) + passing.close()
        assert pydicom.dcmread(io.BytesIO(shown)).PatientID == "R0220415"
        for name, content in (("stored", data), ("shown", shown)):
            file = tmp_path / f"{name}.dcm"
            file.write_bytes(content)
            done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, timeout=60, check=False)
            lines = (done.stdout + done.stderr).splitlines()
            assert [line for line in lines if line.startswith("Error")] == [], (study.modality.code, name)
    assert len(seen) >= 4


def test_an_archive_listens_on_this_machine_only(tmp_path: Path) -> None:
    archive = Orthanc.for_url("CHUSE", TABLE.by_code("CHUSE").pacs_url or "", tmp_path)
    told = archive.configuration()
    assert (told["RemoteAccessAllowed"], told["HttpPort"], told["DicomAet"]) == (False, 8141, "CHUSE")
    assert archive.dicomweb_url.endswith(":8141/dicom-web")

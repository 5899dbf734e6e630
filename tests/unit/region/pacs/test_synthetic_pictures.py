"""Synthetic pictures are valid DICOM, list what the manifest lists, and differ from patient to patient."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom

from region.pacs.commands import SITES, studies_of_story
from region.pacs.orthanc import Orthanc
from region.pacs.pictures import dicom_files
from region.region_table import load_region

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


def test_an_archive_listens_on_this_machine_only(tmp_path: Path) -> None:
    archive = Orthanc.for_url("CHUSE", TABLE.by_code("CHUSE").pacs_url or "", tmp_path)
    told = archive.configuration()
    assert (told["RemoteAccessAllowed"], told["HttpPort"], told["DicomAet"]) == (False, 8141, "CHUSE")
    assert archive.dicomweb_url.endswith(":8141/dicom-web")

"""Our manifests, read by others: DCMTK's dsrdump and dcmdump, and highdicom."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest

from tests.xds_repository import make_manifest, make_study
from xds.domain.imaging import ManifestPatient
from xds.translate.kos_writer import build_kos


@pytest.fixture
def file(tmp_path: Path) -> Path:
    study = make_study()
    manifest = make_manifest(study, patient=ManifestPatient(ids=make_manifest(study).patient.ids, name="ESSAI^ANNE"))
    path = tmp_path / "kos.dcm"
    path.write_bytes(build_kos(manifest))
    return path


@pytest.mark.parametrize("program", ["dsrdump", "dcmdump"])
def test_dcmtk_reads_them_without_a_complaint(file: Path, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program} of DCMTK: make programs installs it")
    done = subprocess.run([program, str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    complaints = [line for line in done.stderr.splitlines() if "support" not in line]  # what it says of itself
    assert complaints == []
    assert "Manifest" in done.stdout


def test_highdicom_reads_them(file: Path) -> None:
    ko = pytest.importorskip("highdicom.ko", reason="highdicom is not installed")
    dataset = pydicom.dcmread(io.BytesIO(file.read_bytes()))
    document = ko.KeyObjectSelectionDocument.from_dataset(dataset)
    assert len(document.content) == 1
    for item in dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence:
        for reference in item.ReferencedSOPSequence:
            study, series, instance = document.resolve_reference(reference.ReferencedSOPInstanceUID)
            assert instance == reference.ReferencedSOPInstanceUID
            assert (study, series) == (
                dataset.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID,
                item.SeriesInstanceUID,
            )

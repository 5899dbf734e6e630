"""Synthetic DICOM objects of a study: CT, MR and X-ray pictures that nobody would take for another patient's.

Each patient has a shape of its own (drawn from the patient's number), each series a grey of its own, each picture its
number as a bar, so that a mix-up is seen. Nothing is taken from a real picture.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ihe.values import AssigningAuthority
from region.region_table import Domain
from region.synthetic.imaging import Study
from xds.domain.body_parts import body_part_in
from xds.domain.imaging import ImagingSeries, Instance
from xds.translate.kos_writer import IMPLEMENTATION_CLASS_UID

_SIDE: Final = {"CT": 256, "MR": 192}
_OTHER_SIDE: Final = {"US": 256}
_RADIOGRAPH_SIDE: Final = 512
_DIGITAL_RADIOGRAPH: Final = "1.2.840.10008.5.1.4.1.1.1.1"
_PAIRED: Final = frozenset({"BREAST", "SHOULDER", "HIP"})
_MULTI_FRAME: Final = {"1.2.840.10008.5.1.4.1.1.3.1": 12}
"""Ultrasound multi-frame pictures have so many frames."""


def dicom_files(study: Study, site: Domain, *, side: int | None = None) -> Iterator[bytes]:
    """Every instance that the study's manifest lists, as a DICOM file.

    Args:
        side: pixels in a row and a column; default what the modality usually has, smaller.
    """
    for number, series in enumerate(study.series, 1):
        for position, instance in enumerate(series.instances, 1):
            yield _file(study, site, series, number, instance, position, side)


def _file(
    study: Study, site: Domain, series: ImagingSeries, series_number: int, instance: Instance, position: int,
    side: int | None,
) -> bytes:  # fmt: skip
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if study.modality.code == "CT" else "OTHER"]
    dataset.SOPClassUID = instance.sop_class_uid
    dataset.SOPInstanceUID = instance.sop_instance_uid
    _write_moments(dataset, study.started_at)
    dataset.AccessionNumber = study.accession
    dataset.Modality = study.modality.code
    dataset.Manufacturer = "Synthetic"
    dataset.InstitutionName = site.name
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = (study.procedure.display or "")[:64]
    dataset.SeriesDescription = series.description or ""
    _write_patient(dataset, study, site.authority)
    dataset.StudyInstanceUID = study.uid
    dataset.SeriesInstanceUID = series.uid
    dataset.StudyID = study.accession[-6:]
    dataset.SeriesNumber = series_number
    dataset.InstanceNumber = position
    dataset.BodyPartExamined = body_part_in(study.region)
    if dataset.BodyPartExamined in _PAIRED:
        dataset.Laterality = "L"
    _write_acquisition(dataset)
    if instance.sop_class_uid == _DIGITAL_RADIOGRAPH:
        _write_radiograph(dataset, study)
    _write_pixels(dataset, study, series_number, position, len(series.instances), side)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(instance.sop_class_uid)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance.sop_instance_uid)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _write_acquisition(dataset: Dataset) -> None:
    """What the definition of the object requires beside the pixels (Source: DICOM PS3.3 A.3, A.4, A.2)."""
    if dataset.Modality in _SIDE:
        dataset.PatientPosition = "HFS"
        dataset.PositionReferenceIndicator = ""
        dataset.AcquisitionNumber = 1
    if dataset.Modality == "CT":
        dataset.KVP = 120
    elif dataset.Modality == "MR":
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
        dataset.MRAcquisitionType, dataset.EchoTrainLength = "2D", 1
        dataset.RepetitionTime, dataset.EchoTime = 500, 15
    else:
        dataset.ViewPosition = ""
        dataset.PatientOrientation = ["L", "F"]


def _write_radiograph(dataset: Dataset, study: Study) -> None:
    """What a digital radiograph for presentation says of itself (Source: DICOM PS3.3 A.26)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator = study.region.code, "SCT"
    region.CodeMeaning = (study.region.display or study.region.code)[:64]
    dataset.AnatomicRegionSequence = [region]
    dataset.ImageLaterality = dataset.get("Laterality", "U")
    if "Laterality" in dataset:  # which is the series'
        del dataset.Laterality
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PresentationLUTShape, dataset.LossyImageCompression, dataset.BurnedInAnnotation = "IDENTITY", "00", "NO"
    dataset.DetectorType = dataset.PositionerType = ""
    dataset.ImagerPixelSpacing = [0.6, 0.6]
    dataset.AcquisitionContextSequence = []


def _write_moments(dataset: Dataset, moment: datetime) -> None:
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{name}Date", f"{moment:%Y%m%d}")
        setattr(dataset, f"{name}Time", f"{moment:%H%M%S}")


def _write_patient(dataset: Dataset, study: Study, authority: AssigningAuthority) -> None:
    traits = study.traits
    born = traits.birth_date
    dataset.PatientName = f"{traits.birth_family_name}^{traits.first_birth_given_name or ''}"
    dataset.PatientID = study.key.local_id
    dataset.IssuerOfPatientID = authority.namespace or ""
    dataset.PatientBirthDate = born.first_day().isoformat().replace("-", "") if born and born.is_full else ""
    dataset.PatientSex = traits.sex.value if traits.sex else ""


def _write_pixels(
    dataset: Dataset, study: Study, series_number: int, position: int, count: int, side: int | None
) -> None:
    side = side or (_SIDE | _OTHER_SIDE).get(study.modality.code, _RADIOGRAPH_SIDE)
    frames = _MULTI_FRAME.get(dataset.SOPClassUID, 1)
    spacing = round(320 / side, 3)
    if study.modality.code in _SIDE:
        dataset.SliceThickness = 3
        dataset.FrameOfReferenceUID = f"{study.uid}.1"
        dataset.ImagePositionPatient = [-160, -160, 3 * position]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [spacing, spacing]
    if study.modality.code == "CT":
        dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
        dataset.WindowCenter, dataset.WindowWidth = 200, 1600
    else:
        dataset.WindowCenter, dataset.WindowWidth = 1024, 2048
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = side
    if frames > 1:
        dataset.NumberOfFrames, dataset.FrameTime = frames, 100
        dataset.FrameIncrementPointer = 0x00181063
    bits = 8 if study.modality.code == "US" else 12  # (Source: DICOM PS3.3 C.8.5.6.1.9)
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    pixels = [_picture(study.person, series_number, position + frame, count + frames, side) for frame in range(frames)]
    stored = np.stack(pixels)
    dataset.PixelData = ((stored >> 4).astype("u1") if bits == 8 else stored.astype("<u2")).tobytes()
    dataset["PixelData"].VR = "OW"


def _picture(person: int, series_number: int, position: int, count: int, side: int) -> NDArray[np.uint16]:
    """A body outline with organs where this person alone has them, and the picture's number as a bar below."""
    marks = hashlib.sha256(f"person {person}".encode()).digest()
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    depth = 0.55 + 0.4 * np.sin(np.pi * position / (count + 1))
    body = (x / (0.75 + marks[0] / 1600)) ** 2 + (y / (0.5 + marks[1] / 1600)) ** 2 < depth
    picture = np.where(body, 900.0 + 60 * series_number, 20.0)
    for organ in range(4):
        across, down, size, grey = (marks[2 + 4 * organ + i] / 255 for i in range(4))
        where = (x - across + 0.5) ** 2 + (y - 0.6 * down + 0.3) ** 2 < (0.06 + 0.12 * size) ** 2 * depth
        picture = np.where(where & body, 400 + 1500 * grey, picture)
    ripple = 25 * np.sin((8 + marks[20] % 24) * (x + y * (marks[21] / 255)))
    picture = picture + np.where(body, ripple, 0)
    picture[-max(2, side // 48) :, : max(1, side * position // (count + 1))] = 2000
    clipped: NDArray[np.uint16] = np.clip(picture, 0, 4095).astype(np.uint16)
    return clipped

"""A file under another patient id: the header says so, the originals stand beside it, the rest passes byte by byte."""

from __future__ import annotations

import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from ihe.errors import MalformedRequest, NotAcceptable
from ihe.values import AssigningAuthority, Oid, PatientId
from xds.translate.dicom_coercion import PassingFile, ShownPatient

HOME = AssigningAuthority("CHUSE", Oid("2.25.11"))
ROANNE = PatientId("R-7", AssigningAuthority("ROANNE", Oid("2.25.12")))
PIXELS = bytes(range(256)) * 64
SHOWN = ShownPatient(ROANNE, HOME)


def make_file(syntax: str = ExplicitVRLittleEndian, *, undefined: bool = False, **more: object) -> bytes:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "2.25.1"
    dataset.PatientName = "EXEMPLE^ÉLOÏSE"
    dataset.PatientID = "C-1"
    item = Dataset()
    item.CodeValue = "1"
    nested = Dataset()
    nested.CodeValue = "2"
    item.ConceptNameCodeSequence = [nested]
    dataset.ProcedureCodeSequence = [item]
    dataset.RequestAttributesSequence = [Dataset()]
    for name, value in more.items():
        setattr(dataset, name, value)
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for each in element.value:
                each.is_undefined_length_sequence_item = undefined
    dataset.BitsAllocated, dataset.Rows, dataset.Columns = 8, 128, 128
    dataset.PixelData = pydicom.encaps.encapsulate([PIXELS]) if syntax == JPEGLosslessSV1 else PIXELS
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = syntax == JPEGLosslessSV1
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def passed(data: bytes, size: int = 1000, shown: ShownPatient = SHOWN) -> bytes:
    passing = PassingFile(shown)
    pieces = [passing.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join([*pieces, passing.close()])


@given(
    syntax=st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1]),
    undefined=st.booleans(),
    size=st.integers(1, 4000),
)
def test_the_header_names_the_asker_and_the_pixels_pass_untouched(syntax: str, undefined: bool, size: int) -> None:
    before = make_file(syntax, undefined=undefined)
    after = passed(before, size)
    pixels = before.index(b"\xe0\x7f\x10\x00")
    assert after.endswith(before[pixels:])
    read, original = pydicom.dcmread(io.BytesIO(after)), pydicom.dcmread(io.BytesIO(before))
    assert read.PatientID == "R-7"
    assert read.IssuerOfPatientID == "ROANNE"
    assert read.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "2.25.12"
    (other,) = read.OtherPatientIDsSequence
    assert (other.PatientID, other.IssuerOfPatientID) == ("C-1", "CHUSE")
    (change,) = read.OriginalAttributesSequence
    assert change.ReasonForTheAttributeModification == "COERCE"
    assert change.ModifiedAttributesSequence[0].PatientID == "C-1"
    for name in ("PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"):
        delattr(read, name)
    del read.OtherPatientIDsSequence, read.OriginalAttributesSequence, original.PatientID
    assert read == original


def test_what_others_changed_before_is_kept() -> None:
    other, change = Dataset(), Dataset()
    other.PatientID, other.TypeOfPatientID = "OLD", "TEXT"
    change.ReasonForTheAttributeModification = "CORRECT"
    change.ModifiedAttributesSequence = [Dataset()]
    before = make_file(
        OtherPatientIDsSequence=[other], OriginalAttributesSequence=[change], IssuerOfPatientID="ELSEWHERE"
    )
    read = pydicom.dcmread(io.BytesIO(passed(before)))
    assert [each.PatientID for each in read.OtherPatientIDsSequence] == ["OLD", "C-1"]
    assert read.OtherPatientIDsSequence[1].IssuerOfPatientID == "ELSEWHERE"
    assert [each.ReasonForTheAttributeModification for each in read.OriginalAttributesSequence] == ["CORRECT", "COERCE"]


def test_the_askers_own_file_passes_as_it_is() -> None:
    before = make_file(PatientID="R-7", IssuerOfPatientID="ROANNE")
    assert passed(before) == before
    at_home = ShownPatient(ROANNE, ROANNE.authority)
    without_issuer = make_file(PatientID="R-7")
    assert passed(without_issuer, shown=at_home) == without_issuer


def test_the_same_number_of_another_issuer_is_not_the_askers() -> None:
    read = pydicom.dcmread(io.BytesIO(passed(make_file(PatientID="R-7"))))
    assert read.OtherPatientIDsSequence[0].IssuerOfPatientID == "CHUSE"


def test_a_file_without_patient_gets_one() -> None:
    dataset = pydicom.dcmread(io.BytesIO(make_file()))
    del dataset.PatientID
    target = io.BytesIO()
    dataset.save_as(target)
    read = pydicom.dcmread(io.BytesIO(passed(target.getvalue())))
    assert read.PatientID == "R-7"
    assert "OtherPatientIDsSequence" not in read


@pytest.mark.parametrize("data", [b"", b"x" * 200, make_file()[:300], bytes(128) + b"DICM" + bytes(9)])
def test_what_is_no_whole_file_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRequest):
        passed(data)


def test_a_deflated_file_is_refused_not_leaked() -> None:
    with pytest.raises(NotAcceptable):
        passed(make_file(DeflatedExplicitVRLittleEndian))

""":class:`~xds.domain.imaging.Manifest` → key object selection document.

The standard's layout with the national habits: accession numbers stand in the request sequence with their issuer, each
series carries its own address, and text items name the study and its series.

Source: DICOM PS3.3 A.35.4, C.17.6; PS3.16 TID 2010; RAD TF-3: 4.68.4.1.2.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, time

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ihe.values import AssigningAuthority, Code
from xds.domain.imaging import (
    KEY_OBJECT_SELECTION,
    NOT_PICTURES,
    ImagingSeries,
    ImagingStudy,
    IssuedId,
    Manifest,
    ManifestPatient,
    is_uid,
    modality_of_class,
)

IMPLEMENTATION_CLASS_UID = "2.25.222031411640374215911357409117459174209"
_IMPLEMENTATION_VERSION = "TRAITDUNION"
_KEY_OBJECT_DESCRIPTION = Code("113012", "DCM", "Key Object Description")
_LO = 64
"""Characters of a long string."""
_WAVEFORM_CLASSES = "1.2.840.10008.5.1.4.1.1.9."


def build_kos(manifest: Manifest) -> bytes:
    """Write a manifest as a DICOM file (explicit VR little endian, UTF-8).

    Dates and times of studies are written as they are; the moment of creation in the manifest's offset, in UTC if it
    states none. The header describes the study that the manifest belongs to.

    Descriptions and names of places are cut to the 64 characters that DICOM gives them.

    Raises:
        ValueError: a UID that is missing or no UID, or an accession number of more than 16 characters.
    """
    if not all(map(is_uid, _uids(manifest))):
        raise ValueError("a UID has digits and dots, at most 64 characters")
    if any(len(accession.value) > 16 for study in manifest.studies for accession in study.accessions):
        raise ValueError("an accession number has at most 16 characters")
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = KEY_OBJECT_SELECTION
    dataset.SOPInstanceUID = manifest.uid
    _write_patient(dataset, manifest.patient)
    _write_study(dataset, manifest)
    _write_document(dataset, manifest)
    dataset.ReferencedRequestSequence = [
        _request(study, accession) for study in manifest.studies for accession in study.accessions
    ]
    if not dataset.ReferencedRequestSequence:
        del dataset.ReferencedRequestSequence
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(study) for study in manifest.studies if study.series]
    dataset.ContentSequence = list(_content(manifest))

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(KEY_OBJECT_SELECTION)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(manifest.uid)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    dataset.file_meta.ImplementationVersionName = _IMPLEMENTATION_VERSION
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _uids(manifest: Manifest) -> Iterator[str]:
    yield from (manifest.uid, manifest.series_uid, manifest.study_uid)
    for study in manifest.studies:
        yield study.uid
        for series in study.series:
            yield series.uid
            for instance in series.instances:
                yield instance.sop_class_uid
                yield instance.sop_instance_uid


def _write_patient(dataset: Dataset, patient: ManifestPatient) -> None:
    dataset.PatientName = patient.name or ""
    dataset.PatientBirthDate = _da(patient.birth_date)
    dataset.PatientSex = patient.sex or ""
    dataset.PatientID = ""
    if patient.ids:
        _write_patient_id(dataset, patient.ids[0])
    if patient.ids[1:]:
        dataset.OtherPatientIDsSequence = []
        for other in patient.ids[1:]:
            item = Dataset()
            _write_patient_id(item, other)
            item.TypeOfPatientID = "TEXT"
            dataset.OtherPatientIDsSequence.append(item)


def _write_patient_id(dataset: Dataset, issued: IssuedId) -> None:
    dataset.PatientID = issued.value
    if issued.issuer is not None:
        if issued.issuer.namespace:
            dataset.IssuerOfPatientID = issued.issuer.namespace
        if issued.issuer.oid is not None:
            dataset.IssuerOfPatientIDQualifiersSequence = [_issuer(issued.issuer)]


def _issuer(authority: AssigningAuthority) -> Dataset:
    item = Dataset()
    if authority.oid is not None:
        item.UniversalEntityID = str(authority.oid)
        item.UniversalEntityIDType = "ISO"
    else:
        item.LocalNamespaceEntityID = authority.namespace
    return item


def _write_study(dataset: Dataset, manifest: Manifest) -> None:
    own = next((study for study in manifest.studies if study.uid == manifest.study_uid), None)
    dataset.StudyInstanceUID = manifest.study_uid
    dataset.StudyDate = _da(own.date) if own else ""
    dataset.StudyTime = _tm(own.time) if own else ""
    if own and own.description:
        dataset.StudyDescription = own.description[:_LO]
    dataset.StudyID = ""
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def _write_document(dataset: Dataset, manifest: Manifest) -> None:
    if manifest.created_at is not None:
        moment = manifest.created_at.astimezone(manifest.zone(UTC))
        dataset.InstanceCreationDate = dataset.ContentDate = _da(moment.date())
        dataset.InstanceCreationTime = dataset.ContentTime = _tm(moment.time())
    else:
        dataset.ContentDate = dataset.ContentTime = ""
    if manifest.utc_offset_minutes is not None:
        hours, minutes = divmod(abs(manifest.utc_offset_minutes), 60)
        dataset.TimezoneOffsetFromUTC = f"{'-' if manifest.utc_offset_minutes < 0 else '+'}{hours:02d}{minutes:02d}"
    dataset.Modality = "KO"
    dataset.SeriesInstanceUID = manifest.series_uid
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.Manufacturer = (manifest.manufacturer or "")[:_LO]
    if manifest.institution:
        dataset.InstitutionName = manifest.institution[:_LO]
    dataset.ValueType = "CONTAINER"
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ConceptNameCodeSequence = [_code(manifest.title)]
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "2010"
    dataset.ContentTemplateSequence = [template]


def _request(study: ImagingStudy, accession: IssuedId) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study.uid
    item.ReferencedStudySequence = []
    item.AccessionNumber = accession.value
    if accession.issuer is not None:
        item.IssuerOfAccessionNumberSequence = [_issuer(accession.issuer)]
    item.PlacerOrderNumberImagingServiceRequest = ""
    item.FillerOrderNumberImagingServiceRequest = ""
    item.RequestedProcedureID = ""
    item.RequestedProcedureDescription = ""
    item.RequestedProcedureCodeSequence = []
    return item


def _evidence(study: ImagingStudy) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study.uid
    item.ReferencedSeriesSequence = [_series(series) for series in study.series]
    return item


def _series(series: ImagingSeries) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series.uid
    if series.retrieve_ae_title:
        item.RetrieveAETitle = series.retrieve_ae_title
    if series.retrieve_location_uid:
        item.RetrieveLocationUID = series.retrieve_location_uid
    if series.retrieve_url:
        item.RetrieveURL = series.retrieve_url
    item.ReferencedSOPSequence = [
        _reference(instance.sop_class_uid, instance.sop_instance_uid) for instance in series.instances
    ]
    return item


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _content(manifest: Manifest) -> Iterator[Dataset]:
    for study in manifest.studies:
        if study.description:
            yield _text_item(f"Examen : {study.description}")
        for series in study.series:
            if series.kind:
                yield _text_item(f"{series.uid} : {series.kind} @ {series.description or ''}".rstrip())
    for study in manifest.studies:
        for series in study.series:
            for instance in series.instances:
                item = Dataset()
                item.RelationshipType = "CONTAINS"
                item.ValueType = _value_type(instance.sop_class_uid)
                item.ReferencedSOPSequence = [_reference(instance.sop_class_uid, instance.sop_instance_uid)]
                yield item


def _text_item(text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = [_code(_KEY_OBJECT_DESCRIPTION)]
    item.TextValue = text
    return item


def _value_type(sop_class_uid: str) -> str:
    """How a content item refers to an instance (Source: PS3.16 TID 2010)."""
    if sop_class_uid.startswith(_WAVEFORM_CLASSES):
        return "WAVEFORM"
    modality = modality_of_class(sop_class_uid)
    return "COMPOSITE" if modality is None or (modality in NOT_PICTURES and modality != "SEG") else "IMAGE"


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue = code.code
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = (code.display or code.code)[:_LO]
    return item


def _da(day: date | None) -> str:
    return day.isoformat().replace("-", "") if day else ""


def _tm(moment: time | None) -> str:
    if moment is None:
        return ""
    return moment.strftime("%H%M%S.%f") if moment.microsecond else moment.strftime("%H%M%S")

"""A manifest beside its document entry: what differs is a warning, what one lacks the other completes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ihe.values import AssigningAuthority, Code, Oid, PatientId
from xds.domain.imaging import (
    DICOM_UID_REGISTRY,
    KEY_OBJECT_SELECTION,
    ImagingSeries,
    ImagingStudy,
    Instance,
    IssuedId,
    Manifest,
    ManifestPatient,
    is_manifest_entry,
    study_url,
)
from xds.domain.imaging_sources import ImagingSource, ImagingSources
from xds.domain.manifest_checks import check_manifest, with_metadata
from xds.domain.model import DocumentEntry, LocalizedText

PARIS = ZoneInfo("Europe/Paris")
SITE = AssigningAuthority(oid=Oid("2.25.1"))
STUDY = ImagingStudy(
    uid="2.25.20",
    series=(ImagingSeries(uid="2.25.21", instances=(Instance("1.2.3", "2.25.22"),), retrieve_location_uid="2.25.3"),),
    date=date(2024, 1, 1),
    time=time(0, 30),
    accessions=(IssuedId("A-1"),),
)
MANIFEST = Manifest(
    uid="2.25.10",
    series_uid="2.25.11",
    study_uid="2.25.20",
    studies=(STUDY,),
    patient=ManifestPatient(ids=(IssuedId("7", SITE),)),
)
ENTRY = DocumentEntry(
    id="Document",
    unique_id="2.25.10",
    mime_type="application/dicom",
    format_code=Code(KEY_OBJECT_SELECTION, DICOM_UID_REGISTRY),
    service_start_time="20231231233000",
    source_patient_id=PatientId("7", SITE),
    reference_id_list=(
        "2.25.20^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
        "A-1^^^&2.25.77&ISO^urn:ihe:iti:xds:2013:accession",
    ),
)


def warnings(manifest: Manifest, entry: DocumentEntry) -> list[str]:
    found = list(check_manifest(manifest, entry, PARIS))
    assert all(finding.code == "InvalidDocumentContent" and finding.severity == "Warning" for finding in found)
    return [finding.context for finding in found]


def test_agreement_needs_no_warning() -> None:
    assert warnings(MANIFEST, ENTRY) == []


@pytest.mark.parametrize(
    ("manifest", "entry", "word"),
    [
        ({"uid": "2.25.9"}, {}, "SOP instance UID"),
        ({"study_uid": "2.25.9"}, {}, "own header"),
        ({"studies": (STUDY, replace(STUDY, uid="2.25.9"))}, {}, "more than one"),
        ({"studies": (replace(STUDY, series=()),)}, {}, "no instance"),
        ({"studies": (replace(STUDY, series=(replace(STUDY.series[0], retrieve_location_uid=None),)),)}, {}, "fetched"),
        ({}, {"service_start_time": "20240103"}, "serviceStartTime"),
        ({}, {"source_patient_id": PatientId("8", SITE)}, "patient id"),
        ({}, {"reference_id_list": ("2.25.9^^^^urn:ihe:iti:xds:2016:studyInstanceUID",)}, "another study"),
        ({}, {"reference_id_list": ("B-1^^^&2.25.77&ISO^urn:ihe:iti:xds:2013:accession",)}, "accession"),
        (
            {"studies": (replace(STUDY, series=(replace(STUDY.series[0], modality="CT"),)),)},
            {"event_code_list": (Code("MR", "DCM"),)},
            "another modality",
        ),
        ({"unlisted": 2}, {}, "evidence"),
        ({"title": Code("113001", "DCM", "Rejected for Quality Reasons")}, {}, "no manifest"),
    ],
)
def test_each_difference_is_one_warning_without_patient_data(
    manifest: dict[str, Any], entry: dict[str, Any], word: str
) -> None:
    (found,) = warnings(replace(MANIFEST, **manifest), replace(ENTRY, **entry))
    assert word in found
    assert found.startswith("2.25.10: ")


def test_national_identity_against_local_number_is_no_difference() -> None:
    ins = IssuedId("279035121518989", AssigningAuthority("ASIP-SANTE-INS-NIR", Oid("1.2.250.1.213.1.4.10")))
    assert warnings(replace(MANIFEST, patient=ManifestPatient(ids=(ins,))), ENTRY) == []


def test_the_entry_completes_what_the_manifest_lacks() -> None:
    region = Code("69536005", "2.16.840.1.113883.6.96", "Tête")
    entry = replace(
        ENTRY,
        event_code_list=(Code("MR", "1.2.840.10008.2.16.4", "IRM"), region, Code("ACQN001", "1.2.250.1.213.2.5")),
        title=(LocalizedText("IRM cérébrale"),),
    )
    (study,) = with_metadata(MANIFEST, entry).studies
    assert study.modalities == ("MR",)
    assert study.regions == (region,)
    assert study.description == "IRM cérébrale"
    assert study.accessions == (IssuedId("A-1", AssigningAuthority(oid=Oid("2.25.77"))),)


def test_the_manifest_goes_before_the_entry() -> None:
    stated = replace(
        STUDY,
        series=(replace(STUDY.series[0], modality="CT"),),
        description="Scanner",
        accessions=(IssuedId("A-1", SITE),),
        regions=(Code("1", "SCT"),),
    )
    entry = replace(
        ENTRY,
        event_code_list=(Code("MR", "DCM"), Code("2", "SCT")),
        title=(LocalizedText("Autre"),),
    )
    assert with_metadata(replace(MANIFEST, studies=(stated,)), entry).studies == (stated,)


def test_an_entry_says_nothing_of_which_of_several_studies_it_means() -> None:
    several = replace(MANIFEST, studies=(STUDY, replace(STUDY, uid="2.25.9")))
    assert with_metadata(several, replace(ENTRY, event_code_list=(Code("MR", "DCM"),))) == several


def test_only_a_dicom_document_of_that_format_is_a_manifest() -> None:
    assert is_manifest_entry(ENTRY)
    assert not is_manifest_entry(replace(ENTRY, mime_type="application/pdf"))
    assert not is_manifest_entry(replace(ENTRY, format_code=Code("1.2.840.10008.5.1.4.1.1.88.33", DICOM_UID_REGISTRY)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://a.example/rs", "https://a.example/rs/studies/1.2"),
        ("https://a.example/rs/", "https://a.example/rs/studies/1.2"),
        ("https://a.example/rs/studies/1.2", "https://a.example/rs/studies/1.2"),
        ("https://a.example/rs/studies/1.2/series/3.4", "https://a.example/rs/studies/1.2"),
    ],
)
def test_the_address_of_a_study_is_made_of_any_form_in_use(given: str, expected: str) -> None:
    assert study_url(given, "1.2") == expected


def test_a_source_is_found_by_location_then_address_then_patient() -> None:
    one = ImagingSource("ONE", "One", Oid("2.25.1"), "https://one.example/rs", Oid("2.25.3"))
    two = ImagingSource("TWO", "Two", Oid("2.25.2"), "https://one.example/rs2")
    sources = ImagingSources([one, two])
    assert sources.find("2.25.3", "https://one.example/rs2/studies/1", "7^^^&2.25.2&ISO") is one
    assert sources.find("2.25.9", "https://one.example/rs2/studies/1", "7^^^&2.25.1&ISO") is two
    assert sources.find(None, None, "7^^^&2.25.1&ISO") is one
    assert sources.find(None, None, None) is None
    assert sources.by_site("TWO") is two


def test_midnight_is_local() -> None:
    assert STUDY.started_at(PARIS).astimezone(UTC).isoformat() == "2023-12-31T23:30:00+00:00"  # type: ignore[union-attr]

"""Key object manifests: ours survive the way out and back; those of others are read as they are."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config as pydicom_config

from ihe.errors import MalformedRequest, TooLarge
from ihe.values import AssigningAuthority, Code, Oid
from xds.domain.imaging import (
    ImagingSeries,
    ImagingStudy,
    Instance,
    IssuedId,
    Manifest,
    ManifestPatient,
    modality_of_class,
)
from xds.translate import kos_manifest
from xds.translate.kos_manifest import read_kos
from xds.translate.kos_writer import build_kos

PARIS = ZoneInfo("Europe/Paris")
CT, MR, PRESENTATION = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.11.1",
)


def manifest(**changes: object) -> Manifest:
    series = ImagingSeries(
        uid="2.25.30",
        instances=(Instance(CT, "2.25.31"), Instance(CT, "2.25.32")),
        modality="CT",
        description="Crâne sans injection",
        retrieve_url="https://pacs.example.org/dicom-web/studies/2.25.20/series/2.25.30",
        retrieve_location_uid="2.25.99",
        retrieve_ae_title="PACS",
    )
    study = ImagingStudy(
        uid="2.25.20",
        series=(series,),
        date=date(2024, 7, 14),
        time=time(8, 30, 15),
        description="Scanner cérébral",
        accessions=(IssuedId("A-1", AssigningAuthority(oid=Oid("2.25.77"))),),
    )
    values: dict[str, object] = {
        "uid": "2.25.10",
        "series_uid": "2.25.11",
        "study_uid": "2.25.20",
        "patient": ManifestPatient(
            ids=(
                IssuedId("279035121518989", AssigningAuthority("ASIP-SANTE-INS-NIR", Oid("1.2.250.1.213.1.4.10"))),
                IssuedId("ROA1", AssigningAuthority(oid=Oid("2.25.5"))),
            ),
            name="LEFÈVRE^ANNE-MARIE",
            birth_date=date(1979, 3, 5),
            sex="F",
        ),
        "studies": (study,),
        "created_at": datetime(2024, 7, 14, 7, 0, 1, tzinfo=UTC),
        "utc_offset_minutes": 120,
        "institution": "Hôpital d'essai",
        "manufacturer": "Trait d'Union",
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


def test_long_texts_are_cut_and_long_accession_numbers_refused() -> None:
    (study,) = manifest().studies
    written = build_kos(manifest(studies=(replace(study, description="é" * 70),), institution="x" * 70))
    assert read_kos(written, PARIS).studies[0].description == "é" * 64
    with pytest.raises(ValueError, match="accession"):
        build_kos(manifest(studies=(replace(study, accessions=(IssuedId("1" * 17),)),)))


def test_a_date_at_the_end_of_the_calendar_has_no_instant() -> None:
    first = ImagingStudy(uid="2.25.20", date=date(1, 1, 1))
    assert first.started_at(PARIS) is None
    assert read_kos(build_kos(manifest(studies=(first,))), PARIS).studies == (first,)


def test_what_is_written_is_read_back() -> None:
    assert read_kos(build_kos(manifest()), PARIS) == manifest()


def test_an_empty_manifest_is_legal() -> None:
    empty = manifest(studies=(ImagingStudy(uid="2.25.20", date=date(2024, 7, 14)),))
    assert read_kos(build_kos(empty), PARIS) == empty


uids = st.integers(1, 2**120).map(lambda number: f"2.25.{number}")
letters = st.characters(max_codepoint=0x2FF, exclude_characters="\\^=:", exclude_categories=["C", "Z"])
texts = st.text(letters, min_size=1, max_size=16)
authorities = st.none() | uids.map(lambda uid: AssigningAuthority(oid=Oid(uid)))
identifiers = st.builds(IssuedId, texts, authorities)
series_of = st.builds(
    ImagingSeries,
    uid=uids,
    instances=st.lists(st.builds(Instance, st.sampled_from([CT, MR]), uids), min_size=1, max_size=3).map(tuple),
    modality=st.sampled_from(["CT", "MR", "PT"]),
    description=st.none() | texts,
    retrieve_url=st.none() | uids.map(lambda uid: f"https://pacs.example.org/rs/studies/{uid}"),
    retrieve_location_uid=st.none() | uids,
)


@settings(max_examples=60, deadline=None)
@given(
    series=st.lists(series_of, min_size=1, max_size=3, unique_by=lambda found: found.uid).map(tuple),
    day=st.none() | st.dates(),
    moment=st.none() | st.times(),
    accessions=st.lists(identifiers, max_size=2, unique=True).map(tuple),
    ids=st.lists(identifiers, min_size=1, max_size=3, unique=True).map(tuple),
    offset=st.none() | st.integers(-12 * 60, 14 * 60),
)
def test_any_manifest_survives_the_way_out_and_back(
    series: tuple[ImagingSeries, ...],
    day: date | None,
    moment: time | None,
    accessions: tuple[IssuedId, ...],
    ids: tuple[IssuedId, ...],
    offset: int | None,
) -> None:
    study = ImagingStudy(uid="2.25.20", series=series, date=day, time=moment, accessions=accessions)
    given_manifest = manifest(
        studies=(study,), patient=ManifestPatient(ids=ids), utc_offset_minutes=offset, created_at=None
    )
    assert read_kos(build_kos(given_manifest), PARIS) == given_manifest
    study.started_at(given_manifest.zone(PARIS))


def test_pydicom_reads_ours_strictly() -> None:
    before = pydicom_config.settings.reading_validation_mode
    pydicom_config.settings.reading_validation_mode = pydicom_config.RAISE
    try:
        dataset = pydicom.dcmread(io.BytesIO(build_kos(manifest())))
        assert [str(element) for element in dataset.iterall()]
        request = dataset.ReferencedRequestSequence[0]
        assert request.AccessionNumber == "A-1"
        assert request.IssuerOfAccessionNumberSequence[0].UniversalEntityID == "2.25.77"
        assert dataset.AccessionNumber == ""
        assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "2010"
        assert [item.ValueType for item in dataset.ContentSequence] == ["TEXT", "TEXT", "IMAGE", "IMAGE"]
    finally:
        pydicom_config.settings.reading_validation_mode = before


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="DCMTK (dsrdump) is not installed")
def test_dcmtk_accepts_ours_as_a_key_object_document(tmp_path: Path) -> None:
    path = tmp_path / "manifest.dcm"
    path.write_bytes(build_kos(manifest()))
    done = subprocess.run(["dsrdump", "+Pu", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unknown_to_dcmtk = ("does not support this Specific Character Set", "template constraints not yet supported")
    complaints = [line for line in done.stderr.splitlines() if not line.endswith(unknown_to_dcmtk)]
    assert [line for line in complaints if "ISO_IR 192" not in line] == []
    assert "Manifest" in done.stdout
    assert "2.25.31" in done.stdout


def test_local_time_is_the_zone_that_was_given() -> None:
    written = build_kos(manifest(utc_offset_minutes=None))
    read = read_kos(written, PARIS)
    assert read.studies[0].started_at(read.zone(PARIS)) == datetime(2024, 7, 14, 6, 30, 15, tzinfo=UTC)
    assert read_kos(build_kos(manifest()), UTC).studies[0].started_at(manifest().zone(UTC)) == datetime(
        2024, 7, 14, 6, 30, 15, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        (CT, "CT"),
        ("1.2.840.10008.5.1.4.1.1.2.1", "CT"),
        ("1.2.840.10008.5.1.4.1.1.1.1.1", "DX"),
        ("1.2.840.10008.5.1.4.1.1.12.1.1", "XA"),
        ("1.2.840.10008.5.1.4.1.1.77.1.5.4", "OPT"),
        ("1.2.840.10008.5.1.4.1.1.200.1", None),
        ("1.2.3", None),
    ],
)
def test_a_sop_class_implies_its_modality(sop_class: str, modality: str | None) -> None:
    assert modality_of_class(sop_class) == modality


def test_modalities_of_a_study_name_its_pictures() -> None:
    pictures = ImagingSeries(uid="2.25.1", instances=(Instance(MR, "2.25.2"),))
    markings = ImagingSeries(uid="2.25.3", instances=(Instance(PRESENTATION, "2.25.4"),))
    assert ImagingStudy(uid="2.25.9", series=(markings, pictures)).modalities == ("MR",)
    assert ImagingStudy(uid="2.25.9", series=(markings,)).modalities == ("PR",)


def damaged() -> list[tuple[str, bytes]]:
    whole = build_kos(manifest())
    other = pydicom.dcmread(io.BytesIO(whole))
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = CT
    image = io.BytesIO()
    other.save_as(image)
    return [
        ("nothing", b""),
        ("text", b"<ClinicalDocument/>"),
        ("preamble only", bytes(128) + b"DICM"),
        ("another SOP class", image.getvalue()),
        ("no study", _without(whole, "StudyInstanceUID")),
        ("no instance", _without(whole, "SOPInstanceUID")),
        ("bad UID", whole.replace(b"2.25.31\x00", b"2.25.3X\x00")),
    ]


def _without(whole: bytes, name: str) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(whole))
    del dataset[name]
    target = io.BytesIO()
    dataset.save_as(target)
    return target.getvalue()


@pytest.mark.parametrize(("name", "data"), damaged(), ids=[name for name, _ in damaged()])
def test_what_is_no_manifest_is_refused_without_quoting_it(name: str, data: bytes) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_kos(data, PARIS)
    assert "LEF" not in refused.value.message


def test_a_manifest_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kos_manifest, "MAX_BYTES", 10)
    with pytest.raises(TooLarge):
        read_kos(build_kos(manifest()), PARIS)


def test_references_that_the_evidence_does_not_list_are_counted() -> None:
    dataset = pydicom.dcmread(io.BytesIO(build_kos(manifest())))
    assert read_kos(build_kos(manifest()), PARIS).unlisted == 0
    first = next(item for item in dataset.ContentSequence if "ReferencedSOPSequence" in item)
    first.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
    target = io.BytesIO()
    dataset.save_as(target)
    assert read_kos(target.getvalue(), PARIS).unlisted == 1


def test_a_value_representation_that_does_not_exist_is_refused_wherever_it_stands() -> None:
    whole = build_kos(manifest())
    for tag in (b"\x08\x00\x16\x00UI", b"\x20\x00\x0d\x00UI"):
        with pytest.raises(MalformedRequest, match="cannot be decoded"):
            read_kos(whole.replace(tag, tag[:4] + b"U\x09"), PARIS)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_manifest_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(build_kos(manifest()))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with contextlib.suppress(MalformedRequest):
        read_kos(bytes(whole[:cut]), PARIS)


@pytest.fixture
def samples(shared_folder: Path) -> Path:
    folder = shared_folder / "testdata"
    if not any(folder.rglob("*.dcm")):
        pytest.skip(f"no sample manifests under {folder}")
    return folder


def test_every_sample_manifest_is_read(samples: Path) -> None:
    for path in sorted(samples.rglob("*.dcm")):
        read = read_kos(path.read_bytes(), PARIS)
        dataset = pydicom.dcmread(path)
        assert read.uid == dataset.SOPInstanceUID
        assert read.patient.ids[0].value == dataset.PatientID
        evidence = dataset.get("CurrentRequestedProcedureEvidenceSequence") or ()
        listed = [
            found.ReferencedSOPInstanceUID
            for item in evidence
            for series in item.ReferencedSeriesSequence
            for found in series.ReferencedSOPSequence
        ]
        assert [
            found.sop_instance_uid for study in read.studies for s in study.series for found in s.instances
        ] == listed
        for study in read.studies:
            assert study.modalities
            assert study.accessions
            assert all(series.retrieve_url or series.retrieve_location_uid for series in study.series)


def test_an_image_library_names_modality_region_and_series(samples: Path) -> None:
    (study,) = read_kos(next(samples.rglob("MADO_KOS_A.dcm")).read_bytes(), PARIS).studies
    assert study.modalities == ("CT",)
    assert study.regions == (Code("38266002", "SCT"), Code("67734004", "DCM"))
    assert [series.description for series in study.series] == ["Series A1", "Series A2"]


def test_the_national_text_items_name_modality_and_series(samples: Path) -> None:
    read = read_kos(next((samples / "ansforge").rglob("kos.dcm")).read_bytes(), PARIS)
    (series,) = read.studies[0].series
    assert (series.modality, series.description) == ("CT", "Dentascan  0.75  H60s")
    assert read.patient.ids[0].issuer == AssigningAuthority("ASIP-SANTE-INS-NIR", Oid("1.2.250.1.213.1.4.10"))

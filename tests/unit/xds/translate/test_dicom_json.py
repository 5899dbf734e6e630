"""What studies of one answer have in common is written once, and what they have not is not confused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from ihe.values import AssigningAuthority, Oid, PatientId
from xds.domain.imaging import IssuedId, ManifestPatient
from xds.domain.imaging_sources import ImagingSource
from xds.domain.priors import ManifestedStudy, PriorStudy, StudyCopy
from xds.translate.dicom_json import StudyWriter

HOME, OTHER = (AssigningAuthority(oid=Oid(f"2.25.{number}")) for number in (1, 2))
SOURCES = [
    ImagingSource("ROANNE", "CH de Roanne", Oid("2.25.1"), "http://roanne.example.org"),
    ImagingSource("FIRMINY", "CH de Firminy", Oid("2.25.2"), "http://firminy.example.org"),
    ImagingSource("FEURS", "CH du Forez", Oid("2.25.3")),
]
HEADER = ManifestPatient(ids=(IssuedId("R1", HOME),), name="FICTIVE^EXEMPLE", birth_date=date(1930, 1, 1), sex="F")


def study(uid: str, source: ImagingSource | None = SOURCES[0], *others: ImagingSource, **said: Any) -> PriorStudy:
    facts = ManifestedStudy(
        row_id=1,
        uid=uid,
        document_unique_id="2.25.9",
        repository_unique_id="2.25.8",
        entry_id="",
        anchor="R1^^^&2.25.1&ISO",
        patient_id="R1^^^&2.25.1&ISO",
        source_patient_id="R1^^^&2.25.1&ISO",
        confidentiality_codes=(),
        manifest_created_at=datetime(2025, 1, 1, tzinfo=UTC),
        started_at=None,
        date=date(2024, 7, 14),
        time=time(8, 30),
        description="Scanner fictif",
        modalities=("CT",),
        regions=(),
        accessions=(IssuedId("A1", HOME),),
        header=HEADER,
        retrieve_url=None,
        retrieve_location_uid=None,
        retrieve_ae_title="ROANNE",
        series_count=1,
        instance_count=2,
    )
    return PriorStudy(uid, tuple(StudyCopy(each, facts._replace(**said)) for each in (source, *others)))


STUDIES = [
    study("2.25.10"),
    study("2.25.11", SOURCES[1]),
    study("2.25.12", SOURCES[2]),
    study("2.25.13", None),
    study("2.25.14", SOURCES[1], SOURCES[0]),
    study("2.25.15", modalities=("MR", "PR")),
    study("2.25.16", retrieve_ae_title=None),
    study("2.25.17", accessions=(IssuedId("A1", OTHER),)),
    study("2.25.18", accessions=(IssuedId("A1", AssigningAuthority("FEURS")),)),
    study("2.25.19", accessions=(IssuedId("A1"),)),
    study("2.25.20", accessions=()),
    study("2.25.21", header=replace(HEADER, ids=(IssuedId("R1", OTHER),), sex="M")),
    study("2.25.22", header=replace(HEADER, name="AUTRE^EXEMPLE", birth_date=None)),
    study("2.25.23", source_patient_id="X9^^^&2.25.2&ISO"),
    study("2.25.24", source_patient_id=None, header=ManifestPatient()),
    study("2.25.25", date=None, time=None, description=None),
]


def test_each_study_is_written_as_if_it_were_the_only_one() -> None:
    for shown in (PatientId("R1", HOME), PatientId("F7", OTHER), None):
        together = StudyWriter("http://here", {"FIRMINY"})
        written = [together.write(each, shown) for each in (*STUDIES, *STUDIES)]
        alone = [StudyWriter("http://here", {"FIRMINY"}).write(each, shown) for each in (*STUDIES, *STUDIES)]
        assert written == alone
        assert [list(each) for each in written] == [list(each) for each in alone]


def test_what_differs_shows() -> None:
    writer = StudyWriter("http://here", {"FIRMINY"})
    written = {each.uid: writer.write(each, None) for each in STUDIES}
    assert [written[f"2.25.{n}"].get("00080056", {}).get("Value") for n in (10, 11, 12, 13, 14)] == [
        ["ONLINE"],
        ["UNAVAILABLE"],
        None,
        None,
        ["ONLINE"],
    ]
    assert written["2.25.15"]["00080061"]["Value"] == ["MR", "PR"]
    assert [("00080051" in written[f"2.25.{n}"]) for n in (10, 17, 18, 19, 20)] == [True, True, True, False, False]
    assert written["2.25.17"]["00080051"] != written["2.25.10"]["00080051"]
    assert written["2.25.21"]["00100040"]["Value"] == ["M"]
    assert written["2.25.22"]["00100010"]["Value"] == [{"Alphabetic": "AUTRE^EXEMPLE"}]
    assert written["2.25.23"]["00101002"]["Value"][0]["00100020"]["Value"] == ["X9"]

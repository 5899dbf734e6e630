"""A repository over a real database, with synthetic patients and submissions made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

import pytest
from sqlalchemy import create_engine

from ihe.caller import Caller
from ihe.confidentiality import Wishes
from ihe.unit_of_work import Database, UnitOfWork
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
)
from xds.domain.imaging_sources import ImagingSource, ImagingSources
from xds.domain.model import Association, AssociationType, DocumentEntry, LocalizedText, Submission, SubmissionSet
from xds.ports import Person
from xds.services.provide import provide
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.services.studies import Studies
from xds.store.content import DiskContent
from xds.translate.ebxml_document_set import XDSB, XOP
from xds.translate.ebxml_request import submission_request
from xds.translate.kos_writer import build_kos

REGION = Oid("2.25.1000")
ROANNE = Oid("2.25.1001")
FIRMINY = Oid("2.25.1002")
REPOSITORY = Oid("2.25.2000")
CT = "1.2.840.10008.5.1.4.1.1.2"


def patient_id(authority: Oid, value: str) -> PatientId:
    return PatientId(value, AssigningAuthority(oid=authority))


def new_uid() -> str:
    return Oid.from_uuid(uuid4())


class People:
    """A patient directory held in memory: who is who is what the test says."""

    def __init__(self) -> None:
        self._person_of: dict[PatientId, str] = {}

    def link(self, regional: str, *identifiers: PatientId) -> None:
        for identifier in (patient_id(REGION, regional), *identifiers):
            self._person_of[identifier] = regional

    def resolve(self, uow: UnitOfWork, asked: PatientId, *, to_write: bool = False) -> Person | None:
        regional = self._person_of.get(asked)
        if regional is None:
            return None
        same = frozenset(each for each, other in self._person_of.items() if other == regional)
        return Person(patient_id(REGION, regional), same)

    def wishes(self, uow: UnitOfWork, patient_id: PatientId) -> dict[str, Wishes]:
        return {patient_id.xds_cx: Wishes()}

    def answered(self, uow: UnitOfWork, asked: PatientId) -> Person | None:
        return self.resolve(uow, asked)

    def knows_authority(self, asked: PatientId) -> bool:
        return asked.authority.oid in (REGION, ROANNE, FIRMINY)


@dataclass
class House:
    """The repository under test and what a test does with it."""

    database: Database
    content: DiskContent
    people: People
    repository: Repository
    studies: Studies
    registry: Registry
    caller: Caller = field(default_factory=lambda: Caller("test"))

    def permit(self, may_read: Any) -> None:
        """Put a reading policy in force."""
        self.registry = replace(self.registry, may_read=may_read)
        self.repository = replace(self.repository, registry=self.registry)
        self.studies = replace(self.studies, registry=self.registry)

    def unit(self) -> Any:
        return self.database.unit(self.caller)

    def provide(self, *documents: tuple[DocumentEntry, bytes]) -> list[Any]:
        """One submission of these documents, in a transaction of its own."""
        submission = submission_of(*(entry for entry, _ in documents))
        return self.submit(submission, {entry.id: data for entry, data in documents})

    def submit(self, submission: Submission, documents: dict[str, bytes]) -> list[Any]:
        staged = {}
        for entry_id, data in documents.items():
            staged[entry_id] = self.content.stage()
            staged[entry_id].write(data)
        try:
            with self.unit() as uow:
                return provide(uow, submission, staged, self.repository)
        finally:
            for each in staged.values():
                each.discard()

    def staged_files(self) -> list[Path]:
        return list(self.content._staging.iterdir())


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    engine = create_engine(database_url)
    people = People()
    people.link("P1", patient_id(ROANNE, "ROA1"), patient_id(FIRMINY, "FIR1"))
    people.link("P2", patient_id(ROANNE, "ROA2"))
    content = DiskContent(tmp_path / "content")
    sources = ImagingSources(
        [
            ImagingSource("ROANNE", "Roanne", ROANNE, "https://roanne.example.org/dicom-web", Oid("2.25.3001")),
            ImagingSource("FIRMINY", "Firminy", FIRMINY, "https://firminy.example.org/dicom-web", Oid("2.25.3002")),
        ]
    )
    registry = Registry(people)
    repository = Repository(registry, content, REPOSITORY)
    yield House(Database(engine), content, people, repository, Studies(registry, sources), registry)
    engine.dispose()


def make_entry(**changes: Any) -> DocumentEntry:
    code = Code("x", "2.25.4000", "X")
    values: dict[str, Any] = {
        "id": f"Document-{uuid4().hex}",
        "unique_id": new_uid(),
        "patient_id": patient_id(REGION, "P1"),
        "source_patient_id": patient_id(ROANNE, "ROA1"),
        "class_code": code,
        "type_code": code,
        "format_code": code,
        "healthcare_facility_type_code": code,
        "practice_setting_code": code,
        "confidentiality_codes": (Code("N", "2.16.840.1.113883.5.25", "Normal"),),
        "creation_time": "20240714",
        "language_code": "fr-FR",
        "mime_type": "text/plain",
        "title": (LocalizedText("Essai"),),
    }
    return DocumentEntry(**{**values, **changes})


def submission_of(*entries: DocumentEntry, associations: tuple[Association, ...] = ()) -> Submission:
    package = SubmissionSet(
        id="SubmissionSet",
        unique_id=new_uid(),
        source_id="2.25.5000",
        patient_id=entries[0].patient_id if entries else patient_id(REGION, "P1"),
        submission_time="20240714120000",
        content_type_code=Code("x", "2.25.4000", "X"),
    )
    members = tuple(
        Association(
            id=f"Member-{position}",
            type=AssociationType.HAS_MEMBER,
            source=package.id,
            target=entry.id,
            slots={"SubmissionSetStatus": ("Original",)},
        )
        for position, entry in enumerate(entries)
    )
    return Submission(submission_set=package, entries=entries, associations=(*members, *associations))


def make_study(**changes: Any) -> ImagingStudy:
    series = ImagingSeries(
        uid=new_uid(),
        instances=(Instance(CT, new_uid()), Instance(CT, new_uid())),
        modality="CT",
        retrieve_location_uid="2.25.3001",
    )
    values: dict[str, Any] = {
        "uid": new_uid(),
        "series": (series,),
        "date": date(2024, 7, 14),
        "time": time(8, 30),
        "description": "Scanner cérébral",
        "accessions": (IssuedId("A-1", AssigningAuthority(oid=ROANNE)),),
    }
    return ImagingStudy(**{**values, **changes})


def make_manifest(study: ImagingStudy, **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "uid": new_uid(),
        "series_uid": new_uid(),
        "study_uid": study.uid,
        "patient": ManifestPatient(ids=(IssuedId("ROA1", AssigningAuthority(oid=ROANNE)),), name="ESSAI^ANNE"),
        "studies": (study,),
        "created_at": datetime(2024, 7, 14, 9, tzinfo=UTC),
    }
    return Manifest(**{**values, **changes})


def make_manifest_entry(manifest: Manifest, **changes: Any) -> DocumentEntry:
    return replace(
        make_entry(
            unique_id=manifest.uid,
            mime_type="application/dicom",
            format_code=Code(KEY_OBJECT_SELECTION, DICOM_UID_REGISTRY, "Key Object Selection Document"),
            service_start_time="20240714063000",
        ),
        **changes,
    )


@dataclass(frozen=True)
class Make:
    """What tests make submissions of."""

    entry: Callable[..., DocumentEntry] = make_entry
    submission: Callable[..., Submission] = submission_of
    study: Callable[..., ImagingStudy] = make_study
    manifest: Callable[..., Manifest] = make_manifest
    manifest_entry: Callable[..., DocumentEntry] = make_manifest_entry

    def published_study(self, house: House, study: ImagingStudy, **entry: Any) -> DocumentEntry:
        """A study provided by its manifest."""
        manifest = make_manifest(study)
        made = make_manifest_entry(manifest, **entry)
        house.provide((made, build_kos(manifest)))
        return made

    @staticmethod
    def patient(site: str, value: str) -> PatientId:
        return patient_id({"REGION": REGION, "ROANNE": ROANNE, "FIRMINY": FIRMINY}.get(site, Oid("2.25.9")), value)


@pytest.fixture
def make() -> Make:
    return Make()


def provide_body(submission: Submission, documents: dict[str, str]) -> str:
    """The body of ITI-41; the documents are given by entry id, as element content."""
    elements = "".join(
        f"<xdsb:Document id={quoteattr(entry_id)}>{content}</xdsb:Document>" for entry_id, content in documents.items()
    )
    return (
        f'<xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="{XDSB}" xmlns:xop="{XOP}">'
        f"{submission_request(submission)}"
        f"{elements}</xdsb:ProvideAndRegisterDocumentSetRequest>"
    )


def include(name: str) -> str:
    return f'<xop:Include href="cid:{name}"/>'


def requests_body(element: str, *named: tuple[str, str], home: str | None = None) -> str:
    namespace, local = element.rsplit("}", 1)
    one = "".join(
        "<xdsb:DocumentRequest>"
        + (f"<xdsb:HomeCommunityId>{home}</xdsb:HomeCommunityId>" if home else "")
        + f"<xdsb:RepositoryUniqueId>{escape(repository)}</xdsb:RepositoryUniqueId>"
        f"<xdsb:DocumentUniqueId> {escape(document)}\n</xdsb:DocumentUniqueId></xdsb:DocumentRequest>"
        for repository, document in named
    )
    return f'<r:{local} xmlns:r="{namespace[1:]}" xmlns:xdsb="{XDSB}">{one}</r:{local}>'


def retrieve_body(*named: tuple[str, str], home: str | None = None) -> str:
    return requests_body(f"{{{XDSB}}}RetrieveDocumentSetRequest", *named, home=home)

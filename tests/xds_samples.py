"""Synthetic submissions, and a patient directory whose links a test can change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

from ihe.confidentiality import Wishes
from ihe.unit_of_work import UnitOfWork
from ihe.values import AssigningAuthority, Code, Oid, PatientId
from xds.domain.model import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Folder,
    LocalizedText,
    Submission,
    SubmissionSet,
)
from xds.ports import Person

REGION_OID = "2.25.1"
SITE_A_OID = "2.25.2"
SITE_B_OID = "2.25.3"
FOREIGN_OID = "2.25.99"
REPOSITORY = "2.25.50"

_numbers = count(1)


def fresh_oid() -> str:
    """An OID that no other sample uses."""
    return f"2.25.7.{next(_numbers)}"


def pid(value: str, oid: str = SITE_A_OID) -> PatientId:
    """A patient identifier of one of the sample domains."""
    return PatientId(value, AssigningAuthority(None, Oid(oid)))


class SampleDirectory:
    """Persons as sets of identifiers; ``link`` and ``unlink`` move an identifier from one to another."""

    def __init__(self, **persons: Iterable[PatientId]) -> None:
        self.persons = {name: set(identifiers) for name, identifiers in persons.items()}

    def link(self, patient_id: PatientId, person: str) -> None:
        for identifiers in self.persons.values():
            identifiers.discard(patient_id)
        self.persons.setdefault(person, set()).add(patient_id)

    def resolve(self, uow: UnitOfWork, patient_id: PatientId, *, to_write: bool = False) -> Person | None:
        plain = PatientId(patient_id.value, AssigningAuthority(None, patient_id.authority.oid))
        for name, identifiers in self.persons.items():
            regional = pid(name, REGION_OID)
            if plain == regional or plain in identifiers:
                return Person(regional, frozenset({regional, *identifiers}))
        return None

    def wishes(self, uow: UnitOfWork, patient_id: PatientId) -> dict[str, Wishes]:
        return {patient_id.xds_cx: Wishes()}

    def answered(self, uow: UnitOfWork, patient_id: PatientId) -> Person | None:
        return self.resolve(uow, patient_id)

    def knows_authority(self, patient_id: PatientId) -> bool:
        return patient_id.authority.oid in (REGION_OID, SITE_A_OID, SITE_B_OID)


def entry(symbol: str, patient: PatientId, **changes: Any) -> DocumentEntry:
    """A complete stable entry of a synthetic imaging report."""
    usual = DocumentEntry(
        id=symbol,
        unique_id=fresh_oid(),
        patient_id=patient,
        source_patient_id=pid("local-77", FOREIGN_OID),
        source_patient_info=("PID-5|EXEMPLE^Fictif", "PID-7|19700101", "PID-8|F"),
        title=(LocalizedText("Scanner thoracique", "fr-FR"),),
        authors=(
            Author(
                person="10001^DOCTEUR^Fictif^^^^^^&1.2.250.1.71.4.2.1&ISO",
                institutions=("Hôpital fictif^^^^^^^^^2.25.11",),
                specialties=("Radiologie",),
            ),
        ),
        class_code=Code("10", "1.2.250.1.213.1.1.4.1", "Compte rendu"),
        type_code=Code("18748-4", "2.16.840.1.113883.6.1", "CR d'imagerie médicale"),
        format_code=Code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3"),
        healthcare_facility_type_code=Code("SA01", "1.2.250.1.71.4.2.4"),
        practice_setting_code=Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9"),
        confidentiality_codes=(Code("N", "2.16.840.1.113883.5.25", "Normal"),),
        event_code_list=(Code("CT", "1.2.840.10008.2.16.4", "Tomodensitométrie"),),
        creation_time="20250310101500",
        service_start_time="20250310",
        language_code="fr-FR",
        mime_type="application/pdf",
        hash="0123456789abcdef0123456789abcdef01234567",
        size=1234,
        repository_unique_id=REPOSITORY,
        reference_id_list=("2025001^^^&2.25.12&ISO^urn:ihe:iti:xds:2013:accession",),
    )
    return replace(usual, **changes)


def submission(
    patient: PatientId,
    *entries: DocumentEntry,
    folders: Iterable[Folder] = (),
    associations: Iterable[Association] = (),
    **changes: Any,
) -> Submission:
    """A submission of the entries and folders, each joined to the set."""
    folders = tuple(folders)
    submission_set = SubmissionSet(
        id="set",
        unique_id=fresh_oid(),
        source_id="2.25.60",
        patient_id=patient,
        submission_time="20250310120000",
        title=(LocalizedText("Envoi"),),
        authors=(Author(person="^DOCTEUR^Fictif"),),
        content_type_code=Code("04", "1.2.250.1.213.2.2"),
    )
    members = [member("set", each.id, "Original") for each in entries]
    members += [member("set", each.id) for each in folders]
    return Submission(
        submission_set=replace(submission_set, **changes),
        entries=entries,
        folders=folders,
        associations=(*members, *associations),
    )


def member(source: str, target: str, status: str | None = None) -> Association:
    """A HasMember."""
    slots = {"SubmissionSetStatus": (status,)} if status else {}
    return relation(AssociationType.HAS_MEMBER, source, target, slots=slots)


def relation(type: str, source: str, target: str, **changes: Any) -> Association:  # noqa: A002
    """An association."""
    return Association(id=f"a{next(_numbers)}", type=type, source=source, target=target, **changes)


def folder(symbol: str, patient: PatientId, **changes: Any) -> Folder:
    """A complete folder."""
    usual = Folder(
        id=symbol,
        unique_id=fresh_oid(),
        patient_id=patient,
        title=(LocalizedText("Dossier"),),
        codes=(Code("IMG", "2.25.13", "Imagerie"),),
    )
    return replace(usual, **changes)

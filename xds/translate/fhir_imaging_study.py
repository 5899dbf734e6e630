"""Imaging studies → FHIR ImagingStudy, and the parameters of a search for them.

The logical id of a study's resource is its study instance UID. Instances are not listed one by one: the endpoint, which
speaks DICOMweb, does.

Source: FHIR R4: ImagingStudy; DICOM PS3.20 (identifier ``urn:dicom:uid``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ihe.errors import InvalidElement, MissingElement
from ihe.http import HttpRequest
from ihe.values import AssigningAuthority, Code, Oid, PatientId
from xds.domain.criteria import Period
from xds.domain.imaging import ImagingSeries, IssuedId, is_uid
from xds.domain.priors import PriorStudy
from xds.translate.fhir_document import subject, without_empty
from xds.translate.fhir_search import (
    ANY_TIME,
    FIRST_PAGE,
    Page,
    PatientQuestion,
    alternatives,
    narrower,
    patient_question,
    period_of,
    read_parameters,
    token_of,
    within,
)
from xds.translate.fhir_terms import Json, coding, concept, instant

PARAMETERS: Final[tuple[tuple[str, str], ...]] = (
    ("_id", "token"),
    ("identifier", "token"),
    ("modality", "token"),
    ("patient", "reference"),
    ("patient.identifier", "token"),
    ("started", "date"),
    ("status", "token"),
)
"""Name and FHIR type."""

_DICOM_UID: Final = "urn:dicom:uid"
_MODALITIES: Final = "1.2.840.10008.2.16.4"
_CONNECTION: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
    "code": "dicom-wado-rs",
}
_ACCESSION: Final = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}


@dataclass(frozen=True, slots=True)
class StudySearch:
    """A search: by patient, by study, or by accession number with its issuer.

    Attributes:
        uids: any of them; ``None``: not asked for.
        accession: with its issuer, or ``None``.
        modalities: any of them; empty: every one.
        is_nothing: a status is asked for that no study has.
    """

    patient: PatientQuestion | None = None
    uids: frozenset[str] | None = None
    accession: IssuedId | None = None
    modalities: frozenset[str] = frozenset()
    started: Period = ANY_TIME
    is_nothing: bool = False
    page: Page = field(default=FIRST_PAGE)

    def admits(self, study: PriorStudy) -> bool:
        """Whether a study of the patient answers it."""
        facts = study.facts
        if self.uids is not None and study.uid not in self.uids:
            return False
        if self.accession is not None and not any(_same(each, self.accession) for each in facts.accessions):
            return False
        if self.modalities and self.modalities.isdisjoint(facts.modalities):
            return False
        if self.started == ANY_TIME:
            return True
        return facts.started_at is not None and within(self.started, int(f"{facts.started_at:%Y%m%d%H%M%S}"))


def _same(first: IssuedId, second: IssuedId) -> bool:
    return first.value == second.value and first.issuer is not None and first.issuer.oid == _oid(second)


def _oid(issued: IssuedId) -> Oid | None:
    return issued.issuer.oid if issued.issuer else None


def read_study_search(request: HttpRequest) -> StudySearch:
    """Read the parameters.

    Raises:
        MissingElement: neither patient nor study nor accession number is named.
        InvalidElement: a parameter is unknown, or its value is none that a study can have.
    """
    found = StudySearch()

    def patient(name: str, value: str) -> None:
        nonlocal found
        found = replace(found, patient=patient_question(name, value))

    def named(name: str, value: str) -> None:
        nonlocal found
        uids = frozenset(each.removeprefix("urn:oid:") for each in alternatives(value, name))
        if not all(map(is_uid, uids)):
            raise InvalidElement("a UID has digits and dots, at most 64 characters", name)
        found = replace(found, uids=uids if found.uids is None else found.uids & uids)

    def identifier(name: str, value: str) -> None:
        nonlocal found
        system, separator, code = value.strip().partition("|")
        if not separator or system == _DICOM_UID:
            named(name, code or system)
            return
        try:
            found = replace(found, accession=IssuedId(code, AssigningAuthority(oid=Oid(system))))
        except ValueError:
            raise InvalidElement("identifier is urn:dicom:uid|<UID>, or <issuer>|<accession number>", name) from None

    def modality(name: str, value: str) -> None:
        nonlocal found
        codes = {token_of(each).code or "" for each in alternatives(value, name)}
        found = replace(found, modalities=frozenset(code.upper() for code in codes))

    def started(name: str, value: str) -> None:
        nonlocal found
        found = replace(found, started=narrower(found.started, period_of(value, name)))

    def status(name: str, value: str) -> None:
        nonlocal found
        codes = {token_of(each).code for each in alternatives(value, name)}
        found = replace(found, is_nothing=found.is_nothing or "available" not in codes)

    page = read_parameters(
        request,
        {
            "_id": named,
            "identifier": identifier,
            "modality": modality,
            "patient": patient,
            "patient.identifier": patient,
            "started": started,
            "status": status,
        },
    )
    if found.patient is None and found.uids is None and found.accession is None:
        raise MissingElement("name a patient, a study or an accession number with its issuer", "patient")
    return replace(found, page=page)


def imaging_study(
    study: PriorStudy, series: Iterable[ImagingSeries], shown_id: PatientId, reference: str | None, root: str
) -> Json:
    """The resource.

    Args:
        series: of the study.
        shown_id: the id under which the asker knows the patient.
        reference: ``Patient/<id>``, or ``None``.
        root: DICOMweb address of this service, without trailing slash.
    """
    facts = study.facts
    return without_empty(
        {
            "resourceType": "ImagingStudy",
            "id": study.uid,
            "meta": {"lastUpdated": instant(facts.manifest_created_at)},
            "contained": [_endpoint(root)],
            "identifier": [
                {"use": "official", "system": _DICOM_UID, "value": f"urn:oid:{study.uid}"},
                *map(_accession, facts.accessions),
            ],
            "status": "available",
            "modality": [_modality(code) for code in facts.modalities],
            "subject": subject(shown_id, reference),
            "started": instant(facts.started_at) if facts.started_at else None,
            "endpoint": [{"reference": "#dicomweb"}],
            "numberOfSeries": facts.series_count,
            "numberOfInstances": facts.instance_count,
            "description": facts.description,
            "series": [_series(each) for each in series],
        }
    )


def _series(series: ImagingSeries) -> Json:
    return without_empty(
        {
            "uid": series.uid,
            "modality": _modality(series.kind or "OT"),
            "description": series.description,
            "numberOfInstances": len(series.instances),
            "bodySite": coding(series.region) if series.region else None,
        }
    )


def _accession(accession: IssuedId) -> Json:
    issuer = accession.issuer
    system = issuer.oid.urn if issuer and issuer.oid else None
    return without_empty({"type": _ACCESSION, "system": system, "value": accession.value})


def _modality(code: str) -> Json:
    return coding(Code(code, _MODALITIES))


def _endpoint(root: str) -> dict[str, Any]:
    return {
        "resourceType": "Endpoint",
        "id": "dicomweb",
        "status": "active",
        "connectionType": _CONNECTION,
        "payloadType": [concept(Code("DICOM WADO-RS", "http://hl7.org/fhir/endpoint-payload-type"))],
        "payloadMimeType": ["application/dicom"],
        "address": root,
    }

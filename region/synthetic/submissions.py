"""XDS submissions of the invented region: a manifest and often a report, with the metadata used in France.

Metadata are the registry's own value objects, so that a test compares what was sent with what is kept; the bytes on
the wire are written by :mod:`region.synthetic.provide_and_register`, which shares nothing with the server.

Source: RAD TF-3: 4.68.4.1.2.3; CI-SIS, volet partage de documents de santé.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ihe.values import AssigningAuthority, Code, PatientId, escape_hl7, format_dtm
from region.region_table import Domain, RegionTable
from region.synthetic.imaging import LOINC, Study, manifest_of
from region.synthetic.reports import FACILITIES, report_cda, report_pdf
from region.synthetic.staff import Professional, institution_xon, structure_id, team
from xds.domain.imaging import DICOM_UID_REGISTRY, KEY_OBJECT_SELECTION
from xds.domain.model import Author, DocumentEntry, LocalizedText, SubmissionSet, Texts
from xds.translate.kos_writer import build_kos

_CLASS: Final = "1.2.250.1.213.1.1.4.1"
_FRENCH_TYPES: Final = "1.2.250.1.213.1.1.4.12"
_IHE_FORMATS: Final = "1.3.6.1.4.1.19376.1.2.3"
_NORMAL: Final = Code("N", "2.16.840.1.113883.5.25", "Normal")
_VISIBILITY: Final = "1.2.250.1.213.1.1.4.13"
_HIDDEN_FROM_PATIENT: Final = Code("INVISIBLE_PATIENT", _VISIBILITY, "Non visible par le patient")
_HIDDEN_FROM_STAFF: Final = Code("MASQUE_PS", _VISIBILITY, "Masqué aux professionnels de santé")
_REPORT: Final = Code("18748-4", LOINC, "CR d'imagerie médicale")
_AMBULATORY: Final = frozenset({"MFL", "IRMAS"})


@dataclass(frozen=True)
class StudySubmission:
    """What a site sends when a study is done.

    ``patient_id`` is ``None`` in all objects: the sender fills in the identifier it knows, its own or the regional one.

    Attributes:
        study: what it is about.
        site: who sends it.
        rank: place of the site in the table of domains, from 1.
    """

    study: Study
    site: Domain
    rank: int

    @property
    def source_patient_id(self) -> PatientId:
        """The site's own identifier of the patient, its authority named as XDS does."""
        return PatientId(self.study.key.local_id, AssigningAuthority(oid=self.site.oid))

    @cached_property
    def documents(self) -> tuple[tuple[DocumentEntry, bytes], ...]:
        """Each document with its metadata, the manifest first; ids are symbolic (``manifest``, ``report``)."""
        return tuple(self._documents())

    @property
    def submission_set(self) -> SubmissionSet:
        """Metadata of the submission; its unique id belongs to the study, so sending it twice is noticed."""
        study = self.study
        return SubmissionSet(
            id="submission",
            unique_id=f"{study.manifest_series_uid}.1",
            source_id=self.site.imaging_source_id,
            submission_time=format_dtm(study.ended_at),
            title=_text(f"Examen d'imagerie : {study.procedure.display}"),
            authors=(self._author,),
            content_type_code=_REPORT,
        )

    def _documents(self) -> Iterator[tuple[DocumentEntry, bytes]]:
        study = self.study
        manifest = build_kos(manifest_of(study, self.site))
        yield (
            self._entry(
                "manifest", manifest, study.manifest_uid,
                mime_type="application/dicom",
                class_code=Code("31", _CLASS, "Imagerie médicale"),
                type_code=Code("IMG-KOS", _FRENCH_TYPES, "Reference d'objets d'un examen d'imagerie"),
                format_code=Code(KEY_OBJECT_SELECTION, DICOM_UID_REGISTRY, "Manifeste KOS"),
                title=study.procedure.display or "",
            ),
            manifest,
        )  # fmt: skip
        if not study.has_report:
            return
        unique_id = f"{study.manifest_series_uid}.2"
        bare = self.rank % 4 == 0
        if bare:
            report = report_pdf(study, self.site, self._signer)
        else:
            report = report_cda(study, self.site, self._signer, structure_id(self.rank), unique_id)
        yield (
            self._entry(
                "report", report, unique_id,
                mime_type="application/pdf" if bare else "text/xml",
                class_code=Code("10", _CLASS, "Compte rendu"),
                type_code=_REPORT,
                format_code=Code("urn:ihe:iti:xds-sd:pdf:2008", _IHE_FORMATS, "Document PDF"),
                title=f"Compte rendu : {study.procedure.display}",
            ),
            report,
        )  # fmt: skip

    def _entry(
        self, name: str, content: bytes, unique_id: str, *, mime_type: str, class_code: Code, type_code: Code,
        format_code: Code, title: str,
    ) -> DocumentEntry:  # fmt: skip
        study = self.study
        return DocumentEntry(
            id=name,
            unique_id=unique_id,
            mime_type=mime_type,
            title=_text(title),
            authors=(self._author,),
            legal_authenticator=self._signer.xcn,
            class_code=class_code,
            type_code=type_code,
            format_code=format_code,
            healthcare_facility_type_code=Code(self.site.facility_type or "SA01", FACILITIES),
            practice_setting_code=self._practice_setting,
            confidentiality_codes=self._confidentiality,
            event_code_list=(study.modality, study.region),
            creation_time=format_dtm(study.ended_at),
            service_start_time=format_dtm(study.started_at),
            service_stop_time=format_dtm(study.ended_at),
            language_code="fr-FR",
            hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            size=len(content),
            reference_id_list=(
                f"{study.accession}^^^&{self.site.accession_authority}&ISO^urn:ihe:iti:xds:2013:accession",
                f"{study.uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
            ),
            source_patient_id=self.source_patient_id,
            source_patient_info=tuple(_patient_info(self)),
        )

    @property
    def _signer(self) -> Professional:
        staff = team(self.rank)
        return staff[int(self.study.accession) % len(staff)]

    @property
    def _author(self) -> Author:
        return Author(
            person=self._signer.xcn,
            institutions=(institution_xon(self.site, self.rank),),
            roles=("Radiologue",),
            specialties=("G15_10/SM44^^^&1.2.250.1.213.1.1.4.5&ISO",),
        )

    @property
    def _practice_setting(self) -> Code:
        if self.site.code in _AMBULATORY:
            return Code("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", "Ambulatoire")
        return Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé")

    @property
    def _confidentiality(self) -> tuple[Code, ...]:
        """Normal; one study in forty waits for an announcement to the patient, the patient hides one in fifty."""
        number = int(self.study.accession)
        if number % 40 == 7:
            return _NORMAL, _HIDDEN_FROM_PATIENT
        return (_NORMAL, _HIDDEN_FROM_STAFF) if number % 50 == 11 else (_NORMAL,)


def make_submissions(studies: Iterable[Study], region: RegionTable) -> tuple[StudySubmission, ...]:
    """One submission for each study, in the order of the studies."""
    ranks = {site.code: rank for rank, site in enumerate(region.establishments, 1)}
    return tuple(StudySubmission(study, region.by_code(study.site), ranks[study.site]) for study in studies)


def _patient_info(submission: StudySubmission) -> Iterator[str]:
    traits = submission.study.traits
    identifier = submission.source_patient_id
    yield f"PID-3|{escape_hl7(identifier.value)}^^^&{identifier.authority.oid}&ISO^PI"
    yield f"PID-5|{escape_hl7(traits.birth_family_name or '')}^{escape_hl7(traits.first_birth_given_name or '')}^^^^^L"
    if traits.birth_date:
        yield f"PID-7|{traits.birth_date.hl7}"
    if traits.sex:
        yield f"PID-8|{traits.sex.value}"


def _text(value: str) -> Texts:
    return (LocalizedText(value, "fr-FR", "UTF-8"),)

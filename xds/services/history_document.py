"""The imaging history of a patient as a document: made at each retrieval of an on-demand entry, from the registry.

It lists what the asker may see at that moment, whoever the patient's records belong to then. The entry is an ordinary
on-demand entry with the format code below: registered by :func:`offer_history`, or by anybody with ITI-61.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from ihe.unit_of_work import UnitOfWork
from ihe.values import Code, Oid, PatientId, format_dtm
from xds.domain.criteria import DocumentCriteria
from xds.domain.datatypes import code_key
from xds.domain.document_set import MadeContent
from xds.domain.model import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    DocumentKind,
    LocalizedText,
    Submission,
    SubmissionSet,
)
from xds.domain.registered import RegisteredEntry
from xds.services.find import anchors_of
from xds.services.register import register
from xds.services.repository import Repository
from xds.services.studies import Studies, person_of, studies_of
from xds.store import searches
from xds.translate.ebxml_stored import entry_of
from xds.translate.history_cda import HistoryHeader, history_cda

FORMAT = Code("imaging-history", "2.25.37807693398362240367962250334257151935", "Historique d'imagerie")
"""formatCode of the entries whose content is made here."""

_TITLE = "Historique d'imagerie"
_CLASS = Code("11", "1.2.250.1.213.1.1.4.1", "Synthèse")
_TYPE = Code("SYNTH", "1.2.250.1.213.1.1.4.12", "Synthèse")
_FACILITY = Code("SA51", "1.2.250.1.71.4.2.4", "Structure de coopération sanitaire")
_SETTING = Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé")
_NORMAL = Code("N", "2.16.840.1.113883.5.25", "Normal")
_MIME_TYPE = "text/xml"


@dataclass(frozen=True, slots=True)
class HistoryCreator:
    """Makes imaging histories as CDA documents; an :class:`xds.ports.ContentCreator`.

    Attributes:
        studies: what the history is made from.
        custodian: OID under which the document is kept.
        organization: name of the region.
    """

    studies: Studies
    custodian: Oid
    organization: str

    def make(self, uow: UnitOfWork, entry: RegisteredEntry, unique_id: str) -> MadeContent | None:
        """The history now; ``None`` for an entry of another format, or of a patient who is nobody any more."""
        described = entry_of(entry)
        if described.format_code is None or code_key(described.format_code) != code_key(FORMAT):
            return None
        person = self.studies.directory.resolve(uow, PatientId.from_xds_cx(entry.anchor))
        if person is None:
            return None
        found = studies_of(uow, person, self.studies)
        header = HistoryHeader(
            unique_id,
            _TITLE,
            uow.now,
            person.regional_id,
            described.source_patient_info,
            self.custodian,
            self.organization,
        )
        codes = {each for study in found for copy in study.copies for each in copy.manifest.confidentiality_codes}
        return MadeContent(history_cda(header, found), tuple(_code(each) for each in sorted(codes)))


def offer_history(uow: UnitOfWork, patient_id: PatientId, repository: Repository, studies: Studies) -> str:
    """Register the on-demand entry of a patient's imaging history, unless there is one; returns its uniqueId.

    Raises:
        UnknownAuthority: the identifier is of no domain of the region.
        UnknownPatient: it designates nobody.
        Refused: the codes of such an entry are outside the affinity domain's.
    """
    person = person_of(uow, patient_id, studies)
    wanted = DocumentCriteria(statuses=("Approved",), on_demand=True, format_codes=(code_key(FORMAT),))
    offered = searches.find_entries(uow.connection, anchors_of(person), wanted, 1)
    if offered:
        return offered[0].unique_id
    entry = _entry(person.regional_id, repository.unique_id)
    submission_set = SubmissionSet(
        id="set",
        unique_id=Oid.from_uuid(uuid4()),
        source_id=str(repository.unique_id),
        patient_id=person.regional_id,
        submission_time=format_dtm(uow.now),
        content_type_code=_CLASS,
    )
    member = Association(
        id="member",
        type=AssociationType.HAS_MEMBER,
        source="set",
        target=entry.id,
        slots={"SubmissionSetStatus": ("Original",)},
    )
    submission = Submission(submission_set=submission_set, entries=(entry,), associations=(member,))
    register(uow, submission, repository.registry, DocumentKind.ON_DEMAND)
    assert entry.unique_id is not None
    return entry.unique_id


def _entry(patient_id: PatientId, repository_id: Oid) -> DocumentEntry:
    return DocumentEntry(
        id="history",
        object_type=DocumentKind.ON_DEMAND,
        unique_id=Oid.from_uuid(uuid4()),
        patient_id=patient_id,
        source_patient_id=patient_id,
        title=(LocalizedText(_TITLE, "fr-FR"),),
        authors=(Author(institutions=("Trait d'Union",)),),
        class_code=_CLASS,
        type_code=_TYPE,
        format_code=FORMAT,
        healthcare_facility_type_code=_FACILITY,
        practice_setting_code=_SETTING,
        confidentiality_codes=(_NORMAL,),
        language_code="fr-FR",
        mime_type=_MIME_TYPE,
        repository_unique_id=str(repository_id),
    )


def _code(key: str) -> Code:
    code, _, scheme = key.partition("^^")
    return Code(code, scheme)

"""Who owns an object now, and by which identifier an object follows its owner.

Documents follow identity: an object names an *anchor*, an identifier of the patient; whom it belongs to is asked of
the patient directory at each question. A link or unlink of records thus moves documents without any rewriting.
"""

from __future__ import annotations

from collections.abc import Iterable

from ihe.errors import AccessDenied, Finding
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.checks import name_of
from xds.domain.model import DocumentEntry, Submission
from xds.ports import PatientDirectory, Person


class Ownership:
    """Answers for one request; each identifier is looked up once."""

    def __init__(self, uow: UnitOfWork, directory: PatientDirectory, *, to_write: bool = False) -> None:
        self._uow = uow
        self._to_write = to_write
        self._directory = directory
        self._persons: dict[str, Person | None] = {}

    def person(self, patient_id: PatientId) -> Person | None:
        """The person whom the identifier designates now, or ``None``."""
        if patient_id.authority.oid is None:
            return None
        key = patient_id.xds_cx
        if key not in self._persons:
            known = self._directory.knows_authority(patient_id)
            self._persons[key] = (
                self._directory.resolve(self._uow, patient_id, to_write=self._to_write) if known else None
            )
        return self._persons[key]

    def owner(self, anchor: str) -> str:
        """The owner's regional identifier as CX; the anchor itself when it designates nobody any more."""
        person = self.person(PatientId.from_xds_cx(anchor))
        return person.regional_id.xds_cx if person else anchor

    def returned_patient_id(self, submitted: str, anchor: str) -> PatientId:
        """The identifier under which an object is returned when nobody asked by patient.

        The submitted one while it still designates the owner, else the owner's regional identifier.
        """
        patient_id = PatientId.from_xds_cx(submitted)
        owner = self.person(PatientId.from_xds_cx(anchor))
        named = self.person(patient_id)
        if owner is None or (named is not None and named.regional_id == owner.regional_id):
            return patient_id
        return owner.regional_id


def anchors(submission: Submission, ownership: Ownership) -> dict[str, PatientId]:
    """The anchor of each object of a submission that names a patient, by object id.

    An entry follows its source patient identifier when the index knows it: that is the record of the site which
    made the document. A set or folder follows the common anchor of the entries, if they have one.
    """
    by_id = {
        entry.id: anchor
        for entry in submission.entries
        if (anchor := _entry_anchor(entry, ownership)) is not None and anchor.authority.oid is not None
    }
    common = set(by_id.values())
    for item in submission.described:
        patient_id = item.patient_id
        if item.id not in by_id and patient_id is not None and patient_id.authority.oid is not None:
            by_id[item.id] = next(iter(common)) if len(common) == 1 else patient_id
    return by_id


def known_anchors(submission: Submission, ownership: Ownership) -> dict[str, str]:
    """As :func:`anchors`, as CX, without objects of nobody known and entries whose identifiers contradict each other.

    Of those it is told already what is wrong; compared with others they would only add to it.
    """
    named = {entry.id: entry.patient_id for entry in submission.entries if entry.patient_id is not None}
    found = {}
    for object_id, anchor in anchors(submission, ownership).items():
        person = ownership.person(anchor)
        if person is not None and ownership.person(named.get(object_id, anchor)) in (person, None):
            found[object_id] = anchor.xds_cx
    return found


def check_patients(submission: Submission, ownership: Ownership) -> Iterable[Finding]:
    """Whether the patients named are known, and whether both identifiers of an entry designate one person.

    Source: ITI TF-2: 3.42.4.1.3.3; the second check is ours, for safety.
    """
    unknown: set[str] = set()
    for item in submission.described:
        patient_id = item.patient_id
        if patient_id is None or patient_id.authority.oid is None:
            continue
        person = ownership.person(patient_id)
        if person is None:
            if patient_id.xds_cx not in unknown:
                unknown.add(patient_id.xds_cx)
                problem = "designates no active patient of the index; feed the patient first, then submit again"
                yield Finding("XDSUnknownPatientId", f"{patient_id.xds_cx} {problem}", f"{name_of(item)}/patientId")
        elif isinstance(item, DocumentEntry) and item.source_patient_id is not None:
            source = ownership.person(item.source_patient_id)
            if source is not None and source.regional_id != person.regional_id:
                problem = "patientId and sourcePatientId designate different persons"
                yield Finding(
                    "XDSPatientIdDoesNotMatch",
                    f"{name_of(item)}: {problem}",
                    f"{name_of(item)}/sourcePatientId",
                )


def require_own(uow: UnitOfWork, source_patient_ids: Iterable[PatientId | str | None]) -> None:
    """Let a site write documents of its own patients only.

    Args:
        source_patient_ids: of the entries that are written, changed or removed.

    Raises:
        AccessDenied: one was assigned by another site than the caller's.
    """
    own = uow.caller.authority
    for each in source_patient_ids if own is not None else ():
        patient_id = PatientId.from_xds_cx(each) if isinstance(each, str) else each
        if patient_id is not None and patient_id.authority.oid != own:
            raise AccessDenied("a site writes only documents of its own patients", "sourcePatientId")


def require_no_opposition(
    uow: UnitOfWork, directory: PatientDirectory, patient_ids: Iterable[PatientId | None]
) -> None:
    """Take no documents of patients who oppose that any are shared.

    Raises:
        AccessDenied: one opposes.
    """
    for each in {p for p in patient_ids if p is not None and p.authority.oid is not None}:
        if directory.knows_authority(each) and directory.wishes(uow, each)[each.xds_cx].opposes_feeding:
            raise AccessDenied("the patient opposes that documents are shared", "patientId")


def _entry_anchor(entry: DocumentEntry, ownership: Ownership) -> PatientId | None:
    source = entry.source_patient_id
    return source if source is not None and ownership.person(source) is not None else entry.patient_id

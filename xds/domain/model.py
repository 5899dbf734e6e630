"""The objects of XDS metadata: document entry, submission set, folder, association, and a submission of them.

They hold metadata as the profile has it, verbatim: dates keep their precision, authors stay in HL7 notation,
and slots that no profile defines are kept. Everything that a sender may leave out is optional here; what must
be present is decided by :mod:`xds.domain.checks`, which names each thing that is wrong.

Source: ITI TF-3: 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from ihe.errors import Finding
from ihe.values import Code, PatientId

Slots = Mapping[str, tuple[str, ...]]
"""Slot name to its values, both in the order received."""

_NO_SLOTS: Slots = MappingProxyType({})


def _no_slots() -> Slots:
    return _NO_SLOTS


class Availability(StrEnum):
    """availabilityStatus (Source: ITI TF-3: 4.2.3.2.2)."""

    APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
    DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"


class DocumentKind(StrEnum):
    """DocumentEntry.objectType (Source: ITI TF-3: 4.2.5.2)."""

    STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
    ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"


class AssociationType(StrEnum):
    """What an association says of its two ends (Source: ITI TF-3: Table 4.2.2-1)."""

    HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
    REPLACES = "urn:ihe:iti:2007:AssociationType:RPLC"
    TRANSFORMS = "urn:ihe:iti:2007:AssociationType:XFRM"
    APPENDS = "urn:ihe:iti:2007:AssociationType:APND"
    TRANSFORMS_AND_REPLACES = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"
    SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
    SNAPSHOT_OF = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"
    UPDATE_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
    SUBMIT_ASSOCIATION = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"


RELATIONSHIPS = frozenset(
    {
        AssociationType.REPLACES,
        AssociationType.TRANSFORMS,
        AssociationType.APPENDS,
        AssociationType.TRANSFORMS_AND_REPLACES,
        AssociationType.SIGNS,
        AssociationType.SNAPSHOT_OF,
    }
)
"""Associations between two document entries."""

REPLACEMENTS = frozenset({AssociationType.REPLACES, AssociationType.TRANSFORMS_AND_REPLACES})
"""Relationships that deprecate their target."""


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """One language's version of a title, comment or display name.

    Attributes:
        value: the text.
        language: ``xml:lang`` as submitted, or ``None``.
        charset: ``charset`` as submitted, or ``None``.
    """

    value: str
    language: str | None = None
    charset: str | None = None


Texts = tuple[LocalizedText, ...]
"""The language versions of one text, in the order received; empty when it is absent."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a document or a submission, in HL7 notation as received.

    Attributes:
        person: authorPerson (XCN), or ``None``.
        institutions: authorInstitution (XON).
        roles: authorRole.
        specialties: authorSpecialty.
        telecommunications: authorTelecommunication (XTN).
        extra: slots that the profile does not define.

    Source: ITI TF-3: 4.2.3.1.4.
    """

    person: str | None = None
    institutions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    telecommunications: tuple[str, ...] = ()
    extra: Slots = field(default_factory=_no_slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """Metadata of one document (Source: ITI TF-3: 4.2.3.2).

    Attributes:
        id: entryUUID; in a submission it may be a symbolic name, unique within the submission.
        logical_id: logicalID, the ``id`` of the first version; ``None`` in a submission that states none.
        version: version number, from 1; assigned by the registry.
        object_type: a :class:`DocumentKind` value, else what was submitted.
        status: a :class:`Availability` value; ``None`` before registration.
        home: homeCommunityId (``urn:oid:…``).
        patient_id: as submitted; who owns the document is asked of the patient directory.
        creation_time, service_start_time, service_stop_time: DTM in UTC, ``YYYY[MM[DD[hh[mm[ss]]]]]``.
        hash: SHA-1 in hexadecimal, as submitted.
        size: bytes.
        reference_id_list: CXi values.
        source_patient_info: ``PID-n|value`` lines.
        extra: slots that the profile does not define, kept and returned.
    """

    id: str
    logical_id: str | None = None
    version: int = 1
    object_type: str = DocumentKind.STABLE
    status: str | None = None
    home: str | None = None
    unique_id: str | None = None
    patient_id: PatientId | None = None
    source_patient_id: PatientId | None = None
    source_patient_info: tuple[str, ...] = ()
    title: Texts = ()
    comments: Texts = ()
    authors: tuple[Author, ...] = ()
    legal_authenticator: str | None = None
    class_code: Code | None = None
    type_code: Code | None = None
    format_code: Code | None = None
    healthcare_facility_type_code: Code | None = None
    practice_setting_code: Code | None = None
    confidentiality_codes: tuple[Code, ...] = ()
    event_code_list: tuple[Code, ...] = ()
    creation_time: str | None = None
    service_start_time: str | None = None
    service_stop_time: str | None = None
    language_code: str | None = None
    mime_type: str | None = None
    hash: str | None = None
    size: int | None = None
    uri: tuple[str, ...] = ()
    repository_unique_id: str | None = None
    document_availability: str | None = None
    reference_id_list: tuple[str, ...] = ()
    limited_metadata: bool = False
    extra: Slots = field(default_factory=_no_slots)

    @property
    def is_on_demand(self) -> bool:
        """Whether the content is made at each retrieval."""
        return self.object_type == DocumentKind.ON_DEMAND


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSet:
    """One act of submitting (Source: ITI TF-3: 4.2.3.3).

    Attributes:
        id: entryUUID or, in a submission, a symbolic name.
        source_id: OID of the submitting system.
        submission_time: DTM in UTC.
        intended_recipients: ``XON|XCN|XTN`` values.
    """

    id: str
    logical_id: str | None = None
    version: int = 1
    status: str | None = None
    home: str | None = None
    unique_id: str | None = None
    source_id: str | None = None
    patient_id: PatientId | None = None
    submission_time: str | None = None
    title: Texts = ()
    comments: Texts = ()
    authors: tuple[Author, ...] = ()
    content_type_code: Code | None = None
    intended_recipients: tuple[str, ...] = ()
    limited_metadata: bool = False
    extra: Slots = field(default_factory=_no_slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A named collection of documents (Source: ITI TF-3: 4.2.3.4).

    Attributes:
        id: entryUUID or, in a submission, a symbolic name.
        last_update_time: DTM in UTC of the last document that joined; set by the registry.
    """

    id: str
    logical_id: str | None = None
    version: int = 1
    status: str | None = None
    home: str | None = None
    unique_id: str | None = None
    patient_id: PatientId | None = None
    title: Texts = ()
    comments: Texts = ()
    codes: tuple[Code, ...] = ()
    last_update_time: str | None = None
    limited_metadata: bool = False
    extra: Slots = field(default_factory=_no_slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A directed statement between two objects (Source: ITI TF-3: 4.2.2).

    Attributes:
        id: UUID or, in a submission, a symbolic name.
        type: an :class:`AssociationType` value, else what was submitted.
        source: ``id`` of the object that the statement starts from.
        target: ``id`` of the object that it is about.
        slots: every slot, among them ``SubmissionSetStatus`` and those of metadata update.
        documentation: why a relationship exists, or ``None``.
    """

    id: str
    type: str
    source: str
    target: str
    status: str | None = None
    slots: Slots = field(default_factory=_no_slots)
    title: Texts = ()
    comments: Texts = ()
    documentation: Code | None = None

    def slot(self, name: str) -> str | None:
        """The first value of a slot, or ``None`` when it is absent or empty."""
        values = self.slots.get(name, ())
        return values[0] if values else None


Described = DocumentEntry | SubmissionSet | Folder
"""Objects that describe something of one patient."""

RegistryObject = Described | Association


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What one request asks the registry to keep, as read and not yet checked.

    Attributes:
        submission_set: the one set of the request.
        findings: what reading already found wrong; a submission that has any of severity Error is refused.
    """

    submission_set: SubmissionSet
    entries: tuple[DocumentEntry, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def described(self) -> tuple[Described, ...]:
        """The set, the entries, then the folders."""
        return (self.submission_set, *self.entries, *self.folders)

    @property
    def objects(self) -> tuple[RegistryObject, ...]:
        """The set, the entries, the folders, then the associations."""
        return (*self.described, *self.associations)

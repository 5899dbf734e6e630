"""What the registry needs of others, named here so that it imports none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from ihe.communities import Community
from xds.domain.communities import CommunityAnswer
from xds.domain.document_set import DocumentRequest, ImagingRequest, MadeContent, Retrieval
from xds.domain.registered import RegisteredEntry

if TYPE_CHECKING:
    from ihe.confidentiality import Wishes
    from ihe.unit_of_work import UnitOfWork
    from ihe.values import PatientId


@dataclass(frozen=True, slots=True)
class Person:
    """One human as the index sees it at this moment.

    Attributes:
        regional_id: the person's current regional identifier.
        identifiers: every identifier whose documents belong to the person now: regional ids (its own and those
            it absorbed), local ids of its records (active and subsumed), its INS. Type codes are not set.
    """

    regional_id: PatientId
    identifiers: frozenset[PatientId]


class PatientDirectory(Protocol):
    """Answers who a patient identifier designates, at the moment of the question, inside the unit of work."""

    def resolve(self, uow: UnitOfWork, patient_id: PatientId, *, to_write: bool = False) -> Person | None:
        """The person that ``patient_id`` (regional, local of any site, INS) designates, as far as the caller sees it.

        ``None`` when the identifier is unknown, its record was withdrawn, or is not shown to the caller.

        Args:
            to_write: something is written for the person, not read.
        """

    def wishes(self, uow: UnitOfWork, patient_id: PatientId) -> Mapping[str, Wishes]:
        """What the person wants of the sharing of documents, and what is hidden from the caller: for each identifier
        of the person (CX), the one asked with always among them.
        """

    def answered(self, uow: UnitOfWork, patient_id: PatientId) -> Person | None:
        """As :meth:`resolve`, for a question by that identifier: with those identifiers only whose objects the domain
        of the identifier is answered with.
        """

    def knows_authority(self, patient_id: PatientId) -> bool:
        """Whether the assigning authority is a domain of the region."""


class PatientResources(Protocol):
    """Joins patient identifiers and the Patient resources of this service."""

    def identifier_of(self, uow: UnitOfWork, resource_id: str) -> PatientId | None:
        """An identifier of the patient whose Patient has that logical id; ``None`` when there is none."""

    def resource_id_of(self, uow: UnitOfWork, patient_id: PatientId) -> str | None:
        """The logical id of a Patient whom the identifier designates; ``None`` when there is none."""


class NoPatientResources:
    """Of a registry beside which there are no Patient resources."""

    def identifier_of(self, uow: UnitOfWork, resource_id: str) -> PatientId | None:
        """None."""
        return None

    def resource_id_of(self, uow: UnitOfWork, patient_id: PatientId) -> str | None:
        """None."""
        return None


class ContentCreator(Protocol):
    """Makes documents when they are retrieved."""

    def make(self, uow: UnitOfWork, entry: RegisteredEntry, unique_id: str) -> MadeContent | None:
        """The content of an entry at this moment, as far as the unit's caller may see what goes into it.

        Args:
            unique_id: under which the content is known from now on.

        Returns:
            ``None`` for an entry whose content is not made here.
        """


class NoContent:
    """Of a repository that makes nothing."""

    def make(self, uow: UnitOfWork, entry: RegisteredEntry, unique_id: str) -> MadeContent | None:
        """None."""
        return None


class CommunityPatients(Protocol):
    """Tells by which identifier another community knows a patient."""

    def identifier_in(self, uow: UnitOfWork, community: Community, patient_id: PatientId) -> PatientId | None:
        """The identifier to ask with; ``None`` when the patient is not to be asked for there."""


class SameIdentifiers:
    """Of communities that share their assigning authorities."""

    def identifier_in(self, uow: UnitOfWork, community: Community, patient_id: PatientId) -> PatientId | None:
        """The same."""
        return patient_id


class Gateways(Protocol):
    """Asks the responding gateways of other communities; whatever goes wrong is part of the answer."""

    def query(self, community: Community, request: bytes) -> CommunityAnswer:
        """Cross Gateway Query.

        Args:
            request: ``query:AdhocQueryRequest``.
        """

    def retrieve(self, community: Community, requests: Sequence[DocumentRequest]) -> Retrieval:
        """Cross Gateway Retrieve."""

    def retrieve_pictures(
        self, community: Community, requests: Sequence[ImagingRequest], syntaxes: Sequence[str]
    ) -> Retrieval:
        """Cross Gateway Retrieve Imaging Document Set, of at most :data:`PICTURES_AT_ONCE` instances."""


PICTURES_AT_ONCE: Final = 100
"""Most instances in one message to another community."""

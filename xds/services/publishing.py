"""Publish documents that arrive as FHIR resources.

Source: MHD 4.2 (ITI TF-2: 3.65, 3.105, 3.106).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from ihe.errors import Finding
from ihe.unit_of_work import UnitOfWork
from xds.domain.answers import Returned
from xds.domain.datatypes import is_uuid
from xds.domain.model import AssociationType, Submission
from xds.domain.registered import RegisteredEntry
from xds.ports import PatientResources
from xds.services import get
from xds.services.get import Named
from xds.services.provide_bytes import provide_bytes
from xds.services.registry import Registry
from xds.services.repository import Repository
from xds.translate.fhir_submission import Received, Server, read_document
from xds.translate.fhir_terms import Json


def server_for(uow: UnitOfWork, registry: Registry, patients: PatientResources) -> Server:
    """The registry as the reader of a message sees it, inside the unit of work."""

    def document(unique_id: str) -> str | None:
        if is_uuid(unique_id.lower()):
            known = get.entries(uow, Named(ids=[unique_id.lower()]))
            if known:
                return known[0].id
        found = get.entries(uow, Named(unique_ids=[unique_id]))
        return next((each.id for each in found), None)

    def members(folder_id: str) -> frozenset[str]:
        if not is_uuid(folder_id):
            return frozenset()
        links = get.associations(uow, [folder_id], ("Approved",))
        return frozenset(
            each.target for each in links if each.source == folder_id and each.type == AssociationType.HAS_MEMBER
        )

    return Server(
        patient=lambda resource_id: patients.identifier_of(uow, resource_id),
        knows=registry.directory.knows_authority,
        document=document,
        members=members,
        new_id=lambda: uuid.uuid4().urn,
    )


@dataclass(frozen=True, slots=True)
class Published:
    """One document as it was registered.

    Attributes:
        returned: the entry under the patient identifier of the submission.
        warnings: of the registration.
    """

    returned: Returned
    submission: Submission
    warnings: list[Finding]

    @property
    def entry(self) -> RegisteredEntry:
        """The entry."""
        assert isinstance(self.returned.object, RegisteredEntry)
        return self.returned.object


def publish_document(uow: UnitOfWork, resource: Json, repository: Repository, patients: PatientResources) -> Published:
    """Keep and register one DocumentReference that carries its document.

    Raises:
        Refused: something is wrong; carries every finding. Nothing was kept.
    """
    server = server_for(uow, repository.registry, patients)
    received: Received = read_document(resource, server, str(repository.id_for(uow.caller.site)), uow.now)
    warnings = provide_bytes(uow, received.submission, received.documents, repository)
    (entry,) = received.submission.entries
    (registered,) = get.entries(uow, Named(ids=[entry.id]))
    return Published(Returned(registered, entry.patient_id), received.submission, warnings)

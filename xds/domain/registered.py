"""Objects as the registry holds them.

The metadata itself is the *body*, canonical ebRIM rendered at registration (see :mod:`xds.translate.ebxml_writer`);
beside it stand the facts that the registry decides by and that change: status, owner, version.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from xds.domain.model import DocumentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredObject:
    """What is common to registered entries, sets and folders.

    Attributes:
        id: entryUUID, ``urn:uuid:…`` in lower case.
        logical_id: ``id`` of the first version.
        status: an :class:`xds.domain.model.Availability` value.
        patient_id: CX as submitted.
        anchor: CX of the identifier that the object follows: it belongs to the person whom this identifier
            designates now.
        home: homeCommunityId as submitted, or ``None``.
        body: ebRIM inside the element, without what depends on the moment.
        registered_at: when this version was registered.
    """

    id: str
    logical_id: str
    version: int
    status: str
    unique_id: str
    patient_id: str
    anchor: str
    home: str | None
    body: str
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredEntry(RegisteredObject):
    """A document entry; ``hash`` (lower case) and ``size`` are ``None`` when it is on-demand.

    Attributes:
        confidentiality_codes: ``code^^scheme``.
    """

    on_demand: bool
    mime_type: str
    repository_unique_id: str
    hash: str | None
    size: int | None
    source_patient_id: str | None
    document_availability: str | None
    confidentiality_codes: tuple[str, ...]

    @property
    def object_type(self) -> str:
        """DocumentEntry.objectType."""
        return DocumentKind.ON_DEMAND if self.on_demand else DocumentKind.STABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSet(RegisteredObject):
    """A submission set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredFolder(RegisteredObject):
    """A folder; ``last_update_time`` is when a document last joined it."""

    last_update_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredAssociation:
    """An association between two registered objects."""

    id: str
    type: str
    source: str
    target: str
    status: str
    body: str
    registered_at: datetime


Described = RegisteredEntry | RegisteredSet | RegisteredFolder
Registered = Described | RegisteredAssociation

"""Objects as the registry holds them.

The metadata itself is the *body*, canonical ebRIM rendered at registration (see :mod:`xds.translate.ebxml_writer`);
beside it stand the facts that the registry decides by and that change: status, owner, version.

An answer may hold thousands of them, so they are not frozen: that would cost several times the rest of their making.
Nobody changes them. Their fields stand in the order of the columns that are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from xds.domain.model import DocumentKind


@dataclass(slots=True)
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
        body: reads the ebRIM inside the element, without what depends on the moment; UTF-8. Unpacked only when
            asked for, and then not kept: an answer may hold thousands.
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
    body: Callable[[], bytes]
    registered_at: datetime


@dataclass(slots=True)
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
    confidentiality_codes: Sequence[str]

    @property
    def object_type(self) -> str:
        """DocumentEntry.objectType."""
        return DocumentKind.ON_DEMAND if self.on_demand else DocumentKind.STABLE


@dataclass(slots=True)
class RegisteredSet(RegisteredObject):
    """A submission set."""


@dataclass(slots=True)
class RegisteredFolder(RegisteredObject):
    """A folder; ``last_update_time`` is when a document last joined it."""

    last_update_time: datetime


@dataclass(slots=True)
class RegisteredAssociation:
    """An association between two registered objects."""

    id: str
    type: str
    source: str
    target: str
    status: str
    body: Callable[[], bytes]
    registered_at: datetime


Described = RegisteredEntry | RegisteredSet | RegisteredFolder
Registered = Described | RegisteredAssociation

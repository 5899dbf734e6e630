"""The security audit event of a transaction (ITI-20), as a value.

Source: DICOM PS3.15 A.5; ITI TF-2: 3.20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple


class Outcome(IntEnum):
    """EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


@dataclass(slots=True)
class AuditTrail:
    """What a transaction notes while it serves: the patients, documents and queries it touched.

    Attributes:
        objects: participant objects, each a JSON-serialisable mapping with at least ``kind`` and ``id``.
        action: what was done, where that depends on the request; ``None`` for what the transaction's record says.
        apart: what has an event of its own beside the main one, each with its action (a merge deletes one record).
    """

    objects: list[Mapping[str, Any]] = field(default_factory=list)
    action: str | None = None
    apart: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def patient(self, identifier: str, **details: Any) -> None:
        """Note a patient by identifier (CX form); never by name."""
        self.objects.append({"kind": "patient", "id": identifier, **details})

    def study(self, uid: str, **details: Any) -> None:
        """Note a study by its instance UID."""
        self.objects.append({"kind": "study", "id": uid, **details})

    def clear(self) -> None:
        """Forget everything: the transaction is tried again."""
        self.objects.clear()
        self.apart.clear()
        self.action = None

    def document(self, unique_id: str, **details: Any) -> None:
        """Note a document or submission set by unique id."""
        self.objects.append({"kind": "document", "id": unique_id, **details})

    def query(self, identifier: str, **details: Any) -> None:
        """Note a query by its name or id."""
        self.objects.append({"kind": "query", "id": identifier, **details})


class Audited(NamedTuple):
    """What an audit event says of a request, as profiles ask for it.

    Attributes:
        query: tells what was asked, in the words of the wire; ``None`` where nobody asks for it.
        details: of each participant object, by name.
    """

    query: Callable[[], str] | None = None
    details: Mapping[str, str] = MappingProxyType({})


class AuditEvent(NamedTuple):
    """One audit event, complete.

    Attributes:
        reason: class of the refusal or failure, ``None`` on success; never a message with data.
    """

    at: datetime
    transaction: str
    event_code: str
    event_action: str
    outcome: Outcome
    node: str
    site: str | None
    user: str | None
    purpose: str
    correlation_id: str
    objects: tuple[Mapping[str, Any], ...]
    reason: str | None = None

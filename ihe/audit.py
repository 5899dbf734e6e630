"""The security audit event of a transaction (ITI-20), as a value.

Source: DICOM PS3.15 A.5; ITI TF-2: 3.20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any


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
    """

    objects: list[Mapping[str, Any]] = field(default_factory=list)

    def patient(self, identifier: str, **details: Any) -> None:
        """Note a patient by identifier (CX form); never by name."""
        self.objects.append({"kind": "patient", "id": identifier, **details})

    def document(self, unique_id: str, **details: Any) -> None:
        """Note a document or submission set by unique id."""
        self.objects.append({"kind": "document", "id": unique_id, **details})

    def query(self, identifier: str, **details: Any) -> None:
        """Note a query by its name or id."""
        self.objects.append({"kind": "query", "id": identifier, **details})


@dataclass(frozen=True, slots=True)
class AuditEvent:
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

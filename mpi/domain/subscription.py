"""Who wants to be told of which patients, and how (PMIR).

Source: ITI TF-2: 3.94; FHIR R4 Subscription.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Subscription:
    """A wish to be told.

    Attributes:
        channel: ``message`` (a feed message is sent for every change) or ``rest-hook`` (the resource is put).
        endpoint: where to, an HTTP address.
        payload: media type of what is sent; empty sends only the news that something changed.
        headers: further HTTP header lines; may hold secrets, so they are never told again.
        domains: codes of the domains whose patients are wanted; empty means all.
        local_id: the only patient wanted, of the one domain; ``None`` means all.
        is_active: whether anything is sent.
        resource: the Subscription as sent, without header lines.
    """

    channel: str
    endpoint: str
    payload: str
    headers: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    local_id: str | None = None
    is_active: bool = True
    resource: Mapping[str, Any] = field(default_factory=dict)

    def wants(self, domain: str, local_id: str) -> bool:
        """Whether a record is one of those wanted."""
        return (not self.domains or domain in self.domains) and self.local_id in (None, local_id)


@dataclass(frozen=True, slots=True)
class StoredSubscription:
    """A subscription that was taken in, or one that the region's table states.

    Attributes:
        id: ``None`` of one that the table states.
        owner: who made it; nobody else sees or changes it.
        version: from 1.
    """

    id: int | None
    owner: str
    version: int
    wish: Subscription

    @property
    def name(self) -> str:
        """Under which deliveries are recorded."""
        return f"ITI-94 {self.id}" if self.id is not None else f"ITI-93 {self.owner}"

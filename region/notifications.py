"""Sends identity events to those who asked for them: one subscriber of the outbox for each consumer.

Source: ITI TF-2: 3.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from ihe.audit import AuditEvent, Outcome
from ihe.caller import REGION
from ihe.errors import Unavailable
from ihe.hl7v2.client import MllpClient
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.sending import Envelope
from ihe.outbox import Subscriber
from ihe.store import audit
from ihe.store.outbox import OutboxEvent
from ihe.transaction import Transaction
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.services.notify_references import (
    EVENT_KINDS,
    changed_references,
    concerned_keys,
    remember_told,
)
from mpi.transactions import iti10_pix_update_notification as iti10
from region.region_table import Notification, RegionTable

APPLICATION = "TRAITDUNION"
"""MSH-3.1 of what is sent from here."""

_TIMEOUT_SECONDS = 15.0


class Sender:
    """One consumer's connection. For one thread at a time.

    Args:
        table: names the sending system.
        to: address, and MSH-5 and MSH-6.
    """

    def __init__(self, table: RegionTable, to: Notification, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._sender = ((APPLICATION, str(table.home_community_id), "ISO"), table.region.code)
        self._receiver = (to.application, to.facility)
        self._client = MllpClient(to.host, to.port, timeout_seconds=timeout_seconds)
        self._is_proven = False

    def send(self, control_id: str, encode: Callable[[Envelope], Message]) -> Message:
        """Send one message and return its acknowledgement.

        A connection that worked before may have been closed meanwhile, so a failure on it is tried once more on a new
        one: notifications may be repeated.

        Raises:
            Unavailable: the consumer cannot be reached.
            MalformedRequest: its answer is not readable.
        """
        message = encode(Envelope(self._sender, self._receiver, control_id, datetime.now(UTC)))
        if self._is_proven:
            with suppress(Unavailable):
                return self._client.send(message)
        self._is_proven = False
        answer = self._client.send(message)
        self._is_proven = True
        return answer

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        self._client.close()
        self._is_proven = False


class PixConsumer:
    """Gets ADT^A31 for each of its patients whose identifiers changed (ITI-10).

    Args:
        domain: code of the domain whose patients it holds.
        targets: codes of the domains whose identifiers it wants; empty means all.
    """

    def __init__(
        self, database: Database, app: MpiApplication, domain: str, sender: Sender, targets: Sequence[str] = ()
    ) -> None:
        self._database = database
        self._app = app
        self._domain = domain
        self._sender = sender
        self._targets = tuple(targets)
        self.name = f"ITI-10 {domain}"

    def takes(self, event: OutboxEvent) -> bool:
        """Whether the event is about a patient of the domain."""
        return event.kind in EVENT_KINDS and bool(concerned_keys(event.payload, self._domain))

    def deliver(self, event: OutboxEvent) -> None:
        """Tell what changed, each patient in a message of its own.

        Raises:
            Unavailable: the consumer cannot be reached.
            Conflict: it refused.
        """
        keys = concerned_keys(event.payload, self._domain)
        with self._database.unit(REGION) as uow:
            changes = changed_references(uow, self._app, self.name, keys, self._targets)
        for change in changes:
            iti10.decode(self._sender.send(f"{event.id}.{change.record_id}", partial(iti10.encode, change.identifiers)))
            with self._database.unit(REGION) as uow:
                remember_told(uow, self.name, change)
                record_sent(uow, iti10.TRANSACTION, event, change.identifiers[:1])

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()


def record_sent(uow: UnitOfWork, sent: Transaction, event: OutboxEvent, patients: Sequence[PatientId]) -> None:
    """Write the audit event of a message that was sent and accepted."""
    audit.append(
        uow.connection,
        AuditEvent(
            at=uow.now,
            transaction=sent.number,
            event_code=sent.event_code,
            event_action=sent.event_action,
            outcome=Outcome.SUCCESS,
            node=uow.caller.node,
            site=uow.caller.site,
            user=uow.caller.user,
            purpose=uow.caller.purpose,
            correlation_id=f"outbox-{event.id}",
            objects=tuple({"kind": "patient", "id": patient.xds_cx} for patient in patients),
        ),
    )


def subscribers(table: RegionTable, database: Database, app: MpiApplication) -> list[Subscriber]:
    """The consumers that the table of domains names and has enabled."""
    return [
        PixConsumer(database, app, domain.code, Sender(table, domain.notification))
        for domain in table
        if domain.notification is not None and domain.notification.enabled
    ]

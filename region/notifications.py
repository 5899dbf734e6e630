"""Sends identity events to those who asked for them: one subscriber of the outbox for each consumer.

Source: ITI TF-2: 3.10, 3.46, 3.64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from ihe.audit import AuditEvent, Outcome
from ihe.audit_message import DESTINATION
from ihe.caller import REGION
from ihe.errors import Unavailable
from ihe.hl7v2.client import MllpClient
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.sending import Envelope
from ihe.outbox import Subscriber
from ihe.soap.client import SoapClient
from ihe.store import audit
from ihe.store.outbox import OutboxEvent
from ihe.transaction import Transaction
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import PatientId
from ihe.xml import Element
from mpi.application import MpiApplication
from mpi.domain.succession import Successions
from mpi.services.notify_links import LinkChange, changed_links, remember_link
from mpi.services.notify_references import (
    EVENT_KINDS,
    ReferenceChange,
    changed_references,
    concerned_keys,
    remember_told,
)
from mpi.store.successions import in_force as successions_in_force
from mpi.transactions import iti10_pix_update_notification as iti10
from mpi.transactions import iti46_pix_update_notification_v3 as iti46
from mpi.transactions import iti64_notify_xad_pid_link_change as iti64
from mpi.translate.hl7v3_sending import Interchange
from region.region_table import Notification, RegionTable, SoapNotification

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


class SoapSender:
    """One consumer's SOAP endpoint. For one thread at a time.

    Args:
        table: names the sending system.
        to: address and receiving device.
        action: of the messages.
    """

    def __init__(self, table: RegionTable, to: SoapNotification, action: str) -> None:
        self._sender = table.home_community_id
        self._to = to
        self._action = action
        self._client: SoapClient | None = None

    def send(self, control_id: str, encode: Callable[[Interchange], Element]) -> Element:
        """Send one message and return its acknowledgement.

        Raises:
            Unavailable: the consumer cannot be reached.
            Conflict: it refused with a fault.
            MalformedRequest: its answer is not readable.
        """
        interchange = Interchange(self._sender, self._to.device, control_id, datetime.now(UTC))
        if self._client is None:
            self._client = SoapClient(self._to.url, _TIMEOUT_SECONDS)
        return self._client.send(self._action, encode(interchange))

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None


class Change(Protocol):
    """Something to tell: a record of the consumer's, by internal id."""

    @property
    def record_id(self) -> int: ...

    @property
    def local(self) -> PatientId: ...


ChangeT = TypeVar("ChangeT", bound=Change)


@dataclass(frozen=True, slots=True)
class Telling(Generic[ChangeT]):
    """What one consumer is told, and how.

    Attributes:
        name: of the consumer, under which deliveries are recorded.
        transaction: what is sent.
        takes: whether an event concerns the consumer.
        changes: what the consumer does not know yet.
        encode, decode: the message, and its answer; a refusal raises.
        remember: writes down that the consumer has acknowledged a change.
    """

    name: str
    transaction: Transaction
    takes: Callable[[OutboxEvent], bool]
    changes: Callable[[UnitOfWork, OutboxEvent], Sequence[ChangeT]]
    encode: Callable[[ChangeT, Any], Any]
    decode: Callable[[Any], None]
    remember: Callable[[UnitOfWork, ChangeT], None]


class Channel(Protocol):
    """A connection to one consumer."""

    def send(self, control_id: str, encode: Callable[[Any], Any]) -> Any:
        """Make a message, send it and return its answer."""

    def close(self) -> None:
        """Close the connection; the next message opens another."""


class ConsumerSubscriber(Generic[ChangeT]):
    """Tells one consumer each change in a message of its own."""

    def __init__(self, telling: Telling[ChangeT], database: Database, sender: Channel) -> None:
        self._telling = telling
        self._database = database
        self._sender = sender

    @property
    def name(self) -> str:
        """Name of the consumer."""
        return self._telling.name

    def takes(self, event: OutboxEvent) -> bool:
        """Whether the event concerns the consumer."""
        return self._telling.takes(event)

    def deliver(self, event: OutboxEvent) -> None:
        """Tell what changed.

        Raises:
            Unavailable: the consumer cannot be reached.
            Conflict: it refused.
        """
        telling = self._telling
        with self._database.unit(REGION) as uow:
            changes = telling.changes(uow, event)
        for change in changes:
            control_id = f"{event.id}.{change.record_id}"
            telling.decode(self._sender.send(control_id, partial(telling.encode, change)))
            with self._database.unit(REGION) as uow:
                telling.remember(uow, change)
                audit.append(uow.connection, _sent(uow, telling, event, change.local))

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()


def _sent(uow: UnitOfWork, telling: Telling[Any], event: OutboxEvent, patient: PatientId) -> AuditEvent:
    """The audit event of a message that was sent and accepted."""
    transaction = telling.transaction
    return AuditEvent(
        at=uow.now,
        transaction=transaction.number,
        event_code=transaction.event_code,
        event_action=transaction.event_action,
        outcome=Outcome.SUCCESS,
        node=uow.caller.node,
        site=uow.caller.site,
        user=uow.caller.named_user,
        purpose=uow.caller.purpose,
        correlation_id=f"outbox-{event.id}",
        objects=({"kind": DESTINATION, "id": telling.name}, {"kind": "patient", "id": patient.xds_cx}),
    )


def pix_consumer(
    app: MpiApplication, domain: str, by: ModuleType = iti10, successions: Successions | None = None
) -> Telling[ReferenceChange]:
    """A domain hears of each of its patients whose identifiers changed, and of those of domains that it took over.

    Args:
        by: the transaction, ITI-10 or ITI-46.
        successions: that are in force; ``None`` means none.
    """
    name = f"{by.TRANSACTION.number} {domain}"
    estate = successions.estate(domain) if successions is not None else frozenset({domain})

    def changes(uow: UnitOfWork, event: OutboxEvent) -> Sequence[ReferenceChange]:
        present = successions_in_force(uow.connection, uow.now).estate(domain)
        return changed_references(uow, app, name, domain, concerned_keys(event.payload, present))

    return Telling(
        name=name,
        transaction=by.TRANSACTION,
        takes=lambda event: event.kind in EVENT_KINDS and bool(concerned_keys(event.payload, estate)),
        changes=changes,
        encode=by.encode,
        decode=by.decode,
        remember=lambda uow, change: remember_told(uow, name, change),
    )


def link_registry(app: MpiApplication, registry: str) -> Telling[LinkChange]:
    """A registry hears of each patient who belongs to another person now (ITI-64)."""
    name = f"ITI-64 {registry}"
    return Telling(
        name=name,
        transaction=iti64.TRANSACTION,
        takes=lambda event: event.kind in EVENT_KINDS,
        changes=lambda uow, event: changed_links(uow, app, name, event.payload),
        encode=iti64.encode,
        decode=iti64.decode,
        remember=lambda uow, change: remember_link(uow, name, change),
    )


def subscribers(table: RegionTable, database: Database, app: MpiApplication) -> list[Subscriber]:
    """The consumers that the table of domains names and has enabled, and what concerns them at this moment."""
    with database.unit(REGION) as uow:
        successions = successions_in_force(uow.connection, uow.now)
    known: list[tuple[Telling[Any], Notification]] = [
        *((pix_consumer(app, d.code, iti10, successions), d.notification) for d in table if d.notification is not None),
        *((link_registry(app, r.name), r.notification) for r in table.registries),
    ]
    return [
        *(ConsumerSubscriber(telling, database, Sender(table, to)) for telling, to in known if to.enabled),
        *(
            ConsumerSubscriber(
                pix_consumer(app, d.code, iti46, successions), database, SoapSender(table, to, iti46.ACTION)
            )
            for d in table
            if (to := d.notification_v3) is not None and to.enabled
        ),
    ]

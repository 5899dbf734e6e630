"""Tells subscribers of documents: one subscriber of the outbox for each subscription.

Source: ITI TF-2: 3.53 (DSUB); FHIR R4: Subscription (rest-hook).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ihe.audit import AuditEvent, Outcome
from ihe.audit_message import DESTINATION
from ihe.caller import REGION
from ihe.fhir.formats import JSON, render
from ihe.outbox import Subscriber
from ihe.soap.client import SoapClient
from ihe.store import audit
from ihe.store.outbox import OutboxEvent
from ihe.transaction import Transaction
from ihe.unit_of_work import Database, UnitOfWork
from region.rest_hook import RestHook, header_lines
from xds.application import XdsApplication
from xds.domain.document_subscription import Channel, DocumentNews, StoredDocumentSubscription
from xds.services.patient_resources import patient_references
from xds.services.subscriptions import EVENT_KINDS, all_active, news_of, still_wanted
from xds.transactions import iti53_document_metadata_notify as iti53
from xds.transactions import iti112_resource_notify as iti112

_TIMEOUT_SECONDS = 15.0
_OBJECT_KEYS = ("entry_uuid", "uuid", "set_uuid")


class DocumentSubscriber:
    """Delivers to one subscription. For one thread at a time."""

    def __init__(self, database: Database, app: XdsApplication, stored: StoredDocumentSubscription) -> None:
        self._database = database
        self._app = app
        self._stored = stored
        self._hook = RestHook(app.callbacks)
        self._soap: SoapClient | None = None

    @property
    def name(self) -> str:
        """Of the subscription."""
        return self._stored.name

    def takes(self, event: OutboxEvent) -> bool:
        """Whether the event is of the subscription's topic; of whom it tells is asked when it is delivered."""
        return event.kind in EVENT_KINDS[self._stored.wish.topic]

    def deliver(self, event: OutboxEvent) -> None:
        """Tell of the document or submission set, if it is wanted and its owner may read it.

        Raises:
            Unavailable: the consumer cannot be reached now.
            Conflict: it refused.
            AccessDenied: its address may not be written to any more.
        """
        object_id = next(str(event.payload[key]) for key in _OBJECT_KEYS if key in event.payload)
        with self._database.unit(self._stored.owner) as uow:
            stored = still_wanted(uow, self._stored.id)
            news = stored and news_of(uow, self._app.registry, self._app.patients, stored.wish, object_id)
            if not stored or not news:
                return
            is_soap = stored.wish.channel is Channel.WSN
            send = partial(self._notify, stored, news) if is_soap else self._hooked(uow, stored, news)
        send()
        with self._database.unit(REGION) as uow:
            transaction = iti53.TRANSACTION if is_soap else iti112.TRANSACTION
            audit.append(uow.connection, _sent(uow, transaction, event, news, stored.name))

    def _notify(self, stored: StoredDocumentSubscription, news: DocumentNews) -> None:
        if self._soap is None:
            self._soap = SoapClient(stored.wish.endpoint, _TIMEOUT_SECONDS, callbacks=self._app.callbacks)
        self._soap.notify(iti53.ACTION, iti53.encode(stored.wish.topic, stored.manager, news))

    def _hooked(self, uow: UnitOfWork, stored: StoredDocumentSubscription, news: DocumentNews) -> Callable[[], object]:
        wish = stored.wish
        headers = header_lines(wish.headers)
        if not wish.payload:
            return partial(self._hook.request, "POST", wish.endpoint, b"", headers)
        (reference,) = patient_references(uow, self._app.patients, [news.returned]).values()
        resource = iti112.encode(news, reference, stored.manager)
        headers |= {"Content-Type": wish.payload, "Accept": JSON}
        url = f"{wish.endpoint}/{resource['resourceType']}/{resource['id']}"
        return partial(self._hook.request, "PUT", url, render(resource, wish.payload), headers)

    def close(self) -> None:
        """Close the connections; the next delivery opens others."""
        self._hook.close()
        if self._soap is not None:
            self._soap.close()
            self._soap = None


def _sent(uow: UnitOfWork, transaction: Transaction, event: OutboxEvent, news: DocumentNews, to: str) -> AuditEvent:
    """The audit event of a message that was sent and accepted."""
    assert news.returned.patient_id is not None
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
        objects=(
            {"kind": DESTINATION, "id": to},
            {"kind": "patient", "id": news.returned.patient_id.xds_cx},
            {"kind": "document", "id": getattr(news.returned.object, "unique_id", "")},
        ),
    )


def subscribers(database: Database, app: XdsApplication) -> list[Subscriber]:
    """The subscriptions of this moment."""
    with database.unit(REGION) as uow:
        return [DocumentSubscriber(database, app, stored) for stored in all_active(uow)]

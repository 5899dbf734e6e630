"""Tells FHIR subscribers what became of their patients: one subscriber of the outbox for each subscription, and for
each domain that the region's table tells by FHIR messages.

What is sent is the state at the moment of sending, and only when it differs from what the subscriber accepted last; so
late, repeated and reordered events never bring an old state back.

Source: ITI TF-2: 3.93, 3.94; FHIR R4: Subscription (rest-hook).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import orjson

from ihe.audit import AuditEvent, Outcome
from ihe.audit_message import DESTINATION
from ihe.callbacks import CallbackRule
from ihe.caller import REGION
from ihe.errors import Conflict
from ihe.fhir.formats import JSON, render
from ihe.outbox import Subscriber
from ihe.store import audit
from ihe.store.outbox import OutboxEvent
from ihe.unit_of_work import Database, UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.subscription import StoredSubscription, Subscription
from mpi.services.notify_patients import EVENT_KINDS, PatientNews, patient_news, remember_news
from mpi.services.subscriptions import all_active, still_wanted
from mpi.transactions import iti93_mobile_patient_identity_feed as iti93
from mpi.translate.fhir_message import feed_message, is_accepted
from mpi.translate.fhir_patient import merged_resource, patient_resource, patient_resource_id
from region.region_table import RegionTable
from region.rest_hook import RestHook, header_lines

SOURCE = "urn:traitdunion:fhir"
"""``MessageHeader.source`` of what is sent from here."""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell.

    Attributes:
        resource: the Patient now; ``None`` when it was deleted.
    """

    method: str
    url: str
    resource: Mapping[str, Any] | None


class FhirSubscriber:
    """Delivers to one subscription. For one thread at a time."""

    def __init__(
        self, database: Database, app: MpiApplication, stored: StoredSubscription, callbacks: CallbackRule
    ) -> None:
        self._database = database
        self._app = app
        self._stored = stored
        self._hook = RestHook(callbacks)
        self.name = stored.name

    def takes(self, event: OutboxEvent) -> bool:
        """Every identity event: one that takes a wanted patient out of a person may name only those who stay."""
        return event.kind in EVENT_KINDS

    def deliver(self, event: OutboxEvent) -> None:
        """Tell what changed, each patient by itself.

        Raises:
            Unavailable: the subscriber cannot be reached now.
            Conflict: it refused.
            AccessDenied: its address may not be written to any more.
        """
        with self._database.unit(replace(REGION, site=self._stored.owner)) as uow:  # it is answered as its owner is
            stored = still_wanted(uow, self._stored)
            news = patient_news(uow, self._app, stored, event.payload) if stored is not None else []
        for each in news:
            assert stored is not None
            self._send(stored, each)
            with self._database.unit(REGION) as uow:
                remember_news(uow, stored, each)
                _record_sent(uow, event, each.identifiers[0], self.name)

    def _send(self, stored: StoredSubscription, news: PatientNews) -> None:
        wish, told = stored.wish, _told(news)
        headers = header_lines(wish.headers)
        if wish.payload:
            headers |= {"Content-Type": wish.payload, "Accept": JSON}
        if wish.channel == "message":
            entry: dict[str, Any] = {"fullUrl": f"{SOURCE}/{told.url}"} if told.resource is not None else {}
            if told.resource is not None:
                entry["resource"] = told.resource
            entry["request"] = {"method": told.method, "url": told.url if told.method != "POST" else "Patient"}
            entry["response"] = {"status": {"POST": "201", "PUT": "200", "DELETE": "204"}[told.method]}
            message = feed_message([entry], SOURCE, wish.endpoint, news.at)
            answer = self._hook.request("POST", wish.endpoint, render(message, wish.payload), headers)
            _check_answer(answer)
        elif not wish.payload:
            self._hook.request("POST", wish.endpoint, b"", headers)
        elif told.resource is None:
            self._hook.request("DELETE", f"{wish.endpoint}/{told.url}", b"", headers)
        else:
            self._hook.request("PUT", f"{wish.endpoint}/{told.url}", render(told.resource, wish.payload), headers)

    def close(self) -> None:
        """Close the connections; the next delivery opens others."""
        self._hook.close()


def _told(news: PatientNews) -> Told:
    url = f"Patient/{patient_resource_id(news.record)}"
    if news.record.is_active:
        resource = patient_resource(news.record, news.identifiers)
        return Told("POST" if news.is_new else "PUT", url, resource)
    if news.survivor is not None:
        survivor, survivor_id = news.survivor
        return Told("PUT", url, merged_resource(news.record, news.identifiers[0], survivor, survivor_id))
    return Told("DELETE", url, None)


def _check_answer(answer: httpx.Response) -> None:
    """A message may be refused by the message that answers it."""
    try:
        content = orjson.loads(answer.content) if answer.content else {}
    except ValueError:
        return
    if isinstance(content, dict) and not is_accepted(content):
        raise Conflict("the subscriber refused the message")


def _record_sent(uow: UnitOfWork, event: OutboxEvent, patient: PatientId, to: str) -> None:
    audit.append(
        uow.connection,
        AuditEvent(
            at=uow.now,
            transaction=iti93.TRANSACTION.number,
            event_code=iti93.TRANSACTION.event_code,
            event_action=iti93.TRANSACTION.event_action,
            outcome=Outcome.SUCCESS,
            node=uow.caller.node,
            site=uow.caller.site,
            user=uow.caller.named_user,
            purpose=uow.caller.purpose,
            correlation_id=f"outbox-{event.id}",
            objects=({"kind": DESTINATION, "id": to}, {"kind": "patient", "id": patient.xds_cx}),
        ),
    )


def subscribers(table: RegionTable, database: Database, app: MpiApplication) -> list[Subscriber]:
    """The domains that the table tells by FHIR messages, and the subscriptions of this moment."""
    stated = [
        (StoredSubscription(None, d.code, 1, Subscription("message", to.url, JSON, domains=(d.code,))), to.url)
        for d in table
        if (to := d.notification_fhir) is not None and to.enabled
    ]
    with database.unit(REGION) as uow:
        return [
            *(FhirSubscriber(database, app, stored, CallbackRule((url,))) for stored, url in stated),
            *(FhirSubscriber(database, app, stored, app.callbacks) for stored in all_active(uow)),
        ]

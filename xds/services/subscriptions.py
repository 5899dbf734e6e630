"""Subscribe to documents, and find what a subscriber is to be told.

Notifications follow identity and pass the reading policy: what an event tells of is looked up again when it is
delivered, for the person whom the criteria designate then, on behalf of the subscription's owner.

Source: ITI TF-2: 3.52, 3.53.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Final

from ihe.errors import NotFound, PreconditionFailed
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.answers import Returned
from xds.domain.criteria import DocumentCriteria, SetCriteria
from xds.domain.document_subscription import (
    DocumentNews,
    DocumentSubscription,
    StoredDocumentSubscription,
    Topic,
)
from xds.domain.registered import RegisteredAssociation, RegisteredEntry, RegisteredSet
from xds.ports import PatientResources
from xds.services import get
from xds.services.find import anchors_of, designated
from xds.services.ownership import Ownership
from xds.services.registry import Registry
from xds.services.visibility import visible
from xds.store import searches, subscriptions
from xds.translate.subscription_criteria import read_criteria

EVENT_KINDS: Final = {
    Topic.FULL: frozenset({"document.registered", "document.updated"}),
    Topic.MINIMAL: frozenset({"document.registered", "document.updated"}),
    Topic.SUBMISSION_SET: frozenset({"submission.registered"}),
}
"""Events of which a subscription to each topic may hear."""


def subscribe(uow: UnitOfWork, wish: DocumentSubscription, address: str) -> StoredDocumentSubscription:
    """Take in a new subscription of the caller.

    Args:
        address: where subscriptions are managed, with ``{id}`` for the place of their id.
    """
    subscription_id = str(uuid.uuid4())
    manager = address.replace("{id}", subscription_id)
    return subscriptions.insert(uow.connection, subscription_id, uow.caller, manager, wish, uow.now)


def read_subscription(uow: UnitOfWork, subscription_id: str, *, lock: bool = False) -> StoredDocumentSubscription:
    """One of the caller's subscriptions that hasn't ended.

    Raises:
        NotFound: there is none of that id, or it is another's.
    """
    found = subscriptions.get(uow.connection, subscription_id, lock=lock) if _is_id(subscription_id) else None
    caller = uow.caller
    if found is None or (found.owner.site or found.owner.label) != (caller.site or caller.label):
        raise NotFound("there is no such subscription")
    if found.wish.ends_at is not None and found.wish.ends_at <= uow.now:
        raise NotFound("the subscription has ended")
    return found


def change_subscription(
    uow: UnitOfWork, subscription_id: str, wish: DocumentSubscription, only_versions: tuple[str, ...] = ()
) -> StoredDocumentSubscription:
    """Replace one of the caller's subscriptions.

    Args:
        only_versions: versions of which one must be the present one; empty means any.

    Raises:
        NotFound: there is none of that id, or it is another's.
        PreconditionFailed: it is in another version.
    """
    found = read_subscription(uow, subscription_id, lock=True)
    if only_versions and str(found.version) not in only_versions:
        raise PreconditionFailed("the Subscription is not in that version any more", "If-Match")
    return subscriptions.update(uow.connection, subscription_id, wish, uow.now)


def renew(uow: UnitOfWork, subscription_id: str, ends_at: datetime | None) -> StoredDocumentSubscription:
    """Give one of the caller's subscriptions another end.

    Raises:
        NotFound: there is none of that id, or it is another's.
    """
    found = read_subscription(uow, subscription_id, lock=True)
    return subscriptions.update(uow.connection, subscription_id, replace(found.wish, ends_at=ends_at), uow.now)


def unsubscribe(uow: UnitOfWork, subscription_id: str) -> None:
    """End one of the caller's subscriptions; what waits for it is not sent any more.

    Raises:
        NotFound: there is none of that id, or it is another's.
    """
    subscriptions.delete(uow.connection, read_subscription(uow, subscription_id, lock=True))


def all_active(uow: UnitOfWork) -> list[StoredDocumentSubscription]:
    """All subscriptions that want something now, of whomever."""
    return subscriptions.active(uow.connection, uow.now)


def still_wanted(uow: UnitOfWork, subscription_id: str) -> StoredDocumentSubscription | None:
    """A subscription as it is now; ``None`` when it ended or wants nothing now."""
    found = subscriptions.get(uow.connection, subscription_id)
    if found is None or not found.wish.is_active:
        return None
    return found if found.wish.ends_at is None or found.wish.ends_at > uow.now else None


def news_of(
    uow: UnitOfWork,
    registry: Registry,
    patients: PatientResources,
    wish: DocumentSubscription,
    object_id: str,
) -> DocumentNews | None:
    """What a subscription's owner is to be told of an entry or submission set; ``None`` when nothing.

    Args:
        uow: on behalf of the owner.
        object_id: entryUUID of which an event tells.
    """
    wanted = read_criteria(wish)
    asked: PatientId | None = None
    anchors: frozenset[str] | None = None
    if wanted.patient is not None:
        asked = wanted.patient.identifier
        if wanted.patient.resource_id is not None:
            asked = patients.identifier_of(uow, wanted.patient.resource_id)
        person = designated(uow, registry, asked) if asked is not None else None
        if person is None:
            return None
        anchors = frozenset(anchors_of(person))
    found = _found(uow, wanted.criteria, object_id)
    if found is None or not visible(uow, registry, [found]) or not wanted.admits(found):
        return None
    if anchors is not None and found.anchor not in anchors:
        return None
    shown = asked or Ownership(uow, registry.directory).returned_patient_id(found.patient_id, found.anchor)
    around = get.submission_sets(uow, [found.id]) if isinstance(found, RegisteredEntry) else []
    sets = [Returned(e) if isinstance(e, RegisteredAssociation) else Returned(e, shown) for e in around]
    return DocumentNews(Returned(found, shown), tuple(sets))


def _found(
    uow: UnitOfWork, criteria: DocumentCriteria | SetCriteria, object_id: str
) -> RegisteredEntry | RegisteredSet | None:
    if isinstance(criteria, DocumentCriteria):
        return next(iter(searches.entries_among(uow.connection, [object_id], criteria)), None)
    return next(iter(searches.sets_among(uow.connection, [object_id], criteria)), None)


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True

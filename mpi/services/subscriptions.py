"""Make, read, change and end subscriptions to patients (PMIR)."""

from __future__ import annotations

from ihe.errors import NotFound, PreconditionFailed
from ihe.unit_of_work import UnitOfWork
from mpi.domain.subscription import StoredSubscription, Subscription
from mpi.store import subscriptions


def subscribe(uow: UnitOfWork, wish: Subscription) -> StoredSubscription:
    """Take in a new subscription of the caller."""
    return subscriptions.insert(uow.connection, _owner(uow), wish, uow.now)


def read_subscription(uow: UnitOfWork, subscription_id: int, *, lock: bool = False) -> StoredSubscription:
    """One of the caller's subscriptions.

    Raises:
        NotFound: there is none of that id, or it is another's.
    """
    found = subscriptions.get(uow.connection, subscription_id, lock=lock)
    if found is None or found.owner != _owner(uow):
        raise NotFound("there is no such Subscription")
    return found


def change_subscription(
    uow: UnitOfWork, subscription_id: int, wish: Subscription, only_versions: tuple[str, ...] = ()
) -> StoredSubscription:
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


def unsubscribe(uow: UnitOfWork, subscription_id: int) -> None:
    """End one of the caller's subscriptions; what waits for it is not sent any more.

    Raises:
        NotFound: there is none of that id, or it is another's.
    """
    subscriptions.delete(uow.connection, read_subscription(uow, subscription_id, lock=True))


def _owner(uow: UnitOfWork) -> str:
    return uow.caller.site or uow.caller.label


def all_active(uow: UnitOfWork) -> list[StoredSubscription]:
    """All subscriptions that want something now, of whomever."""
    return subscriptions.active(uow.connection, uow.now)


def still_wanted(uow: UnitOfWork, stored: StoredSubscription) -> StoredSubscription | None:
    """A subscription as it is now; ``None`` when it ended or wants nothing now."""
    return stored if stored.id is None else next((s for s in all_active(uow) if s.id == stored.id), None)

"""A subscription ends by itself, is renewed before that, and is its owner's alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ihe.caller import Caller
from ihe.errors import NotFound
from ihe.unit_of_work import UnitOfWork
from xds.domain.document_subscription import Channel, DocumentSubscription, Topic
from xds.services.subscriptions import all_active, renew, still_wanted, subscribe, unsubscribe

ROANNE = Caller("viewer.roanne", "ROANNE")
FIRMINY = Caller("viewer.firminy", "FIRMINY")
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def at(uow: UnitOfWork, hours: float, caller: Caller = ROANNE) -> UnitOfWork:
    return UnitOfWork(uow.connection, caller, NOON + timedelta(hours=hours))


def wish(hours: float | None) -> DocumentSubscription:
    ends_at = None if hours is None else NOON + timedelta(hours=hours)
    return DocumentSubscription(Channel.WSN, Topic.MINIMAL, "http://127.0.0.1:9/", "<AdhocQuery/>", ends_at)


def test_it_is_in_force_until_its_end_and_longer_when_renewed(house: Any) -> None:
    with house.unit() as uow:
        made = subscribe(at(uow, 0), wish(1), "http://127.0.0.1/dsub?subscription={id}")
        forever = subscribe(at(uow, 0), wish(None), "http://127.0.0.1/dsub?subscription={id}")
        assert {each.id for each in all_active(at(uow, 0.9))} == {made.id, forever.id}
        assert {each.id for each in all_active(at(uow, 1.1))} == {forever.id}
        assert still_wanted(at(uow, 0.9), made.id) is not None
        assert still_wanted(at(uow, 1.1), made.id) is None

        renew(at(uow, 0.9), made.id, NOON + timedelta(hours=3))
        assert still_wanted(at(uow, 2.9), made.id) is not None
        with pytest.raises(NotFound):
            renew(at(uow, 3), made.id, NOON + timedelta(hours=9))
        with pytest.raises(NotFound):
            unsubscribe(at(uow, 3), made.id)
        unsubscribe(at(uow, 3), forever.id)
        assert all_active(at(uow, 3)) == []


def test_nobody_but_its_owner_renews_or_ends_it(house: Any) -> None:
    with house.unit() as uow:
        made = subscribe(at(uow, 0), wish(1), "http://127.0.0.1/dsub?subscription={id}")
        for change in (lambda other: renew(other, made.id, None), lambda other: unsubscribe(other, made.id)):
            with pytest.raises(NotFound):
                change(at(uow, 0.5, FIRMINY))
        assert still_wanted(at(uow, 0.5), made.id) == made

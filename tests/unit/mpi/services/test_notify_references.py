"""What a consumer is told is the present state, once, whatever order the events come in."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ihe.values import PartialDate
from mpi.domain.identity import RecordKey, Sex, Traits
from mpi.services.decide_pair import decide_pair
from mpi.services.feed_record import feed_record
from mpi.services.notify_links import changed_links, remember_link
from mpi.services.notify_references import changed_references, concerned_keys, remember_told

MARIE = Traits(
    birth_family_name="EXEMPLE",
    birth_given_names=("MARIE", "LOUISE"),
    first_birth_given_name="MARIE",
    sex=Sex.FEMALE,
    birth_date=PartialDate(1948, 3, 17),
    birth_place_code="42218",
)
CHUSE, ROANNE = RecordKey("CHUSE", "C1"), RecordKey("ROANNE", "R1")


@pytest.fixture
def events(unit, index):
    """Two records of one person, and what the outbox says of how they came about."""
    with unit() as uow:
        feed_record(uow, index, CHUSE, MARIE)
    with unit() as uow:
        feed_record(uow, index, ROANNE, MARIE)
    return lambda: _payloads(unit)


def _payloads(unit):
    with unit() as uow:
        return list(uow.connection.execute(text("SELECT payload FROM outbox_event ORDER BY id")).scalars())


def told(unit, index, payload, domain="CHUSE"):
    with unit() as uow:
        changes = changed_references(uow, index, "test", domain, concerned_keys(payload, domain))
        for change in changes:
            remember_told(uow, "test", change)
        return [{i.value for i in change.identifiers if not i.value.startswith("TDU")} for change in changes]


def test_an_old_event_tells_the_present_state_and_the_newer_one_then_nothing(unit, index, events):
    old = events()[0]
    new = next(payload for payload in events() if len(payload["records"]) == 2)
    assert old["records"] == [["CHUSE", "C1"]]
    assert told(unit, index, old) == [{"C1", "R1"}]
    assert told(unit, index, new) == []
    assert told(unit, index, new, "ROANNE") == [{"C1", "R1"}]


def test_after_an_unlink_both_sides_are_corrected_by_whatever_event_comes_last(unit, index, events):
    for payload in events():
        told(unit, index, payload)
        told(unit, index, payload, "ROANNE")
    before = len(events())
    with unit() as uow:
        decide_pair(uow, index, CHUSE, ROANNE, "different", reason="test")
    apart = events()[before:]
    corrections = []
    for payload in reversed(apart):
        corrections += told(unit, index, payload) + told(unit, index, payload, "ROANNE")
    assert sorted(map(sorted, corrections)) == [["C1"], ["R1"]]
    assert [told(unit, index, payload) for payload in events()] == [[]] * len(events())


def test_a_registry_hears_of_a_change_once(unit, index, events):
    with unit() as uow:
        for payload in events():
            assert changed_links(uow, index, "registry", payload) == []
    with unit() as uow:
        decide_pair(uow, index, CHUSE, ROANNE, "different", reason="test")
    heard = []
    for _ in range(2):
        for payload in events():
            with unit() as uow:
                for change in changed_links(uow, index, "registry", payload):
                    heard.append((change.local.value, change.current.value != change.previous.value, change.subsumed))
                    remember_link(uow, "registry", change)
    assert heard == [("R1", True, None)]

"""Feeds, links, merges, decisions and their undo, over a real database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from ihe.errors import Conflict, InvalidElement, UnknownPatient
from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.services.change_identifier import change_identifier
from mpi.services.cross_reference import cross_reference
from mpi.services.decide_pair import decide_pair
from mpi.services.feed_record import FeedOutcome, feed_record
from mpi.services.identifiers import patient_id_of
from mpi.services.merge_records import merge_records
from mpi.services.undo_event import undo_event
from mpi.services.withdraw_record import withdraw_record
from mpi.store import links, records, tasks

MARIE = Traits(
    birth_family_name="EXEMPLE",
    birth_given_names=("MARIE", "LOUISE"),
    first_birth_given_name="MARIE",
    sex=Sex.FEMALE,
    birth_date=PartialDate(1948, 3, 17),
    birth_place_code="42218",
    address="12 RUE DU TEST",
    postal_code="42100",
    city="SAINT ETIENNE",
    phone="0477000001",
    identity_status=IdentityStatus.VALI,
)
PAUL = Traits(
    birth_family_name="MODELE",
    birth_given_names=("PAUL",),
    first_birth_given_name="PAUL",
    sex=Sex.MALE,
    birth_date=PartialDate(1971, 11, 2),
    birth_place_code="42187",
)
CHU = RecordKey("CHUSE", "C1")
ROANNE = RecordKey("ROANNE", "R1")
ICL = RecordKey("ICL", "I1")


def _ids(uow, index, key):
    answer = cross_reference(uow, index, patient_id_of(index, key))
    return {i.value for i in answer.identifiers if not i.value.startswith("TDU")}


def _persons(uow):
    rows = uow.connection.execute(text("SELECT domain, local_id, person_id FROM record WHERE state = 'active'"))
    groups: dict[int, set[str]] = {}
    for row in rows:
        groups.setdefault(row.person_id, set()).add(f"{row.domain}/{row.local_id}")
    return {frozenset(group) for group in groups.values()}


def test_same_patient_at_three_sites_is_one_person(unit, index):
    for key in (CHU, ROANNE, ICL):
        with unit() as uow:
            assert feed_record(uow, index, key, MARIE).outcome is FeedOutcome.CREATED
    with unit() as uow:
        assert _ids(uow, index, ROANNE) == {"C1", "I1"}
        assert len(_persons(uow)) == 1


def test_another_patient_stays_another(unit, index):
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, ROANNE, PAUL)
    with unit() as uow:
        assert _ids(uow, index, CHU) == set()


def test_update_can_separate_and_join_again(unit, index):
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, ROANNE, MARIE)
    with unit() as uow:
        feed_record(uow, index, ROANNE, PAUL)
        assert _ids(uow, index, CHU) == set()
        overlays = [t.kind for t in tasks.open_among(uow.connection, [2])]
        assert "suspected-overlay" in overlays
    with unit() as uow:
        feed_record(uow, index, ROANNE, MARIE)
        assert _ids(uow, index, CHU) == {"R1"}


def test_older_encounter_changes_nothing(unit, index):
    newer, older = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE, source_updated_at=newer)
        result = feed_record(uow, index, CHU, PAUL, source_updated_at=older, only_if_newer=True)
        assert result.outcome is FeedOutcome.STALE
        assert records.by_key(uow.connection, CHU).traits == MARIE


def test_merge_subsumes_and_undo_restores(unit, index):
    other = RecordKey("CHUSE", "C2")
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, other, PAUL)
        feed_record(uow, index, ROANNE, PAUL)
        before = _persons(uow)
        event = merge_records(uow, index, CHU, other, None)
    with unit() as uow:
        assert _ids(uow, index, CHU) == set()
        with pytest.raises(UnknownPatient):
            cross_reference(uow, index, patient_id_of(index, other))
        with pytest.raises(Conflict):
            feed_record(uow, index, other, PAUL)
    with unit() as uow:
        undo_event(uow, index, event, reason="wrong merge")
        assert _persons(uow) == before
        assert _ids(uow, index, other) == {"R1"}
        with pytest.raises(Conflict):
            undo_event(uow, index, event, reason="twice")


def test_merge_of_an_unknown_id_keeps_it_from_coming_back(unit, index):
    late = RecordKey("CHUSE", "LATE")
    with unit() as uow:
        merge_records(uow, index, CHU, late, MARIE)
        with pytest.raises(Conflict):
            feed_record(uow, index, late, MARIE)
        assert records.by_key(uow.connection, CHU).traits == MARIE


@pytest.mark.parametrize("first_into_second", [True, False])
def test_circular_merge_is_refused(unit, index, first_into_second):
    other = RecordKey("CHUSE", "C2")
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, other, PAUL)
        one, two = (CHU, other) if first_into_second else (other, CHU)
        merge_records(uow, index, one, two, None)
    with unit() as uow, pytest.raises(Conflict):
        merge_records(uow, index, two, one, None)
    with unit() as uow, pytest.raises(InvalidElement):
        merge_records(uow, index, CHU, CHU, None)


def test_changed_identifier_answers_and_the_former_does_not(unit, index):
    new = RecordKey("CHUSE", "C9")
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, ROANNE, MARIE)
        event = change_identifier(uow, index, CHU, new, None)
    with unit() as uow:
        assert _ids(uow, index, ROANNE) == {"C9"}
        with pytest.raises(UnknownPatient):
            cross_reference(uow, index, patient_id_of(index, CHU))
    with unit() as uow:
        undo_event(uow, index, event, reason="typed wrong")
        assert _ids(uow, index, ROANNE) == {"C1"}


def test_steward_link_and_its_undo(unit, index):
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, ROANNE, PAUL)
        event = decide_pair(uow, index, CHU, ROANNE, "same", reason="seen both")
        assert _ids(uow, index, CHU) == {"R1"}
        record = records.by_key(uow.connection, ROANNE)
        assert [h.how for h in links.history(uow.connection, record.id)] == ["alone", "steward"]
    with unit() as uow:
        undone = undo_event(uow, index, event, reason="mistake")
        assert _ids(uow, index, CHU) == set()
    with unit() as uow:
        undo_event(uow, index, undone, reason="it was right after all")
        assert _ids(uow, index, CHU) == {"R1"}


def test_steward_separation_outlives_updates(unit, index):
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, ROANNE, MARIE)
        decide_pair(uow, index, CHU, ROANNE, "different", reason="two sisters")
        assert _ids(uow, index, CHU) == set()
    with unit() as uow:
        moved = Traits(**{**_fields(MARIE), "city": "ROANNE"})
        feed_record(uow, index, ROANNE, moved)
        assert _ids(uow, index, CHU) == set()


def test_withdrawn_record_answers_no_more(unit, index):
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, ROANNE, MARIE)
        withdraw_record(uow, index, CHU)
        assert _ids(uow, index, ROANNE) == set()
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        assert _ids(uow, index, ROANNE) == {"C1"}


def test_steward_word_passes_to_the_survivor_of_a_merge(unit, index):
    other = RecordKey("CHUSE", "C2")
    with unit() as uow:
        feed_record(uow, index, CHU, MARIE)
        feed_record(uow, index, ROANNE, PAUL)
        decide_pair(uow, index, CHU, ROANNE, "same", reason="seen both")
        feed_record(uow, index, other, Traits(birth_family_name="AUTRE", first_birth_given_name="ZOE"))
        merge_records(uow, index, other, CHU, None)
        assert _ids(uow, index, ROANNE) == {"C2"}


def test_links_export_has_each_active_record_once(unit, index):
    with unit() as uow:
        for key in (ROANNE, CHU, ICL):
            feed_record(uow, index, key, MARIE)
        rows = list(records.all_links(uow.connection))
    assert [row[:2] for row in rows] == [("CHUSE", "C1"), ("ICL", "I1"), ("ROANNE", "R1")]
    assert len({row[2] for row in rows}) == 1


def _fields(traits):
    return {name: getattr(traits, name) for name in traits.__dataclass_fields__}

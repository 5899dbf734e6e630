"""A link is explained as it was decided, also after its records changed, it ended, or another model came into force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ihe.errors import NotFound
from ihe.values import PartialDate
from mpi.domain.identity import RecordKey, Sex, Traits
from mpi.services.change_model import activate_model, relink_everybody
from mpi.services.explain_link import explain_pair, explain_record
from mpi.services.feed_record import feed_record
from mpi.store import models

HERE, THERE, ELSEWHERE = RecordKey("CHUSE", "1"), RecordKey("ROANNE", "2"), RecordKey("GIER", "3")
JEANNE = Traits(
    birth_family_name="VAUCANSON",
    birth_given_names=("JEANNE", "LOUISE"),
    first_birth_given_name="JEANNE",
    sex=Sex.FEMALE,
    birth_date=PartialDate.parse("1951-03-04"),
    birth_place_code="42218",
    address="3 RUE DES ACACIAS",
    postal_code="42300",
    city="ROANNE",
    phone="0477000001",
)
STRANGER = replace(JEANNE, birth_family_name="TROUSSELIER", birth_date=PartialDate.parse("1980-12-01"), phone=None)


def feed(unit, index, key: RecordKey, traits: Traits) -> None:
    with unit() as uow:
        feed_record(uow, index, key, traits)


def told(unit, index, key: RecordKey, event_id: int | None = None) -> dict[str, Any]:
    with unit() as uow:
        return explain_record(uow, index, key, event_id)


@pytest.fixture
def linked(unit, index) -> dict[str, Any]:
    feed(unit, index, HERE, JEANNE)
    feed(unit, index, THERE, replace(JEANNE, birth_given_names=("JEANNE",)))
    return told(unit, index, THERE)


def test_a_decision_tells_everything_it_rests_on(unit, index, linked) -> None:
    because = linked["because"]
    assert linked["grade"] == "probable"
    assert because["model"] == {"version": index.model.version, "name": index.model.name}
    assert [row["model"] for row in linked["history"]] == [index.model.version]
    assert because["weight_bits"] == linked["history"][-1]["weight_bits"]
    assert because["blocking_keys"]
    assert because["probability"] > 0.99
    family = next(row for row in because["fields"] if row["field"] == "family")
    assert (family["a"], family["b"], family["level"]) == ("VAUCANSON", "VAUCANSON", "SAME")
    assert family["one_in"] > 10_000
    assert because["changes"][-1]["code"] == "spare"
    assert linked["compared_with"] == [
        {"domain": "CHUSE", "local_id": "1", "same_person": True, "weight_bits": because["weight_bits"], "vetoes": []}
    ]


def test_a_link_that_ended_is_explained_by_what_its_records_said_then(unit, index, linked) -> None:
    event_id = linked["history"][-1]["event_id"]
    feed(unit, index, THERE, STRANGER)
    now = told(unit, index, THERE)
    assert (now["with"], now["because"]) == ([], None)
    then = told(unit, index, THERE, event_id)["because"]
    assert {**then, "stored": True, "same_person": True} == linked["because"]
    with pytest.raises(NotFound):
        told(unit, index, HERE, 10**9)


def test_a_link_is_explained_by_the_model_that_made_it(unit, index, linked) -> None:
    other = replace(index.model, name="other", thresholds=replace(index.model.thresholds, automatic=26.0))
    with unit() as uow:
        models.add(uow.connection, index.model, note="", now=uow.now)
        activate_model(uow, other)
        relink_everybody(uow, changed := replace(index, model=other))
    assert told(unit, changed, THERE)["because"] == {**linked["because"], "stored": False}
    with unit() as uow:
        assert explain_pair(uow, changed, HERE, THERE)["model"]["name"] == "other"
        assert explain_pair(uow, index, HERE, THERE)["thresholds"]["automatic_bits"] == 26.0
    feed(unit, changed, ELSEWHERE, JEANNE)
    assert told(unit, changed, ELSEWHERE)["history"][-1]["model"] == other.version

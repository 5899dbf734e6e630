"""The synthetic region against its ground truth: nobody mixed up, nearly every pair found or asked about."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest
from sqlalchemy import text

from ihe.hl7v2.er7 import Message
from ihe.peer import Peer
from mpi.domain.identity import RecordKey
from mpi.store import records
from region.bootstrap import build_service
from region.region_table import load_region
from region.synthetic.population import build
from xds.store.content import DiskContent

REGION = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"


@pytest.fixture(scope="module")
def fed(module_database_url, tmp_path_factory):
    """The region after its whole feed: scenario, each record's person, the pairs asked about, the records."""
    service = build_service(module_database_url, load_region(REGION), DiskContent(tmp_path_factory.mktemp("documents")))
    scenario = build()
    for sent in scenario.messages:
        (answer,) = service.hl7v2.handle(sent.data, Peer("127.0.0.1", 0))
        assert Message.parse(answer).segment("MSA").text(1) == "AA", sent.trigger
    with service.engine.connect() as connection:
        rows = connection.execute(text("SELECT domain, local_id, person_id FROM record WHERE state = 'active'"))
        person_of = {RecordKey(row.domain, row.local_id): row.person_id for row in rows}
        asked = connection.execute(
            text(
                "SELECT a.domain, a.local_id, b.domain, b.local_id FROM task t JOIN record a ON a.id = t.record_a"
                " JOIN record b ON b.id = t.record_b WHERE t.state = 'open'"
            )
        )
        waiting = {frozenset((RecordKey(*row[:2]), RecordKey(*row[2:]))) for row in asked}
        stored = {key: records.by_key(connection, key) for key in person_of}
    service.close()
    return scenario, person_of, waiting, stored


def _active(scenario):
    return {key: truth.person for key, truth in scenario.records.items() if truth.merged_into is None}


def test_the_feed_has_the_size_that_was_asked_for(fed):
    scenario, person_of, _, _ = fed
    assert len(scenario.persons) >= 600
    assert len(_active(scenario)) >= 1400
    assert set(person_of) == set(_active(scenario))
    assert len({key.domain for key in person_of}) == 10


def test_no_two_persons_are_merged(fed):
    scenario, person_of, _, _ = fed
    truth = _active(scenario)
    humans = defaultdict(set)
    for key, person in person_of.items():
        humans[person].add(truth[key])
    assert {person: who for person, who in humans.items() if len(who) > 1} == {}


def test_nearly_every_true_pair_is_linked_or_waits(fed):
    scenario, person_of, waiting, _ = fed
    by_human = defaultdict(list)
    for key, human in _active(scenario).items():
        by_human[human].append(key)
    pairs = [pair for keys in by_human.values() for pair in combinations(keys, 2)]
    # A question about two persons is asked once, about one record of each.
    persons_asked = {frozenset(person_of[key] for key in pair) for pair in waiting}
    found = sum(
        person_of[a] == person_of[b] or frozenset((person_of[a], person_of[b])) in persons_asked for a, b in pairs
    )
    assert found / len(pairs) >= 0.97


def test_tasks_stay_few(fed):
    _, person_of, waiting, _ = fed
    assert len(waiting) <= 0.06 * len(person_of)


def test_each_record_holds_what_its_site_said_last(fed):
    """Late news of the past change nothing."""
    scenario, _, _, stored = fed
    names = (
        *("birth_family_name", "first_birth_given_name", "birth_date", "birth_place_code", "ins", "ins_oid"),
        *("identity_status", "identity_attributes", "multiple_birth", "birth_order", "mother_family_name"),
    )
    for key, record in stored.items():
        said = scenario.records[key].traits
        assert [getattr(record.traits, name) for name in names] == [getattr(said, name) for name in names], key


def test_the_people_of_the_demonstration_are_three(fed):
    scenario, person_of, _, _ = fed
    found = [{person_of[key] for key in character.records.values()} for character in scenario.cast.everyone]
    assert [len(persons) for persons in found] == [1, 1, 1]
    assert len(set().union(*found)) == 3

"""Link changes (ITI-64) arrive at a real listening registry: links, unlinks, local merges, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ihe.caller import REGION as REGION_CALLER
from ihe.hl7v2.er7 import Message
from mpi.domain.identity import RecordKey
from mpi.services.decide_pair import decide_pair
from mpi.services.undo_event import undo_event
from region.region_table import LinkRegistry, Notification, RegionTable, load_region
from tests.hl7v2_desk import Desk
from tests.mllp_consumer import Consumer, wait_for

REGION_FILE = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"


@pytest.fixture
def registry():
    with Consumer() as consumer:
        yield consumer


@pytest.fixture
def desk(start, registry):
    table = load_region(REGION_FILE)
    to = Notification(True, "127.0.0.1", registry.port, "XDS", "ELSEWHERE")
    with start(RegionTable(table.name, table.home_community_id, tuple(table), (LinkRegistry("NORTH", to),))) as running:
        yield Desk(running.service)


def link_changes(consumer: Consumer) -> list[tuple[str, str, str, list[str]]]:
    """New regional id, local id, former regional id, subsumed local ids."""
    return [told(message) for message in list(consumer.received)]


def told(message: Message) -> tuple[str, str, str, list[str]]:
    pid, mrg = message.segment("PID"), message.segment("MRG")
    assert pid is not None
    assert mrg is not None
    new, local = (r.text(1) for r in pid.field(3).repetitions)
    former, *subsumed = (r.text(1) for r in mrg.field(1).repetitions)
    return new, local, former, subsumed


def settled(desk: Desk) -> bool:
    waiting = (
        "SELECT (SELECT count(*) FROM outbox_event WHERE NOT distributed)"
        " + (SELECT count(*) FROM outbox_delivery WHERE state <> 'delivered')"
    )
    return desk.count(waiting) == 0


def regional_id(desk: Desk, code: str, local_id: str) -> str:
    number = desk.count(f"SELECT person_id FROM record WHERE domain = '{code}' AND local_id = '{local_id}'")
    return f"TDU{number:010}"


def test_a_registry_hears_of_unlinks_and_links_not_of_first_arrivals(desk, registry):
    desk.feed(desk.adt("A28", "CHUSE", "C1"), desk.adt("A28", "ROANNE", "R1"))
    wait_for(lambda: settled(desk))
    assert link_changes(registry) == [], "a patient who was always known under one regional id"
    together = regional_id(desk, "ROANNE", "R1")

    def decide(verdict: str) -> int:
        with desk.service.database.unit(REGION_CALLER) as uow:
            keys = RecordKey("CHUSE", "C1"), RecordKey("ROANNE", "R1")
            return decide_pair(uow, desk.service.mpi, *keys, verdict, reason="test")

    apart = decide("different")
    alone = regional_id(desk, "ROANNE", "R1")
    assert alone != together
    wait_for(lambda: link_changes(registry) == [(alone, "R1", together, [])])
    with desk.service.database.unit(REGION_CALLER) as uow:
        undo_event(uow, desk.service.mpi, apart, reason="test")
    wait_for(lambda: link_changes(registry)[1:] == [(together, "R1", alone, [])])
    message = registry.received[0]
    region, roanne = (desk.table.by_code(code).authority for code in ("REGION", "ROANNE"))
    assert message.segment_names == ("MSH", "EVN", "PID", "MRG")
    assert message.msh.field(9).raw == "ADT^A43^ADT_A43"
    assert message.msh.field(3).raw == f"TRAITDUNION^{desk.table.home_community_id}^ISO"
    assert message.segment("PID").field(3).raw == (
        f"{alone}^^^{region.namespace}&{region.oid}&ISO^RRI~R1^^^{roanne.namespace}&{roanne.oid}&ISO^PI"
    )
    assert message.segment("PID").field(5).raw == " "
    assert message.segment("MRG").field(1).raw == f"{together}^^^{region.namespace}&{region.oid}&ISO^RRI"


def test_a_local_merge_names_the_subsumed_identifier(desk, registry):
    other = "AUTRE^ODETTE^ODETTE^^^^L||19610415|F"
    desk.feed(desk.adt("A28", "ROANNE", "R1"), desk.adt("A28", "ROANNE", "R2", other))
    wait_for(lambda: settled(desk))
    survivor, subsumed = regional_id(desk, "ROANNE", "R1"), regional_id(desk, "ROANNE", "R2")
    assert survivor != subsumed
    desk.feed(desk.adt("A40", "ROANNE", "R1", extra=[f"MRG|{desk.cx('ROANNE', 'R2')}"]))
    wait_for(lambda: settled(desk))
    assert link_changes(registry) == [(survivor, "R1", subsumed, ["R2"])]


def test_a_disabled_registry_is_not_told(start, registry):
    table = load_region(REGION_FILE)
    to = Notification(False, "127.0.0.1", registry.port, "XDS", "ELSEWHERE")
    silent = RegionTable(table.name, table.home_community_id, tuple(table), (LinkRegistry("NORTH", to),))
    with start(silent) as running:
        assert not [each for each in running.service.subscribers() if each.name.startswith("ITI-64")]

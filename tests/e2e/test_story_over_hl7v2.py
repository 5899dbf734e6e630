"""The whole story over HL7 v2 and real sockets: feed at three sites, query, link changes, notification, merge, undo."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ihe.caller import REGION as REGION_CALLER
from ihe.hl7v2.client import MllpClient
from ihe.hl7v2.er7 import Message
from mpi.services.undo_event import undo_event
from region.region_table import Notification, RegionTable, load_region
from tests.hl7v2_desk import Desk, er7, ids, outcome
from tests.mllp_consumer import Consumer, local, wait_for

REGION_FILE = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"


@pytest.fixture
def story(start):
    """A service, a consumer at ROANNE, and a partner's connection."""
    with ExitStack() as stack:
        consumer = stack.enter_context(Consumer())
        table = load_region(REGION_FILE)
        to = Notification(True, "127.0.0.1", consumer.port, "GAM", "ROANNE")
        domains = tuple(replace(d, notification=to) if d.code == "ROANNE" else d for d in table)
        running = stack.enter_context(start(RegionTable(table.name, table.home_community_id, domains)))
        partner = stack.enter_context(MllpClient(running.host, running.mllp_port))
        yield Desk(running.service), consumer, lambda text: partner.send(text.encode())


def test_feed_query_link_notify_merge_undo(story):
    desk, consumer, send = story

    def told() -> frozenset[str]:
        return local(consumer.told()[-1]) if consumer.received else frozenset()

    def feed(message: str) -> None:
        assert outcome(send(message))[0] == "AA"

    def asked(code: str, local_id: str) -> Message:
        header = "MSH|^~\\&|VIEWER|TEST|TRAITDUNION|REGION|20260115101500||QBP^Q23^QBP_Q21|Q1|P|2.5"
        return send(er7(header, f"QPD|IHE PIX Query|TAG1|{desk.cx(code, local_id)}", "RCP|I"))

    def known_as(code: str, local_id: str) -> set[str]:
        return {value for value in ids(asked(code, local_id).segment("PID")) if not value.startswith("TDU")}

    for code, local_id in (("CHUSE", "C1"), ("ROANNE", "R1"), ("ICL", "I1")):
        feed(desk.adt("A28", code, local_id))
    assert known_as("ROANNE", "R1") == {"C1", "I1"}
    wait_for(lambda: told() == {"R1", "C1", "I1"})
    candidates = send(desk.query("Q22", "@PID.5.1^EXEMPL*~@PID.7^19480317", domains=f"^^^{desk.hd('ROANNE')}"))
    assert [ids(pid) for pid in candidates.segments("PID")] == [["R1"]]

    second = [f"PID|2||{desk.cx('ICL', 'I1')}"]
    feed(desk.adt("A37", "ROANNE", "R1", extra=second))
    assert "I1" not in known_as("ROANNE", "R1")
    wait_for(lambda: "R1" in told() and "I1" not in told())
    feed(desk.adt("A24", "ROANNE", "R1", extra=second))
    assert known_as("ROANNE", "R1") == {"C1", "I1"}
    wait_for(lambda: told() == {"R1", "C1", "I1"})

    feed(desk.adt("A28", "CHUSE", "C2"))
    feed(desk.adt("A40", "CHUSE", "C2", extra=[f"MRG|{desk.cx('CHUSE', 'C1')}"]))
    assert known_as("ROANNE", "R1") == {"C2", "I1"}
    assert outcome(asked("CHUSE", "C1"))[:3] == ("AE", "AE", "204")
    wait_for(lambda: told() == {"R1", "C2", "I1"})

    merge = desk.count("SELECT max(id) FROM identity_event WHERE kind = 'record.merged'")
    with desk.service.database.unit(REGION_CALLER) as uow:
        undo_event(uow, desk.service.mpi, merge, reason="test")
    assert known_as("ROANNE", "R1") >= {"C1", "I1"}
    assert outcome(asked("CHUSE", "C1"))[:2] == ("AA", "OK")
    wait_for(lambda: "C1" in told())

"""PIX update notifications (ITI-10) arrive at a real listening consumer, and say what is true at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from ihe.caller import REGION as REGION_CALLER
from ihe.hl7v2.client import MllpClient
from mpi.domain.identity import RecordKey
from mpi.services.decide_pair import decide_pair
from mpi.services.undo_event import undo_event
from region.region_table import Notification, RegionTable, load_region
from tests.mllp_consumer import Consumer, local, wait_for

REGION_FILE = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"


def with_consumers(table: RegionTable, **ports: int) -> RegionTable:
    domains = tuple(
        replace(d, notification=Notification(True, "127.0.0.1", ports[d.code], "GAM", d.code)) if d.code in ports else d
        for d in table
    )
    return RegionTable(table.name, table.home_community_id, domains, table.registries)


def adt(table: RegionTable, event: str, code: str, local_id: str, number: int, *, person="EXEMPLE^MARIE", extra=()):
    authority = table.by_code(code).authority
    cx = f"{local_id}^^^{authority.namespace}&{authority.oid}&ISO^PI"
    family, given = person.split("^")
    lines = [
        f"MSH|^~\\&|TEST|TEST|TRAITDUNION|REGION|20260115101500||ADT^{event}|{code}{number}|P|2.5",
        "EVN||20260115101500",
        (
            f"PID|||{cx}||{family}^{given}^{given}^^^^L||19480317|F|||12 RUE DU TEST^^SAINT ETIENNE^^42100^FRA^H"
            "~^^^^^^BDL^^42218"
        ),
        *extra,
    ]
    return "\r".join(lines).encode() + b"\r"


@pytest.fixture
def table() -> RegionTable:
    return load_region(REGION_FILE)


@pytest.fixture
def two() -> Iterator[tuple[Consumer, Consumer]]:
    with Consumer() as first, Consumer() as second:
        yield first, second


@contextmanager
def sending(running) -> Iterator[Callable[[bytes], str]]:
    with MllpClient(running.host, running.mllp_port) as client:

        def send(message: bytes) -> str:
            answer = client.send(message).segment("MSA")
            assert answer is not None
            return answer.text(1)

        yield send


def test_linked_patients_are_told_to_each_subscribing_domain_and_corrected_after_undo(start, table, two):
    roanne, icl = two
    table = with_consumers(table, ROANNE=roanne.port, ICL=icl.port)
    with start(table) as running, sending(running) as send:
        assert send(adt(table, "A28", "ROANNE", "R1", 1)) == "AA"
        wait_for(lambda: [local(i) for i in roanne.told()] == [{"R1"}])
        assert send(adt(table, "A28", "CHUSE", "C1", 2)) == "AA"
        wait_for(lambda: local(roanne.told()[-1]) == {"R1", "C1"})
        assert icl.told() == [], "a domain hears of its own patients only"
        assert send(adt(table, "A28", "ICL", "I1", 3)) == "AA"
        wait_for(lambda: local(roanne.told()[-1]) == {"R1", "C1", "I1"} and bool(icl.told()))
        assert local(icl.told()[-1]) == {"R1", "C1", "I1"}

        with running.service.database.unit(REGION_CALLER) as uow:
            apart = decide_pair(
                uow,
                running.service.mpi,
                RecordKey("ICL", "I1"),
                RecordKey("ROANNE", "R1"),
                "different",
                reason="test",
            )
        wait_for(lambda: local(roanne.told()[-1]) != {"R1", "C1", "I1"} and len(local(icl.told()[-1])) < 3)
        assert "I1" not in local(roanne.told()[-1])
        assert "R1" not in local(icl.told()[-1])

        with running.service.database.unit(REGION_CALLER) as uow:
            undo_event(uow, running.service.mpi, apart, reason="test")
        wait_for(lambda: local(roanne.told()[-1]) == local(icl.told()[-1]) == {"R1", "C1", "I1"})


def test_the_message_is_what_the_profile_asks_for(start, table, two):
    roanne, _ = two
    table = with_consumers(table, ROANNE=roanne.port)
    with start(table) as running, sending(running) as send:
        send(adt(table, "A28", "ROANNE", "R1", 1))
        wait_for(lambda: len(roanne.received) == 1)
        with running.service.engine.connect() as connection:
            wait_for(
                lambda: (
                    connection.execute(text("SELECT count(*) FROM audit_event WHERE transaction = 'ITI-10'")).scalar()
                    == 1
                )
            )
    message = roanne.received[0]
    authority = table.by_code("ROANNE").authority
    region = table.by_code("REGION").authority
    assert message.segment_names == ("MSH", "EVN", "PID", "PV1")
    assert message.msh.field(9).raw == "ADT^A31^ADT_A05"
    assert (message.version, message.receiver) == ("2.5", ("GAM", "ROANNE"))
    assert 0 < len(message.control_id) <= 20
    pid, pv1 = message.segment("PID"), message.segment("PV1")
    cx = pid.field(3).repetitions
    assert str(cx[0]) == f"R1^^^{authority.namespace}&{authority.oid}&ISO^PI"
    assert cx[1].raw.endswith(f"^^^{region.namespace}&{region.oid}&ISO^RRI")
    assert pid.field(5).raw == " "
    assert pv1.text(2) == "N"


def test_a_merge_is_told_to_the_others_and_to_the_domain_itself(start, table, two):
    roanne, icl = two
    table = with_consumers(table, ROANNE=roanne.port, ICL=icl.port)
    with start(table) as running, sending(running) as send:
        for number, (code, local_id) in enumerate([("ROANNE", "R1"), ("ICL", "I1"), ("ICL", "I2")]):
            send(adt(table, "A28", code, local_id, number))
        wait_for(lambda: roanne.told() and "R1" in roanne.told()[-1] and "I1" in roanne.told()[-1])
        authority = table.by_code("ICL").authority
        mrg = f"MRG|I1^^^{authority.namespace}&{authority.oid}&ISO^PI"
        assert send(adt(table, "A40", "ICL", "I2", 9, extra=[mrg])) == "AA"
        wait_for(lambda: local(roanne.told()[-1]) == {"R1", "I2"})
        wait_for(lambda: local(icl.told()[-1]) == {"R1", "I2"})


def test_an_update_that_changes_no_identifier_is_not_told(start, table, two):
    roanne, _ = two
    table = with_consumers(table, ROANNE=roanne.port)
    with start(table) as running, sending(running) as send:
        send(adt(table, "A28", "ROANNE", "R1", 1))
        wait_for(lambda: len(roanne.received) == 1)
        moved = adt(table, "A31", "ROANNE", "R1", 2).replace(b"12 RUE DU TEST", b"3 PLACE DU TEST")
        assert send(moved.replace(b"20260115101500", b"20260116101500")) == "AA"
        with running.service.engine.connect() as connection:
            undelivered = text("SELECT count(*) FROM outbox_delivery WHERE state = 'waiting'")
            undistributed = text("SELECT count(*) FROM outbox_event WHERE NOT distributed")
            wait_for(lambda: not connection.execute(undistributed).scalar())
            wait_for(lambda: not connection.execute(undelivered).scalar())
            assert connection.execute(text("SELECT count(*) FROM outbox_delivery")).scalar() == 2
    assert len(roanne.received) == 1


def test_a_dead_consumer_delays_nobody_and_is_told_when_it_is_back(start, table, two):
    roanne, icl = two
    table = with_consumers(table, ROANNE=roanne.port, ICL=icl.port)
    roanne.hang_up()
    with start(table) as running, sending(running) as send:
        send(adt(table, "A28", "ROANNE", "R1", 1))
        send(adt(table, "A28", "ICL", "I1", 2))
        wait_for(lambda: icl.told() and local(icl.told()[-1]) == {"I1", "R1"})
        assert roanne.told() == []
        roanne.listen()
        wait_for(lambda: roanne.told() and local(roanne.told()[-1]) == {"I1", "R1"}, 30)


def test_a_refused_notification_is_tried_again(start, table, two):
    roanne, _ = two
    table = with_consumers(table, ROANNE=roanne.port)
    roanne.code = "AE"
    with start(table) as running, sending(running) as send:
        send(adt(table, "A28", "ROANNE", "R1", 1))
        with running.service.engine.connect() as connection:
            refused = text("SELECT last_error FROM outbox_delivery WHERE attempts > 0")
            wait_for(lambda: connection.execute(refused).scalar() == "Conflict")
        roanne.code = "AA"
        wait_for(lambda: [local(i) for i in roanne.told()] == [{"R1"}])

"""A domain is told the identifiers of the domains that it wants to hear of, whichever way it listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import text

from ihe.caller import Caller
from mpi.domain.subscription import Subscription
from mpi.services.subscriptions import subscribe
from region.region_table import Notification, RegionTable, SoapNotification, load_region
from tests.e2e.conftest import REGION, Running
from tests.e2e.test_fhir_subscriptions import Listener
from tests.e2e.test_notifications_hl7v3 import DEVICE
from tests.e2e.test_notifications_hl7v3 import Consumer as SoapConsumer
from tests.e2e.test_notifications_pix_update import adt, sending
from tests.mllp_consumer import Consumer, wait_for


@dataclass
class Ears:
    """How ROANNE listens: over HL7 v2, HL7 v3 and FHIR."""

    v2: Consumer
    v3: SoapConsumer
    fhir: Listener

    def told_last(self) -> list[set[str]]:
        """Local ids and regional ones (as ``TDU``) of the last message on each way."""

        def short(values) -> set[str]:
            return {value if not value.startswith("TDU") else "TDU" for value in values}

        if not (self.v2.received and self.v3.received and self.fhir.got):
            return []
        resource = self.fhir.got[-1][3]["entry"][1]["resource"]["entry"][0]["resource"]
        return [
            short(self.v2.told()[-1]),
            short(self.v3.received[-1].ids),
            short(each["value"] for each in resource["identifier"]),
        ]

    @property
    def messages(self) -> tuple[int, int, int]:
        return len(self.v2.received), len(self.v3.received), len(self.fhir.got)


@pytest.fixture
def ears() -> Iterator[Ears]:
    fhir = Listener()
    with Consumer() as v2, SoapConsumer() as v3:
        yield Ears(v2, v3, fhir)
    fhir.server.shutdown()
    fhir.server.server_close()


@contextmanager
def listening(start, ears: Ears, *wanted: str) -> Iterator[Running]:
    table = load_region(REGION)
    roanne = replace(
        table.by_code("ROANNE"),
        notification=Notification(True, "127.0.0.1", ears.v2.port, "GAM", "ROANNE"),
        notification_v3=SoapNotification(True, ears.v3.url, DEVICE),
        notified_of=wanted,
    )
    domains = tuple(roanne if each.code == "ROANNE" else each for each in table)
    with start(RegionTable(table.name, table.home_community_id, domains)) as running:
        resource = {"resourceType": "Subscription", "criteria": "Patient", "channel": {}}
        wish = Subscription("message", ears.fhir.url, "application/fhir+json", (), ("ROANNE",), resource=resource)
        with running.service.database.unit(Caller(node="test", site="ROANNE")) as uow:
            subscribe(uow, wish)
        yield running


def settled(running: Running) -> None:
    """Wait until everything is delivered."""
    undone = text(
        "SELECT (SELECT count(*) FROM outbox_event WHERE NOT distributed)"
        " + (SELECT count(*) FROM outbox_delivery WHERE state = 'waiting')"
    )

    def is_done() -> bool:
        with running.service.engine.connect() as connection:
            return connection.execute(undone).scalar() == 0

    wait_for(is_done)


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ((), {"R1", "C1", "TDU"}, {"R1", "C1", "I1", "TDU"}),
        (("CHUSE",), {"R1", "C1"}, {"R1", "C1"}),
        (("ICL", "REGION"), {"R1", "TDU"}, {"R1", "I1", "TDU"}),
    ],
)
def test_only_identifiers_of_wanted_domains_are_told(start, ears, wanted, first, last):
    with listening(start, ears, *wanted) as running, sending(running) as send:
        assert send(adt(running.table, "A28", "ROANNE", "R1", 1)) == "AA"
        assert send(adt(running.table, "A28", "CHUSE", "C1", 2)) == "AA"
        settled(running)
        assert ears.told_last() == [first] * 3
        before = ears.messages
        assert send(adt(running.table, "A28", "ICL", "I1", 3)) == "AA"
        settled(running)
        assert ears.told_last() == [last] * 3
        assert (ears.messages == before) == (first == last), "what is not wanted is no news"

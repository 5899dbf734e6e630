"""The metrics show how far each subscriber is behind: a dead one more and more, a living one not at all."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from region.region_table import load_region
from tests.e2e.conftest import REGION
from tests.e2e.test_notifications_pix_update import adt, local, sending, with_consumers
from tests.mllp_consumer import Consumer, wait_for


def measured(running, name):
    """Subscriber → value of a metric."""
    families = text_string_to_metric_families(httpx.get(f"{running.base_url}/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {sample.labels["subscriber"]: sample.value for sample in samples}


def test_a_dead_subscriber_falls_behind_and_delays_nobody(start):
    with Consumer() as living, Consumer() as dead:
        dead.hang_up()
        table = with_consumers(load_region(REGION), ROANNE=dead.port, ICL=living.port)
        with start(table) as running, sending(running) as send:

            def lag():
                return measured(running, "traitdunion_subscriber_lag_seconds")

            assert lag() == {"ITI-10 ICL": 0, "ITI-10 ROANNE": 0, "ITI-55 deferred": 0, "asynchronous answers": 0}
            send(adt(table, "A28", "ROANNE", "R1", 1))
            wait_for(lambda: lag()["ITI-10 ROANNE"] > 0)
            grown = [lag()["ITI-10 ROANNE"]]
            for number in range(5):
                send(adt(table, "A28", "ICL", f"I{number}", 10 + number, person=f"AUTRE{'ABCDE'[number]}^ANNE"))
                wait_for(lambda number=number: any(f"I{number}" in local(ids) for ids in living.told()))
                grown.append(lag()["ITI-10 ROANNE"])
            assert grown == sorted(set(grown))
            wait_for(lambda: lag()["ITI-10 ICL"] == 0)
            assert dead.told() == []
            dead.listen()
            wait_for(lambda: lag()["ITI-10 ROANNE"] == 0)
            assert local(dead.told()[-1]) == {"R1"}
            assert set(measured(running, "traitdunion_subscriber_dead_letters").values()) == {0}

"""What holds is said to hold, and what does not is not."""

from __future__ import annotations

import time

from bench import bars
from bench.load import at_rate


def _load(per_second, p99_ms):
    return {"per_second": per_second, "p99_ms": p99_ms}


FOUND = {
    "floors": {
        "floor MLLP, 16 connections": _load(2000, 12.0),
        "floor HTTP, 16 connections": _load(1500, 14.0),
        "floor HTTP in threads, 16 connections": _load(1400, 20.0),
        "floor HTTP, 16 connections at 300/s": _load(300, 4.0),
    },
    "loads": {
        "PIX query v2, 1 connections": _load(100, 1.0),
        "PIX query v2, 16 connections": _load(1201, 13.0),
        "PIX query v3, 16 connections": _load(590, 9.9),
        "PDQ FHIR, 16 connections": _load(700, 30.0),
        "PDQ FHIR, 16 connections at 300/s": _load(300, 31.0),
        "FindDocuments, 16 connections": _load(700, 30.0),
    },
}


def test_each_demand_is_judged_beside_the_floor_of_its_wire():
    found = {bar.name: (bar.holds, bar.floor) for bar in bars.bars(FOUND)}
    assert found == {
        "PIX query v2/s, 16 connections": (True, 2000),
        "PIX query v2 p99 ms, 16 connections": (False, 12.0),
        "PIX query v3/s, 16 connections": (False, 1500),
        "PIX query v3/s, 16 connections, floor in threads": (True, 1400),
        "PIX query v3 p99 ms, 16 connections": (True, 14.0),
        "PDQ FHIR p99 ms, 16 connections": (True, 14.0),
        "PDQ FHIR p99 ms, 16 connections at 300/s": (False, 4.0),
    }


def test_the_table_says_so():
    lines = bars.table({"10000": FOUND}, 25_000.0).splitlines()
    assert lines[1].endswith("(10,000 records)")
    rate, p99 = (line for line in lines if line.startswith("PIX query v2"))
    assert rate.endswith("0.6 of floor  holds")
    assert p99.endswith("<= 10 ms      does not hold")
    assert lines[-1].endswith("holds")
    assert bars.table({}, 19_999.0).endswith("does not hold")


class Slow:
    """Answers after a while."""

    def ask(self, request):
        time.sleep(0.05)
        return request

    def close(self):
        pass


def test_at_a_rate_the_wait_before_a_late_request_counts():
    load = at_rate(Slow, [b"ok"], b"ok", connections=1, per_second=100, seconds=0.2)
    assert (load.requests, load.failures) == (20, 0)
    assert load.p99_ms > 500

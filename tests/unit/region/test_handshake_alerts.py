"""Failed handshakes: the first is told at once, the rest of a minute together, and no flood fills the trail."""

from __future__ import annotations

import asyncio
import ssl

import psycopg

from ihe.audit import AuditEvent
from region import handshake_alerts
from region.handshake_alerts import OTHERS, HandshakeAlerts


def told(attempts: list[str], seconds: float) -> list[tuple[str, int]]:
    """Addresses and counts of the events that so many failures make."""
    events: list[AuditEvent] = []

    async def fail() -> None:
        alerts = HandshakeAlerts(events.append, together_seconds=0.1)
        for address in attempts:
            alerts(address, ssl.SSLError(1, "[SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE] no certificate"))
        await asyncio.sleep(seconds)

    asyncio.run(fail())
    return sorted((event.node, event.objects[0]["Failures"]) for event in events)


def test_the_first_is_told_at_once_and_the_others_later_with_their_number():
    attempts = ["192.0.2.1"] * 5 + ["192.0.2.2"]
    assert told(attempts, 0.02) == [("192.0.2.1", 1), ("192.0.2.2", 1)]
    assert told(attempts, 0.35) == [("192.0.2.1", 1), ("192.0.2.1", 4), ("192.0.2.2", 1)]


def test_many_addresses_are_counted_together(monkeypatch):
    monkeypatch.setattr(handshake_alerts, "MOST_ADDRESSES", 2)
    attempts = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.1"]
    assert told(attempts, 0.35) == [("192.0.2.1", 1), ("192.0.2.1", 1), ("192.0.2.2", 1), (OTHERS, 1), (OTHERS, 1)]


def test_a_trail_that_cannot_be_written_is_said_in_the_log(caplog):
    def fails(_event: AuditEvent) -> None:
        raise psycopg.OperationalError("gone")

    async def fail() -> None:
        HandshakeAlerts(fails)("192.0.2.1", ssl.SSLError(1, "x"))
        await asyncio.sleep(0.1)

    asyncio.run(fail())
    assert "could not be audited" in caplog.text

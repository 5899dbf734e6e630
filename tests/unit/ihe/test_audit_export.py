"""The keeper seals what waits and then rests, however much comes meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import create_engine

from ihe.audit import AuditEvent, Outcome
from ihe.audit_export import AuditTrailKeeper
from ihe.audit_message import AuditSource
from ihe.store import audit, audit_chain

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def write(engine, count):
    with engine.begin() as connection:
        for number in range(count):
            audit.append(
                connection,
                AuditEvent(
                    at=NOW,
                    transaction="ITI-9",
                    event_code="110112",
                    event_action="E",
                    outcome=Outcome.SUCCESS,
                    node="10.0.0.1",
                    site=None,
                    user=None,
                    purpose="normal",
                    correlation_id=str(number),
                    objects=({"kind": "patient", "id": "1^^^&1.2.3&ISO"},),
                ),
            )


def test_what_waits_is_sealed_in_batches_and_what_comes_meanwhile_waits_for_the_next_round(database_url, monkeypatch):
    engine = create_engine(database_url)
    keeper = AuditTrailKeeper(engine, AuditSource("source", None, {}))
    batches = []
    seal = audit_chain.seal

    def sealing(connection, now, limit):
        batches.append(seal(connection, now, limit))
        write(engine, 3)
        return batches[-1]

    monkeypatch.setattr(audit_chain, "seal", sealing)
    write(engine, 500)
    assert keeper.seal() == sum(batches) >= 500
    assert len(batches) == 3
    assert max(batches) <= 200
    assert 0 < keeper.seal() <= 9
    with engine.connect() as connection:
        assert list(audit_chain.verify(connection, NOW)) == []
    engine.dispose()

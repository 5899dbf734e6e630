"""Housekeeping deletes what is old, part after part, and one process at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from ihe.housekeeping import Housekeeping
from ihe.store import messages
from ihe.store.messages import MessageKey


@pytest.fixture
def engine(database_url):
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


def test_old_answers_go_and_young_ones_stay(engine):
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for age in (1, 40, 50):
            key = MessageKey.of("sender", f"m{age}", b"content")
            messages.remember(connection, key, b"answer", now - timedelta(days=age))
    chores = {"answers": lambda connection, at: messages.forget_before(connection, at - timedelta(days=30))}
    assert Housekeeping(engine, chores).run_once() == {"answers": 2}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT control_id FROM received_message")).scalars().all() == ["m1"]


def test_a_chore_is_done_part_after_part_each_committed(engine):
    left = [5, 5, 2]

    def chore(_connection, _now):
        return left.pop(0) if left else 0

    assert Housekeeping(engine, {"chore": chore}).run_once() == {"chore": 12}


def test_a_chore_that_another_process_does_is_left_to_it(engine):
    done = []

    def outer(_connection, _now):
        done.append(Housekeeping(engine, {"chore": lambda _c, _n: 1}).run_once())
        return 0

    Housekeeping(engine, {"chore": outer}).run_once()
    assert done == [{"chore": 0}]


def test_it_goes_on_after_a_failure_and_stops(engine):
    rounds = []

    def chore(_connection, _now):
        rounds.append(1)
        if len(rounds) == 1:
            raise ZeroDivisionError
        return 0

    housekeeping = Housekeeping(engine, {"chore": chore}, every_seconds=0.01)
    housekeeping.start()
    deadline = time.monotonic() + 10
    while len(rounds) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    housekeeping.stop()
    Housekeeping(engine, {}).stop()

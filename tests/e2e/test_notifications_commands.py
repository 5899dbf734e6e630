"""The commands ``notify status`` and ``notify replay`` over a real database and a real consumer."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from region import notify_commands
from region import running as running_commands
from region.region_table import Notification, RegionTable, load_region
from tests.hl7v2_desk import Desk
from tests.mllp_consumer import Consumer, local, wait_for

REGION_FILE = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"


@pytest.fixture
def consumer():
    with Consumer() as consumer:
        yield consumer


@pytest.fixture
def served(start, consumer, monkeypatch):
    table = load_region(REGION_FILE)
    to = Notification(True, "127.0.0.1", consumer.port, "GAM", "ROANNE")
    domains = tuple(replace(d, notification=to) if d.code == "ROANNE" else d for d in table)
    with start(RegionTable(table.name, table.home_community_id, domains)) as running:

        @contextmanager
        def service(_settings):
            yield running.service

        monkeypatch.setattr(running_commands, "service", service)
        yield Desk(running.service)


def run(*arguments: str):
    return CliRunner().invoke(notify_commands.commands(lambda: None), list(arguments))


def rows(output: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(output)))


def test_status_lists_every_subscriber_and_dead_letters(served, consumer):
    idle = {"subscriber": "ITI-10 ROANNE", "waiting": "0", "lag_seconds": "0", "dead": "0"}
    others = [{**idle, "subscriber": name} for name in ("ITI-55 deferred", "asynchronous answers")]
    assert rows(run("status").output) == [idle, *others]
    consumer.code = "AE"
    served.feed(served.adt("A28", "ROANNE", "R1"))
    wait_for(lambda: served.count("SELECT count(*) FROM outbox_delivery WHERE attempts > 0") == 1)
    with served.service.engine.begin() as connection:
        connection.execute(text("UPDATE outbox_delivery SET state = 'dead'"))
    assert rows(run("status").output) == [idle | {"dead": "1"}, *others]
    (letter,) = rows(run("status", "--dead").output)
    assert (letter["subscriber"], letter["kind"], letter["error"]) == ("ITI-10 ROANNE", "person.changed", "Conflict")


def test_replay_sends_again_what_was_sent(served, consumer):
    served.feed(served.adt("A28", "ROANNE", "R1"))
    wait_for(lambda: len(consumer.received) == 1)
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    result = run("replay", "--since", since, "--subscriber", "ITI-10 ROANNE")
    assert (result.exit_code, result.output) == (0, "ITI-10 ROANNE: 1\n")
    wait_for(lambda: len(consumer.received) == 2)
    assert [local(ids) for ids in consumer.told()] == [{"R1"}, {"R1"}]
    assert consumer.received[0].control_id == consumer.received[1].control_id


def test_a_wrong_moment_or_name_is_refused(served):
    assert run("replay", "--since", "yesterday").exit_code == 2
    assert run("replay", "--since", "2026-01-01", "--subscriber", "NOBODY").exit_code == 1

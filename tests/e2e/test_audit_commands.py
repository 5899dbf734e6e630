"""The commands ``audit verify`` and ``audit anchors``."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from ihe.store import audit_chain
from region import audit_commands
from region import running as running_commands
from region.region_table import load_region
from tests.hl7v2_desk import Desk

REGION_FILE = Path(__file__).resolve().parents[2] / "fixtures" / "region.toml"


@pytest.fixture
def served(start, monkeypatch):
    with start(load_region(REGION_FILE)) as running:

        @contextmanager
        def service(_settings):
            yield running.service

        monkeypatch.setattr(running_commands, "service", service)
        running.service.audit.stop()
        yield Desk(running.service)


def run(*arguments):
    return CliRunner().invoke(audit_commands.commands(lambda: None), [str(each) for each in arguments])


def test_what_was_served_is_verified_and_a_change_is_said(served, tmp_path):
    for number in range(5):  # after the event of the start
        served.feed(served.adt("A28", "ROANNE", f"R{number}"))
    verified = run("verify")
    assert (verified.exit_code, verified.output) == (0, "6 events, 0 findings\n")
    with served.service.engine.begin() as connection:
        audit_chain.seal(connection, datetime.now(UTC) + timedelta(days=1))
    kept = tmp_path / "anchors.csv"
    kept.write_text(run("anchors").output)
    assert [line.split(",")[1] for line in kept.read_text().splitlines()] == ["position", "0", "6"]
    assert run("verify", "--anchors", kept).exit_code == 0

    with served.service.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_event DISABLE TRIGGER audit_event_stays"))
        connection.execute(text("UPDATE audit_event SET node = 'elsewhere' WHERE position = 3"))
    changed = run("verify")
    assert changed.exit_code == 1
    assert "position 3 (event" in changed.output
    assert changed.output.endswith("6 events, 1 findings\n")


def test_a_file_without_anchors_is_refused(served, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    refused = run("verify", "--anchors", path)
    assert "holds no anchors" in str(refused.exception)

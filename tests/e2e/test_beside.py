"""What nobody waits for is done by a process beside the one that serves, for as long as that one is there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from region.region_table import load_region
from region.settings import Settings
from tests.service_process import ServiceProcess, started_by

CHUSE = str(load_region(Settings().region_table).by_code("CHUSE").oid)


@pytest.fixture
def service(database_url, tmp_path):
    service = ServiceProcess(tmp_path / "data", database_url)
    service.start()
    yield service
    service.end(signal.SIGKILL)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def unsealed(service):
    with psycopg.connect(service.database_url.replace("+psycopg", "")) as connection:
        found = connection.execute("SELECT count(*) FILTER (WHERE position IS NULL), count(*) FROM audit_event")
        return found.fetchone()


def test_it_seals_what_is_served_and_another_takes_its_place_when_it_dies(service):
    service.feed("1", CHUSE)
    wait_for(lambda: unsealed(service)[0] == 0)
    (first,) = started_by(service.process.pid)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: started_by(service.process.pid) not in ([], [first]))
    service.feed("2", CHUSE)
    before = unsealed(service)[1]
    assert before >= 3  # the start, and two messages
    wait_for(lambda: unsealed(service)[0] == 0)


def test_figures_of_what_is_served_are_there(service):
    service.feed("1", CHUSE)
    figures = httpx.get(f"{service.address}/metrics").text
    assert 'traitdunion_messages_total{outcome="success",transaction="ITI-30"} 1.0' in figures


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_process_that_serves(service, told):
    (child,) = started_by(service.process.pid)
    service.process.send_signal(told)
    service.process.wait(30)
    wait_for(lambda: not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes())

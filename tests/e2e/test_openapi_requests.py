"""Requests made up from the OpenAPI description, well-formed and not: whatever is asked, nothing breaks."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.fhir_wire import patient

PARTS = ("/fhir", "/api")


def ask_everything(running, requests, *, derandomize):
    """Ask each interaction in turn; returns how often each status was answered."""
    description = schemathesis.openapi.from_url(f"{running.base_url}/openapi.json")
    operations = [found.ok() for found in description.get_all_operations()]
    asked = [operation for operation in operations if operation.path.startswith(PARTS)]
    assert len(asked) > 10
    statuses = Counter()
    for operation in asked:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=max(1, requests // len(asked)),
            deadline=None,
            derandomize=derandomize,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case):
            answer = case.call(base_url=running.base_url)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.status_code}"

        ask()
    return statuses


@pytest.fixture
def fed(running):
    for code, value in (("CHUSE", "C1"), ("ROANNE", "R1")):
        oid = str(running.table.by_code(code).oid)
        token = f"urn:oid:{oid}|{value}"
        httpx.put(f"{running.base_url}/fhir/Patient", params={"identifier": token}, json=patient(oid, value))
    return running


def test_a_few_hundred_requests_break_nothing(fed):
    statuses = ask_everything(fed, 300, derandomize=True)
    assert statuses.total() > 200
    assert statuses[400] > 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_thousand_requests_break_nothing(fed):
    assert ask_everything(fed, 22_000, derandomize=False).total() >= 20_000

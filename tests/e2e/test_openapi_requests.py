"""Requests made up from the OpenAPI description, well-formed and not: whatever is asked, nothing breaks."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fhir_wire import patient

PARTS = ("/fhir", "/api")
OF_MHD = {
    "/fhir",
    "/fhir/DocumentReference",
    "/fhir/DocumentReference/{id}",
    "/fhir/DocumentReference/$generate-metadata",
    "/fhir/List",
    "/fhir/List/{id}",
    "/fhir/Binary/{id}",
}


def hints(running, operation):
    """Now and then what the index knows, so that answers get past the first look at the question."""
    token = f"urn:oid:{running.table.by_code('CHUSE').oid}|C1"
    meaningful = {
        "identifier": [token, token.rpartition("|")[0] + "|", f"{token},{token}"],
        "sourceIdentifier": [token],
        "patient.identifier": [token],
        "status": ["current", "current,superseded"],
        "family": ["EXEMPLE", "ex"],
        "birthdate": ["1948-03-17", "ge1900"],
        "id": ["r1", "p1", "1"],
    }
    found = {}
    for place, parameters in (("query", operation.query), ("path", operation.path_parameters)):
        names = {parameter.name for parameter in parameters} & meaningful.keys()
        values = {name: st.sampled_from(meaningful[name]) for name in sorted(names)}
        found[place] = st.fixed_dictionaries({}, optional=values)
    return st.fixed_dictionaries(found)


def ask_everything(running, requests, *, derandomize):
    """Ask each interaction in turn; returns how often each status was answered.

    What can be asked of an interaction without parameters is soon exhausted, so there may be fewer requests.
    """
    description = schemathesis.openapi.from_url(f"{running.base_url}/openapi.json")
    operations = [found.ok() for found in description.get_all_operations()]
    asked = [operation for operation in operations if operation.path.startswith(PARTS)]
    assert len(asked) > 10
    assert {operation.path for operation in asked} >= OF_MHD
    statuses = Counter()
    for operation in asked:

        @given(case=operation.as_strategy(), known=hints(running, operation))
        @settings(
            max_examples=max(1, requests // len(asked)),
            deadline=None,
            derandomize=derandomize,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case, known):
            case.query = {**(case.query or {}), **known["query"]}
            case.path_parameters = {**(case.path_parameters or {}), **known["path"]}
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
    assert min(statuses[200], statuses[400], statuses[404]) > 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_thousand_requests_break_nothing(fed):
    statuses = Counter()
    while statuses.total() < 20_000:
        statuses += ask_everything(fed, 22_000 - statuses.total(), derandomize=False)
    assert min(statuses[200], statuses[400], statuses[404]) > 0

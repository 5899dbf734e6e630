"""The NIST toolkit's plans for the document registry, positive and negative, against our transactions.

Each disagreement is explained in ``docs/conformance-notes.md``; a new one fails, and so does one that went away.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from ihe.unit_of_work import Database
from tests.conformance.toolkit2_runner import LOADS, Outcome, Toolkit2Runner
from tests.xds_samples import SampleDirectory
from tests.xds_wire import RegistryClient, application
from xds.services.registry import Registry

NOTES = Path(__file__).resolve().parents[2] / "docs/conformance-notes.md"
NOT_OURS = ("11990", "1610", "12320", "XdsDocAdminTest")
"""Tests of other actors or profiles: XUA, ITI-64 moves, XCA gateways, a FHIR administrator."""


@pytest.fixture(scope="module")
def outcomes(module_database_url: str, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    material = shared_folder / "testdata/toolkit2"
    if not (material / "testkit/tests").is_dir():
        pytest.skip("the NIST toolkit's test plans are not there")
    engine = create_engine(module_database_url)
    directory = SampleDirectory()
    folder = tmp_path_factory.mktemp("content")
    client = RegistryClient(Database(engine), application(Registry(directory), folder))
    runner = Toolkit2Runner(material, client, directory)
    tests = sorted(each.name for each in (material / "testkit/tests").iterdir() if each.is_dir())
    for test in (*LOADS, *tests):
        if not test.startswith(NOT_OURS):
            list(runner.run(test))
    engine.dispose()
    assert runner.invalid == {}, "answers that their schemas refuse"
    played = [each for section in runner.outcomes.values() for each in section if not each.skipped]
    return [each for each in played if not each.step.test.startswith(NOT_OURS)]


def test_at_least_95_in_100_steps_agree(outcomes: list[Outcome]) -> None:
    agreed = sum(not each.problem for each in outcomes)
    assert len(outcomes) > 400
    assert agreed / len(outcomes) >= 0.95


def test_each_disagreement_is_explained(outcomes: list[Outcome]) -> None:
    explained = set(re.findall(r"^\| `([^`]+)` \|", NOTES.read_text(encoding="utf-8"), re.MULTILINE))
    disagreements = {each.step.label: each.problem for each in outcomes if each.problem}
    assert set(disagreements) == explained, disagreements

"""The story of the demonstration, told against a running service: twice, for it must be safe to repeat."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from region.demo import StoryFault, run_story
from region.synthetic.population import build


@pytest.fixture(scope="module")
def scenario():
    return build(persons=120)


def test_the_story_comes_true_and_can_be_told_again(running, scenario, tmp_path):
    console = Console(file=io.StringIO(), width=400)
    told = [
        run_story(
            running.base_url,
            (running.host, running.mllp_port),
            console,
            folder=tmp_path / "requests",
            scenario=scenario,
        )
        for _ in range(2)
    ]
    first, again = told
    assert first.feed.accepted == len(scenario.messages)
    assert first.studies.accepted == len(scenario.submissions)
    assert first.records == len(scenario.truth)
    assert {prior.source_patient_id.value for prior in first.priors} == {
        key.local_id for key in scenario.cast.patient.records.values()
    }
    assert (again.records, again.persons, again.priors) == (first.records, first.persons, first.priors)
    text = console.file.getvalue()
    assert "curl -s" in text
    assert re.search(r"nc 127\.0\.0\.1 \d+", text)
    for name in ("feed.hl7", "pix-query.hl7", "find-priors.xml", "retrieve-manifests.mime", "find-twins-priors.xml"):
        assert (tmp_path / "requests" / name).read_bytes()


def test_a_service_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoryFault):
        run_story("http://127.0.0.1:9", ("127.0.0.1", 9), Console(file=io.StringIO()), folder=tmp_path)

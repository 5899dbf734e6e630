"""The story of the demonstration, told against a running service: twice, for it must be safe to repeat."""

from __future__ import annotations

import io
import re
import socket
from dataclasses import replace

import httpx
import pytest
from rich.console import Console

from region.demo import StoryFault, run_story
from region.pacs import demonstration
from region.region_table import RegionTable, load_region
from region.synthetic.population import build
from tests.e2e.conftest import REGION
from tests.ports import free_port
from tests.real_archives import needs_orthanc


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


@pytest.mark.parametrize("has_orthanc", [False, pytest.param(True, marks=needs_orthanc)])
def test_pictures_are_fetched_from_orthanc_or_from_what_is_built_in(start, tmp_path, monkeypatch, has_orthanc):
    if not has_orthanc:
        monkeypatch.setattr(demonstration, "program", lambda: None)
    domains = [replace(each, pacs_url=f"http://127.0.0.1:{free_port()}/dicom-web") for each in load_region(REGION)]
    plain = load_region(REGION)
    table = RegionTable(plain.name, plain.home_community_id, tuple(domains))
    scenario = build(persons=120, region=table)
    said: list[str] = []
    console = Console(file=io.StringIO(), width=400)
    with (
        demonstration.archives_of_story(scenario, tmp_path / "pacs", said.append) as pictures,
        start(table) as running,
    ):
        assert pictures == set(demonstration.SITES), said
        assert ("built in" in said[-1]) is not has_orthanc
        where = (running.host, running.mllp_port)
        folder = tmp_path / "requests"
        run_story(running.base_url, where, console, folder=folder, scenario=scenario, pictures=pictures)
        prior = next(
            each
            for each in scenario.studies
            if each.site == "CHUSE" and each.key in scenario.cast.patient.records.values()
        )
        root = f"{running.base_url}/dicom-web/domains/ROANNE/studies/{prior.uid}"
        assert httpx.get(f"{root}/thumbnail").headers["content-type"] in ("image/png", "image/jpeg")
        series = prior.series[0]
        frames = httpx.get(f"{root}/series/{series.uid}/instances/{series.instances[0].sop_instance_uid}/frames/1")
        assert (frames.status_code, httpx.get(f"{root}/series/1.2.3").status_code) == (200, 404)
    assert "It fetches her pictures" in console.file.getvalue()


def test_an_archive_whose_port_is_taken_is_said_and_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstration, "program", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/dicom-web"
        plain = load_region(REGION)
        domains = tuple(replace(each, pacs_url=address) for each in plain)
        scenario = build(persons=100, region=RegionTable(plain.name, plain.home_community_id, domains))
        said: list[str] = []
        with demonstration.archives_of_story(scenario, tmp_path, said.append) as pictures:
            assert pictures == frozenset()
    assert [each.split()[3] for each in said] == list(demonstration.SITES)


def test_a_service_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoryFault):
        run_story("http://127.0.0.1:9", ("127.0.0.1", 9), Console(file=io.StringIO()), folder=tmp_path)

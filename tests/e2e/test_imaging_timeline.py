"""The imaging history page: every study with its thumbnail, for those who may, and for a reason otherwise."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from ihe.caller import Caller
from ihe.values import AssigningAuthority, PatientId
from mpi.domain.record import person_of_regional_id
from region.region_table import RegionTable
from region.viewer_commands import installed
from tests.e2e.conftest import serving
from tests.imaging_region import Region, region
from tests.real_archives import SITES, needs_orthanc, wait_until
from tests.real_archives import region as archives
from tests.workbench_browser import browser
from tests.workbench_desk import enter
from web.application import Workbench
from web.people import load_people
from xds.store import imaging_notices

__all__ = ["archives", "region"]
ROOT = Path(__file__).resolve().parents[2]
ROANNE, CHUSE, FEURS = "899700000011", "899700000029", "899700000037"
REGIONAL, ADMINISTRATOR = "899700000052", "899700000086"


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Callable[[RegionTable], AbstractContextManager[Any]]:
    def serve(table: RegionTable) -> AbstractContextManager[Any]:
        workbench = Workbench(
            region=table.name,
            site_names={domain.code: domain.name for domain in table},
            people=load_people(ROOT / "fixtures" / "people.toml", [domain.code for domain in table]),
            demo_login=True,
        )
        viewer = installed(ROOT / ".traitdunion")
        return serving(database_url, table, tmp_path / "documents", workbench=workbench, viewer=viewer)

    return serve


def _page_of(running: Any, number: str = "ROANNE1") -> str:
    oid = running.table.by_code("ROANNE").oid
    with running.service.database.unit(Caller(node="test")) as uow:
        found = running.service.directory.resolve(uow, PatientId(number, AssigningAuthority(oid=oid)))
        person = person_of_regional_id(found.regional_id.value)
    return f"{running.base_url}/persons/{person}/imaging"


def test_studies_stand_on_the_page_with_thumbnails_and_are_audited(region: Region) -> None:
    address = _page_of(region.running)
    with httpx.Client(base_url=region.running.base_url) as client:
        assert client.get(address).status_code == 303
        enter(client, ROANNE)
        page = client.get(address)
        assert page.status_code == 200, page.text
        assert "no-store" in page.headers["cache-control"]
        thumbnail = f"/dicom-web/domains/ROANNE/studies/{region.study.uid}/thumbnail"
        assert thumbnail in page.text
        assert "Scanner cérébral" in page.text
        assert 'href="#study-1"' in page.text
        assert client.get(thumbnail).headers["content-type"] == "image/jpeg"
    with region.running.service.database.unit(Caller(node="test")) as uow:
        seen = uow.connection.exec_driver_sql(
            "SELECT count(*) FROM audit_event WHERE transaction LIKE 'workbench GET /persons/{person}/imaging'"
        ).scalar_one()
    assert seen >= 1


def _form_token(page: httpx.Response) -> str:
    return re.findall(r'name="form_token" value="([^"]+)"', page.text)[0]  # type: ignore[no-any-return]


def test_a_steward_of_another_site_is_asked_for_a_reason(region: Region) -> None:
    address = _page_of(region.running)
    person = address.split("/")[-2]
    with httpx.Client(base_url=region.running.base_url, follow_redirects=True) as client:
        choice = client.post("/login/demo", data={"subject": FEURS})
        client.post("/login/site", data={"site": "FEURS", "form_token": _form_token(choice)})
        refused = client.get(address)
        assert (refused.status_code, region.study.uid in refused.text) == (403, False)
        reason = {"form_token": _form_token(refused), "reason": "avis demandé en urgence"}
        client.post(f"/persons/{person}/open", data=reason)
        page = client.get(address)
        assert page.status_code == 200
        assert region.study.uid in page.text
        assert "avis demandé en urgence" in page.text
    with region.running.service.database.unit(Caller(node="test")) as uow:
        kept = uow.connection.exec_driver_sql(
            "SELECT count(*) FROM audit_event WHERE strpos(objects::text, 'avis demandé en urgence') > 0"
        ).scalar_one()
    assert kept >= 1


def test_operators_see_archives_and_odd_manifests_and_no_patient(region: Region) -> None:
    with region.running.service.database.unit(Caller(node="test", site="CHUSE")) as uow:
        document = uow.connection.exec_driver_sql("SELECT document_unique_id FROM imaging_study").scalar_one()
        imaging_notices.note(uow.connection, uow.now, "CHUSE", document, "the manifest lists no instance")
    with httpx.Client(base_url=region.running.base_url) as client:
        enter(client, ROANNE)
        assert client.get("/archives").status_code == 403
    with httpx.Client(base_url=region.running.base_url) as client:
        enter(client, ADMINISTRATOR)
        page = client.get("/archives").text
    assert "Le manifeste ne liste aucune image." in page
    assert region.study.uid in page
    assert "CHU de Saint-Étienne" in page
    assert "EXEMPLE" not in page


def test_an_oddity_is_work_of_its_site_taken_in_hand_dealt_with_and_taken_back(region: Region) -> None:
    with region.running.service.database.unit(Caller(node="test", site="CHUSE")) as uow:
        document = uow.connection.exec_driver_sql("SELECT document_unique_id FROM imaging_study").scalar_one()
        imaging_notices.note(uow.connection, uow.now, "CHUSE", document, "the manifest lists no instance")
        number = uow.connection.exec_driver_sql("SELECT max(id) FROM imaging_notice").scalar_one()

    @contextmanager
    def visitor(subject: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=region.running.base_url, headers={"accept-language": "fr"}) as client:
            enter(client, subject)
            yield client

    def does(client: httpx.Client, act: str, **data: str) -> int:
        token = re.findall(r'name="form_token" value="(\w+)"', client.get("/worklist").text)[0]
        answer = client.post(f"/worklist/imaging/{number}/{act}", data={"form_token": token, **data})
        return answer.status_code

    with visitor(ROANNE) as stranger, visitor(CHUSE) as own, visitor(REGIONAL) as regional:
        assert "aucune image" not in stranger.get("/worklist/imaging?site=CHUSE").text
        assert does(stranger, "take") == 404
        assert does(stranger, "settle", words="not mine") == 409
        page = own.get("/worklist/imaging").text
        assert "Le manifeste ne liste aucune image." in page
        assert "/imaging" in re.findall(r'href="(/persons/\d+/imaging)"', page)[0]
        assert does(own, "take") == 303
        assert does(regional, "settle", words="seen") == 409, "a colleague has it in hand"
        assert does(own, "settle", words="manifest sent anew") == 303
        assert "aucune image" not in own.get("/worklist/imaging").text
        assert "manifest sent anew" in regional.get("/worklist/imaging?settled=1").text
        assert does(own, "reopen") == 303
        assert "aucune image" in regional.get("/worklist/imaging?site=CHUSE").text
    with region.running.service.database.unit(Caller(node="test", site="CHUSE")) as uow:
        uow.connection.exec_driver_sql("UPDATE document_entry SET status = 'Deprecated'")
    with visitor(CHUSE) as own:
        assert "aucune image" not in own.get("/worklist/imaging").text, "it went with its manifest"


@needs_orthanc
def test_the_page_in_a_browser_with_three_archives(archives: Any) -> None:
    kinds = dict(zip(SITES, ("CT", "MR", "CR"), strict=True))
    studies = [archives.study(site, kind, (4,)) for site, kind in kinds.items()]
    for study in studies:
        archives.store(study.site, *archives.files(study, side=256))
    wait_until(lambda: archives.found() == {study.uid for study in studies})
    address = _page_of(archives.running)
    with browser() as chromium:
        for scheme in ("light", "dark"):
            page = chromium.new_page(viewport={"width": 1280, "height": 800}, locale="fr-FR", color_scheme=scheme)
            page.goto(f"{archives.running.base_url}/login")
            page.locator(f"button[name=subject][value='{ROANNE}']").first.click()
            page.goto(address)
            expect(page.get_by_role("heading", name="Historique d’imagerie")).to_be_visible()
            assert page.locator(".study").count() == len(studies)
            drawn = "[...document.querySelectorAll('.study img')].every(each => each.naturalWidth > 20)"
            wait_until(lambda page=page, drawn=drawn: page.evaluate(drawn), 20)
            page.locator(".axis a").first.focus()
            page.keyboard.press("Enter")
            assert page.url.endswith("#study-1")
            if folder := os.environ.get("SCREENSHOTS"):
                page.screenshot(path=Path(folder) / f"imaging-{scheme}.png")
            page.close()

"""No page of the workbench has a serious accessibility problem or is wider than the screen, wide or narrow, light or
dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from ihe.caller import REGION as REGION_CALLER
from ihe.caller import Caller
from mpi.domain.default_models import default_french
from mpi.domain.identity import RecordKey, Traits
from mpi.services.decide_pair import decide_pair
from mpi.services.feed_record import feed_record
from mpi.store import models, records
from region.bootstrap import Service
from region.region_table import load_region
from tests.imaging_region import CT, provide_manifest
from tests.workbench_browser import browser, feed_look_alikes
from tests.workbench_desk import demonstration
from tests.xds_repository import make_study, new_uid
from xds.domain.imaging import ImagingSeries, Instance
from xds.domain.manifest_checks import NO_ISSUER
from xds.store import imaging_notices

CAMILLE, INES, MAUD, ELISE, HUGO = "899700000011", "899700000037", "899700000052", "899700000078", "899700000086"
_SHOWN = ((1280, "light"), (390, "dark"))
_ALSO = ((1280, "dark"), (390, "light"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def bench(
    chromium: Browser, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Service]]:
    """A workbench with tasks of several kinds, an imaging oddity, a step to take back, a model, and measures."""
    with demonstration(module_database_url, tmp_path_factory.mktemp("documents")) as (base, service):
        feed_look_alikes(service, 6)
        with service.database.unit(REGION_CALLER) as uow:
            known = records.by_key(uow.connection, RecordKey("CHUSE", "C1"))
            assert known is not None
            doubted = replace(known.traits, identity_attributes=frozenset({"DOUT"}))
            feed_record(uow, service.mpi, known.key, doubted)
            other = Traits(birth_family_name="AUTRE", first_birth_given_name="PAUL", birth_date=known.traits.birth_date)
            feed_record(uow, service.mpi, RecordKey("ROANNE", "R2"), replace(other, birth_place_code="42187"))
            decide_pair(uow, service.mpi, RecordKey("CHUSE", "C0"), RecordKey("ROANNE", "R0"), "same", reason="test")
            models.add(uow.connection, default_french(), note="kept", now=uow.now)
        _register_odd_study(service)
        service.housekeeping.run_once()
        yield base, service


def _register_odd_study(service: Service) -> None:
    """A study of CHUSE's patient C0 whose manifest says what its metadata don't."""
    domain = load_region(Path(__file__).resolve().parents[2] / "fixtures" / "region.toml").by_code("CHUSE")
    series = ImagingSeries(uid=new_uid(), instances=(Instance(CT, new_uid()),), modality="CT")
    document = provide_manifest(service, domain, "C0", make_study(series=(series,)))
    with service.database.unit(Caller(node="test", site="CHUSE")) as uow:
        imaging_notices.note(uow.connection, uow.now, "CHUSE", document, NO_ISSUER)


def _goto(path: str) -> Callable[[Page], None]:
    def go(page: Page) -> None:
        page.goto(path)

    return go


def _click(path: str, selector: str) -> Callable[[Page], None]:
    def go(page: Page) -> None:
        page.goto(path)
        page.locator(selector).first.click()

    return go


def _search(page: Page) -> None:
    page.goto("/search")
    page.locator("input[name=birth]").fill("13/01/1940")
    page.locator("form[action='/search'] button").click()


def _preview(page: Page) -> None:
    page.goto("/worklist")
    page.locator("table.tasks tbody input[type=checkbox]").first.check()
    page.locator("form[action='/worklist/bulk'] select[name=action]").select_option("same")
    page.locator("form[action='/worklist/bulk'] > .bar button").first.click()


def _who_looked(page: Page) -> None:
    page.goto("/audit")
    page.locator("input[name=identifier]").fill("CHUSE/C0")
    page.locator("form[action='/audit/patient'] button").click()


def _answering(page: Page) -> None:
    page.goto("/worklist?kind=possible-duplicate")
    page.locator("table.tasks a.row").first.click()
    page.keyboard.press("1")


def _at_feurs(page: Page) -> None:
    page.get_by_role("button", name="FEURS").click()
    page.goto("/persons/1")


_VISITS: dict[str, list[tuple[str, Callable[[Page], None]]]] = {
    "": [("login", _goto("/login"))],
    MAUD: [
        ("worklist", _goto("/worklist")),
        ("empty list", _goto("/worklist?site=IRMAS")),
        ("decision", _click("/worklist?kind=possible-duplicate", "table.tasks a.row")),
        ("answer", _answering),
        ("overlay", _click("/worklist?kind=suspected-overlay", "table.tasks a.row")),
        ("doubtful identity", _click("/worklist?kind=doubtful-identity", "table.tasks a.row")),
        ("bulk preview", _preview),
        ("imaging oddities", _goto("/worklist/imaging")),
        ("person", _goto("/persons/1")),
        ("past state", _goto("/persons/1?at=2020-01-01T00:00")),
        ("imaging history", _goto("/persons/1/imaging")),
        ("step", _click("/persons/1", ".timeline a.button")),
        ("search form", _goto("/search")),
        ("search results", _search),
        ("review", _goto("/review")),
        ("quality", _goto("/quality")),
        ("archives", _goto("/archives")),
        ("consents", _goto("/persons/1/consents")),
        ("access log", _goto("/persons/1/accesses")),
        ("emergencies", _goto("/emergencies")),
        ("refused", _goto("/tasks/999999")),
    ],
    INES: [("choice of site", lambda page: None), ("break-glass", _at_feurs)],
    ELISE: [("audit", _goto("/audit")), ("audit of a patient", _who_looked)],
    HUGO: [("settings", _goto("/settings"))],
}


def test_every_template_is_visited() -> None:
    shown = sum(len(visits) for visits in _VISITS.values())
    assert shown >= 23


@pytest.mark.parametrize("language", ["fr-FR", pytest.param("en-GB", marks=pytest.mark.soak)])
def test_no_page_has_a_serious_problem_or_overflows(
    bench: tuple[str, Service], chromium: Browser, language: str
) -> None:
    _check(bench[0], chromium, language, _SHOWN)


@pytest.mark.soak
def test_no_page_has_a_serious_problem_in_the_other_combinations(bench: tuple[str, Service], chromium: Browser) -> None:
    _check(bench[0], chromium, "fr-FR", _ALSO)


def _check(base: str, chromium: Browser, language: str, shown: tuple[tuple[int, str], ...]) -> None:
    found: dict[str, list[str]] = {}
    for subject, visits in _VISITS.items():
        context = chromium.new_context(locale=language, base_url=base, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto("/login")
        if subject:
            page.locator(f"button[name=subject][value='{subject}']").click()
        for name, visit in visits:
            visit(page)
            for width, scheme in shown:
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                if problems := _problems(page):
                    found[f"{name} {width} {scheme}"] = problems
            page.set_viewport_size({"width": 1280, "height": 900})
        context.close()
    assert found == {}


def _problems(page: Page) -> list[str]:
    assert not re.search("Traceback|Internal Server Error", page.content())
    problems = [
        f"{each['id']}: {each['nodes'][0]['html'][:160]}"
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*problems, f"{overflow} pixels too wide"] if overflow > 0 else problems

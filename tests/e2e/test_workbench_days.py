"""Each role's day in a real browser, logged in by a real OpenID provider."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from region.bootstrap import Service
from tests.workbench_browser import browser, feed_look_alikes, identity_provider, log_in
from tests.workbench_desk import demonstration
from web.oidc import OidcClient, OidcSettings

CAMILLE, NOE, INES, LOU = "899700000011", "899700000029", "899700000037", "899700000045"
MAUD, ELISE, HUGO = "899700000052", "899700000078", "899700000086"


def _claims(subject: str, *finess: str) -> dict[str, object]:
    """As Pro Santé Connect tells of somebody."""
    practice = {"codeProfession": "10", "activities": [{"numeroFinessSite": number} for number in finess]}
    return {"SubjectNameID": subject, "SubjectRefPro": {"exercices": [practice]}}


PEOPLE = {subject: _claims(subject) for subject in (CAMILLE, INES, LOU, MAUD, ELISE, HUGO, "899799999999")} | {
    NOE: _claims(NOE, "420784878")
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def bench(
    chromium: Browser, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Service]]:
    with identity_provider(PEOPLE) as issuer:
        client = OidcClient(OidcSettings(issuer, "traitdunion", "secret"))
        folder = tmp_path_factory.mktemp("documents")
        with demonstration(module_database_url, folder, clicks=False, oidc=client) as (base, service):
            feed_look_alikes(service, 30)
            service.housekeeping.run_once()
            yield base, service


def _context(chromium: Browser, **more: object) -> BrowserContext:
    context = chromium.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900}, **more)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    return context


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = _context(chromium)
    yield context.new_page()
    context.close()


def _number(page: Page) -> int:
    found = re.search(r"/tasks/(\d+)", page.url)
    assert found, page.url
    return int(found[1])


def test_a_stranger_is_turned_away(bench: tuple[str, Service], page: Page) -> None:
    log_in(page, bench[0], "899799999999")
    expect(page.get_by_role("heading", level=1)).to_have_text("Vous n’avez pas ce droit")


def test_who_has_two_activities_chooses_the_acting_establishment(bench: tuple[str, Service], page: Page) -> None:
    log_in(page, bench[0], INES)
    page.get_by_role("button", name="FEURS").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Liste de travail")
    page.goto(f"{bench[0]}/tasks/1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Il n’y a rien ici")
    page.goto(f"{bench[0]}/persons/1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cette personne relève d’autres établissements")
    page.get_by_label("Pourquoi ?").fill("patient inconscient adressé par le SAMU")
    page.get_by_role("button", name="Bris de glace").click()
    expect(page.locator(".banner").first).to_contain_text("SAMU")


def test_thirty_tasks_by_keyboard_alone(bench: tuple[str, Service], chromium: Browser, page: Page) -> None:
    base = bench[0]
    log_in(page, base, CAMILLE)
    expect(page.get_by_role("heading", level=1)).to_contain_text("30")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/*")
    held = _number(page)
    other = _context(chromium)
    colleague = other.new_page()
    log_in(colleague, base, LOU)
    colleague.goto(f"{base}/tasks/{held}")
    expect(colleague.locator(".banner.warn").first).to_contain_text("Camille Roche")
    expect(colleague.get_by_role("group", name="Votre réponse")).to_have_count(0)
    other.close()
    seen = []
    for _ in range(30):
        seen.append(_number(page))
        answered = page.url
        page.keyboard.press("1")
        expect(page.locator("dialog[open]")).to_be_visible()
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url, answered=answered: url != answered)  # type: ignore[misc]
    assert len(set(seen)) == 30
    expect(page).to_have_url(re.compile("/worklist"))
    page.keyboard.press("u")
    expect(page.locator(".notice")).to_have_text("L’étape est annulée.")
    page.goto(f"{base}/worklist?unvoted=1")
    expect(page.locator("table.tasks tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Se déconnecter").click()
    page.goto(f"{base}/worklist")
    expect(page).to_have_url(re.compile("/login"))


def test_the_other_site_votes_the_region_arbitrates_and_takes_back(
    bench: tuple[str, Service], chromium: Browser, page: Page
) -> None:
    base = bench[0]
    log_in(page, base, NOE)
    page.goto(f"{base}/worklist?stage=voting")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/*")
    agreed = _number(page)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/(worklist|tasks/(?!{agreed}\b))"))
    expect(page.locator(".notice")).to_have_text("Décidé.")
    against = _number(page)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/(worklist|tasks/(?!{against}\b))"))
    expect(page.locator(".notice")).to_contain_text("la région arbitre")
    context = _context(chromium)
    regional = context.new_page()
    log_in(regional, base, MAUD)
    regional.goto(f"{base}/worklist?stage=arbitration")
    regional.keyboard.press("j")
    regional.keyboard.press("Enter")
    regional.wait_for_url(f"**/tasks/{against}*")
    regional.keyboard.press("2")
    regional.keyboard.press("Enter")
    regional.wait_for_url("**/worklist*")
    expect(regional.locator(".notice")).to_have_text("Décidé.")
    regional.keyboard.press("u")
    expect(regional.locator(".notice")).to_have_text("L’étape est annulée.")
    regional.goto(f"{base}/tasks/{against}")
    expect(regional.locator(".withdrawn")).to_have_count(1)
    regional.goto(f"{base}/tasks/{agreed}")
    regional.get_by_role("link", name=re.compile("TDU")).first.click()
    expect(regional.locator(".timeline")).to_contain_text("Décision")
    regional.get_by_role("link", name="Annuler cette étape").first.click()
    regional.get_by_label("Pourquoi ?").fill("erreur de saisie")
    regional.get_by_role("button", name="Annuler cette étape").click()
    expect(regional.locator(".notice")).to_have_text("L’étape est annulée.")
    context.close()


def test_search_export_audit_and_settings(bench: tuple[str, Service], chromium: Browser, page: Page) -> None:
    base = bench[0]
    log_in(page, base, MAUD)
    page.goto(f"{base}/search")
    page.get_by_label("Date de naissance").fill("13/01/1940")
    page.get_by_label("Premières lettres du nom").fill("cer")
    page.get_by_role("button", name="Recherche").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("nom: CERISIER")
    assert "CERISIER" not in page.url
    page.get_by_label("Tout identifiant, ou INS").fill("ROANNE/R3")
    page.get_by_role("button", name="Recherche").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto(f"{base}/quality")
    with page.expect_download() as download:
        page.get_by_role("link", name="Exporter en CSV").click()
    assert "day,domain,measure,value" in download.value.path().read_text()
    for subject, heading in ((ELISE, "Traces d’accès"), (HUGO, "Paramètres")):
        context = _context(chromium)
        theirs = context.new_page()
        log_in(theirs, base, subject)
        expect(theirs.get_by_role("heading", level=1)).to_have_text(heading)
        theirs.goto(f"{base}/worklist")
        expect(theirs.get_by_role("heading", level=1)).to_have_text("Vous n’avez pas ce droit")
        context.close()

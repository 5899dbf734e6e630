"""Screenshots of every page of the workbench in both languages, from a running demonstration.

``make demo`` in one window, ``make screenshots`` in another; they land in ``docs/screenshots``. Everybody on them is
invented. In French the walk of the stewards' guide is taken, too: a task is voted on, decided, taken back, voted on
again and arbitrated, as the guide says it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browsers import system_browser

_FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
_CAMILLE, _NOE, _INES = "899700000011", "899700000029", "899700000037"
_MAUD, _ELISE, _HUGO = "899700000052", "899700000078", "899700000086"
_STORY = "CHUSE/8001204511"
"""The patient of the demonstration's story."""
_LOCALES = {"fr": "fr-FR", "en": "en-GB"}


def _open(path: str) -> Callable[[Page], None]:
    def show(page: Page) -> None:
        page.goto(path)

    return show


def _doubtful(page: Page) -> None:
    page.goto("/worklist?kind=doubtful-identity")
    page.locator("table.tasks a.row").first.click()


def _story(page: Page) -> None:
    page.goto("/search")
    page.locator("input[name=identifier]").fill(_STORY)
    page.locator("form[action='/search'] button").click()
    page.locator("table.rows a.row").first.click()


def _decision(page: Page) -> None:
    """The open question about the patient of the story, else the first of the list."""
    _story(page)
    asked = page.locator("main a[href^='/tasks/']")
    if not asked.count():
        page.goto("/worklist?kind=possible-duplicate")
        asked = page.locator("table.tasks a.row")
    asked.first.click()


def _imaging(page: Page) -> None:
    _story(page)
    page.locator("a[href$='/imaging']").click()


def _step(page: Page) -> None:
    _story(page)
    page.locator(".timeline a.button").first.click()


def _search(page: Page) -> None:
    page.goto("/search")
    page.locator("input[name=birth]").fill("17/03/1958")
    page.locator("form[action='/search'] button").click()


def _bulk(page: Page) -> None:
    page.goto("/worklist")
    for row in range(3):
        page.locator("table.tasks tbody input[type=checkbox]").nth(row).check()
    page.locator("form[action='/worklist/bulk'] > .bar button").first.click()


def _break_glass(page: Page) -> None:
    page.locator("button[value=FEURS]").click()
    page.goto("/persons/1")


_PAGES: tuple[tuple[str, str, Callable[[Page], None]], ...] = (
    ("login", "", _open("/login")),
    ("site", _INES, lambda page: None),
    ("break-glass", _INES, _break_glass),
    ("worklist", _MAUD, _open("/worklist")),
    ("decision", _MAUD, _decision),
    ("doubtful", _MAUD, _doubtful),
    ("bulk", _MAUD, _bulk),
    ("oddities", _MAUD, _open("/worklist/imaging")),
    ("person", _MAUD, _story),
    ("step", _MAUD, _step),
    ("imaging", _MAUD, _imaging),
    ("search", _MAUD, _search),
    ("review", _MAUD, _open("/review")),
    ("quality", _MAUD, _open("/quality")),
    ("archives", _MAUD, _open("/archives")),
    ("refused", _MAUD, _open("/tasks/999999")),
    ("audit", _ELISE, _open("/audit")),
    ("settings", _HUGO, _open("/settings")),
)


def _at_work(browser: Browser, base: str, subject: str, language: str, **more: object) -> tuple[BrowserContext, Page]:
    shape = {"viewport": {"width": 1280, "height": 860}, **more}
    context = browser.new_context(locale=_LOCALES[language], base_url=base, **shape)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/login")
    if subject:
        page.locator(f"button[value='{subject}']").click()
    return context, page


def _take(browser: Browser, base: str, language: str) -> None:
    for subject in dict.fromkeys(subject for _, subject, _ in _PAGES):
        context, page = _at_work(browser, base, subject, language)
        for name, whose, show in _PAGES:
            if whose == subject:
                show(page)
                _picture(page, f"{name}-{language}")
        context.close()
    small = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    context, page = _at_work(browser, base, _MAUD, language, **small)
    _decision(page)
    _picture(page, f"decision-small-dark-{language}")
    context.close()


def _picture(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=_FOLDER / f"{name}.png")


def _follow_the_guide(browser: Browser, base: str) -> None:
    """Section 4 of the guide: voted, decided, taken back, voted on again, arbitrated; then taken back for the next."""
    context, camille = _at_work(browser, base, _CAMILLE, "fr")
    camille.goto("/worklist?kind=possible-duplicate&site=CHUSE&stage=new")
    camille.keyboard.press("j")
    camille.keyboard.press("Enter")
    camille.wait_for_url("**/tasks/*")
    found = re.search(r"/tasks/(\d+)", camille.url)
    assert found is not None
    task = found[1]
    _answer(camille, "1", "l’autre établissement doit voter")
    _picture(camille, "guide-1-vote")
    context.close()
    context, noe = _at_work(browser, base, _NOE, "fr")
    noe.goto(f"/tasks/{task}")
    _answer(noe, "1", "Décidé")
    _picture(noe, "guide-2-decided")
    noe.keyboard.press("u")
    expect(noe.locator(".notice")).to_contain_text("annulée")
    noe.goto(f"/tasks/{task}")
    _picture(noe, "guide-3-undone")
    _answer(noe, "2", "la région arbitre")
    context.close()
    context, maud = _at_work(browser, base, _MAUD, "fr")
    maud.goto("/worklist?stage=arbitration")
    _picture(maud, "guide-4-arbitration")
    maud.goto(f"/tasks/{task}")
    _answer(maud, "2", "Décidé")
    maud.goto(f"/tasks/{task}")
    _picture(maud, "guide-5-arbitrated")
    context.close()


def _answer(page: Page, key: str, notice: str) -> None:
    page.keyboard.press(key)
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text(notice)


def main() -> None:
    """Take them all."""
    base = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_browser(), args=["--no-sandbox"])
        for language in _LOCALES:
            _take(browser, base, language)
        _follow_the_guide(browser, base)
        browser.close()
    sys.stdout.write(f"{len(list(_FOLDER.glob('*.png')))} pictures in {_FOLDER}\n")


if __name__ == "__main__":
    main()

"""Screenshots of every page of the workbench in both languages, from a running demonstration.

``make demo`` in one window, ``make screenshots`` in another; they land in ``docs/screenshots``. Everybody on them is
invented.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

_FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
_STEWARD, _AUDITOR, _ADMINISTRATOR = "899700000052", "899700000078", "899700000086"
_PAGES = (
    ("worklist", _STEWARD, "/worklist"),
    ("decision", _STEWARD, ""),
    ("person", _STEWARD, "/persons/11"),
    ("search", _STEWARD, "/search"),
    ("review", _STEWARD, "/review"),
    ("quality", _STEWARD, "/quality"),
    ("audit", _AUDITOR, "/audit"),
    ("settings", _ADMINISTRATOR, "/settings"),
)


def _take(browser: Browser, base: str, language: str) -> None:
    locale = {"fr": "fr-FR", "en": "en-GB"}[language]
    login = browser.new_context(locale=locale, viewport={"width": 1280, "height": 860}).new_page()
    login.goto(f"{base}/login")
    login.screenshot(path=_FOLDER / f"login-{language}.png")
    for subject in dict.fromkeys(subject for _, subject, _ in _PAGES):
        context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 860})
        page = context.new_page()
        page.goto(f"{base}/login")
        page.locator(f"button[value='{subject}']").click()
        for name, whose, path in _PAGES:
            if whose == subject:
                _show(page, base, path)
                page.screenshot(path=_FOLDER / f"{name}-{language}.png")
        context.close()
    small = browser.new_context(locale=locale, viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = small.new_page()
    page.goto(f"{base}/login")
    page.locator(f"button[value='{_STEWARD}']").click()
    _show(page, base, "")
    page.screenshot(path=_FOLDER / f"decision-small-dark-{language}.png")
    small.close()


def _show(page: Page, base: str, path: str) -> None:
    if path == "/search":
        page.goto(base + path)
        page.locator("input[name=birth]").fill("17/03/1958")
        page.locator("form[action='/search'] button").click()
    elif path:
        page.goto(base + path)
    else:
        page.goto(f"{base}/worklist")
        page.locator("table.tasks a.row").first.click()
    page.wait_for_load_state("networkidle")


def main() -> None:
    """Take them all."""
    base = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for language in ("fr", "en"):
            _take(browser, base, language)
        browser.close()
    sys.stdout.write(f"{len(list(_FOLDER.glob('*.png')))} pictures in {_FOLDER}\n")


if __name__ == "__main__":
    main()

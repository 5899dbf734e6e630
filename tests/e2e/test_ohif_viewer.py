"""OHIF in a real browser: it lists the studies of three sites for a patient named by ROANNE's number, opens one and
shows its pictures. The screenshot of ``docs/screenshots`` is taken here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from region.region_table import RegionTable
from region.viewer_commands import installed
from tests.e2e.conftest import serving
from tests.real_archives import SITES, Region, needs_orthanc, region, wait_until
from tests.workbench_browser import browser

__all__ = ["region"]
ROOT = Path(__file__).resolve().parents[2]
VIEWER = installed(ROOT / ".traitdunion")
pytestmark = [
    needs_orthanc,
    pytest.mark.skipif(VIEWER is None, reason="the OHIF viewer is not installed: make programs"),
]


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Callable[[RegionTable], AbstractContextManager[Any]]:
    return lambda table: serving(database_url, table, tmp_path / "documents", viewer=VIEWER)


@pytest.fixture
def page() -> Iterator[Page]:
    with browser() as chromium:
        yield chromium.new_page(viewport={"width": 1440, "height": 900}, locale="fr-FR")


def test_ohif_lists_three_sites_under_roannes_number_and_shows_a_study(region: Region, page: Page) -> None:
    kinds = dict(zip(SITES, ("CT", "MR", "CR"), strict=True))
    studies = {site: region.study(site, kind, (12,) if kind == "CT" else (2,)) for site, kind in kinds.items()}
    others = region.study("CHUSE", "CT", (1,), person=2)
    region.store("CHUSE", *region.files(others))
    for site, study in studies.items():
        region.store(site, *region.files(study, side=256))
    wait_until(lambda: region.found() == {study.uid for study in studies.values()})
    violations: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            violations.append(message.text)

    page.on("console", note)
    page.goto(f"{region.running.base_url}/viewer/?datasources=ROANNE&mrn=ROANNE1")
    for study in studies.values():
        expect(page.get_by_text(study.procedure.display or "").first).to_be_visible(timeout=60_000)
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "viewer-list.png")

    (listed,) = [each for each in region.priors()["studies"] if each["copies"][0]["site"] == "CHUSE"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(listed["viewer_url"])
    canvas = page.locator("canvas.cornerstone-canvas").first
    expect(canvas).to_be_visible(timeout=60_000)
    if (confirm := page.get_by_role("button", name=re.compile("Confirm|Hide"))).count():
        confirm.first.click()
    wait_until(lambda: _brightness(page) > 20)
    wait_until(lambda: any("ROANNE1" in url for url in asked))  # its panel of the patient's other studies
    assert any("/frames/" in url for url in asked)
    assert all(url.startswith((region.running.base_url, "blob:", "data:")) for url in asked)
    assert not violations
    page.wait_for_timeout(1500)
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "viewer-study.png")


def _brightness(page: Page) -> float:
    """Mean grey of the picture shown, 0 to 255."""
    return float(
        page.evaluate(
            """() => {
              const canvas = document.querySelector('canvas.cornerstone-canvas');
              if (!canvas || !canvas.width) return 0;
              const copy = document.createElement('canvas');
              copy.width = copy.height = 64;
              const drawn = copy.getContext('2d');
              drawn.drawImage(canvas, 0, 0, 64, 64);
              const data = drawn.getImageData(0, 0, 64, 64).data;
              let sum = 0;
              for (let at = 0; at < data.length; at += 4) sum += data[at];
              return sum / (data.length / 4);
            }"""
        )
    )

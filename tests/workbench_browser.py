"""A browser, an identity provider and a few dozen look-alikes, for tests that work like people."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ihe.caller import Caller
from ihe.values import PartialDate
from mpi.domain.identity import IdentityStatus, RecordKey, Sex, Traits
from mpi.services.feed_record import feed_record
from region.bootstrap import Service
from tests.browsers import has_browser, system_browser
from tests.ports import free_port

SURNAMES = (
    *("CERISIER", "PLATANE", "GENEVRIER", "CHARMILLE", "NOISERAIE", "BOULEAUX", "TILLEULS", "AUBEPINE", "MELEZIN"),
    *("PEUPLERAIE", "SORBIERS", "ORMEAU", "FRENAIE", "CHATAIGNIER", "VIOLETTE", "JACINTHE", "CAPUCINE", "PERVENCHE"),
    *("GLAIEULS", "MUGUETIER", "HORTENSIA", "BEGONIAT", "LAVANDIN", "ROMARINE", "SARRIETTE", "ESTRAGON", "CIBOULET"),
    *("MARJOLAINE", "VERVEINE", "TAMARISQUE"),
)


@contextmanager
def browser() -> Iterator[Browser]:
    """Headless Chromium: the system's, else Playwright's own."""
    if not has_browser():
        pytest.skip("Chromium is not installed: make browser")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=system_browser(), args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def identity_provider(people: dict[str, dict[str, object]]) -> Iterator[str]:
    """An OpenID provider in a process of its own; its issuer.

    Args:
        people: claims by ``sub``.
    """
    port = free_port()
    claims = [f"--user-claims={json.dumps({'sub': sub, **more})}" for sub, more in people.items()]
    module = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock"]
    command = [*module, "--host", "localhost", "--port", str(port), *claims]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{issuer}/.well-known/openid-configuration").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield issuer
    finally:
        process.terminate()
        process.wait(20)


def feed_look_alikes(service: Service, count: int) -> None:
    """Pairs of records of CHUSE and ROANNE, each of which makes one task."""
    for number, surname in enumerate(SURNAMES[:count]):
        first = Traits(
            birth_family_name=surname,
            birth_given_names=("CLAIRE",),
            first_birth_given_name="CLAIRE",
            sex=Sex.FEMALE,
            birth_date=PartialDate(1940 + number, 1 + number % 12, 13),
            birth_place_code="42218",
            phone=f"04770000{number:02d}",
            identity_status=IdentityStatus.VALI,
        )
        second = replace(
            first,
            birth_date=PartialDate(1940 + number, 1 + number % 12, 15),
            birth_place_code=None,
            phone=None,
            identity_status=IdentityStatus.PROV,
        )
        with service.database.unit(Caller("test")) as uow:
            feed_record(uow, service.mpi, RecordKey("CHUSE", f"C{number}"), first)
            feed_record(uow, service.mpi, RecordKey("ROANNE", f"R{number}"), second)


def log_in(page: Page, base: str, subject: str) -> None:
    """Through the provider, as anybody does."""
    page.goto(f"{base}/login")
    page.get_by_role("link", name="Pro Santé Connect").click()
    page.locator(f"button[name=sub][value='{subject}']").first.click()
    page.wait_for_url(f"{base}/**")

"""The door of the workbench: login, roles, forms, cookies, headers, and what the audit trail keeps of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from region.bootstrap import Service
from tests.workbench_desk import demonstration, enter


@pytest.fixture(scope="module")
def desk(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    """A service in demonstration."""
    with demonstration(module_database_url, tmp_path_factory.mktemp("documents")) as (base, service):
        yield base, service


def test_who_is_not_logged_in_is_sent_to_the_door(desk: tuple[str, Service]) -> None:
    answer = httpx.get(f"{desk[0]}/worklist")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/worklist")


def test_pages_forbid_foreign_scripts_frames_and_caches(desk: tuple[str, Service]) -> None:
    headers = httpx.get(f"{desk[0]}/login").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_french_is_spoken_first_and_english_on_demand(desk: tuple[str, Service]) -> None:
    base = desk[0]
    assert "Poste de travail" in httpx.get(f"{base}/login").text
    assert "Stewards’ workbench" in httpx.get(f"{base}/login", headers={"accept-language": "en-GB,en"}).text
    with httpx.Client(base_url=base) as client:
        client.post("/language", data={"language": "en", "next": "/login"})
        assert "Stewards’ workbench" in client.get("/login").text


def test_a_role_opens_its_own_pages_only(desk: tuple[str, Service]) -> None:
    with httpx.Client(base_url=desk[0]) as client:
        enter(client, "899700000086")
        shown = client.get("/settings")
        assert shown.status_code == 200
        assert "Part de faux rapprochements" in shown.text
        assert client.get("/worklist").status_code == 403
    with httpx.Client(base_url=desk[0]) as client:
        enter(client, "899700000011")
        assert client.get("/worklist").status_code == 200
        assert client.get("/settings").status_code == 403


def test_who_works_at_two_establishments_chooses_one(desk: tuple[str, Service]) -> None:
    with httpx.Client(base_url=desk[0]) as client:
        assert enter(client, "899700000037").headers["location"] == "/login/site"
        assert client.get("/worklist").status_code == 303
        page = client.get("/login/site").text
        token = re.findall(r'name="form_token" value="(\w+)"', page)[0]
        assert client.post("/login/site", data={"form_token": token, "site": "ROANNE"}).status_code == 403
        client.post("/login/site", data={"form_token": token, "site": "FEURS"})
        assert client.get("/worklist").status_code == 200


def test_a_form_without_its_token_is_refused(desk: tuple[str, Service]) -> None:
    with httpx.Client(base_url=desk[0]) as client:
        enter(client, "899700000011")
        assert client.post("/logout", data={"form_token": "0" * 64}).status_code == 403
        assert client.post("/logout").status_code == 403
    foreign = {"sec-fetch-site": "cross-site"}
    answer = httpx.post(f"{desk[0]}/login/demo", data={"subject": "899700000011"}, headers=foreign)
    assert answer.status_code == 403


def test_logging_out_ends_the_session_everywhere(desk: tuple[str, Service]) -> None:
    with httpx.Client(base_url=desk[0]) as client:
        enter(client, "899700000011")
        kept = dict(client.cookies)
        token = re.findall(r'name="form_token" value="(\w+)"', client.get("/worklist").text)[0]
        client.post("/logout", data={"form_token": token})
    assert httpx.get(f"{desk[0]}/worklist", cookies=kept).status_code == 303


def test_no_address_leads_to_somebody_elses_site(desk: tuple[str, Service]) -> None:
    for there in ("//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example"):
        answer = httpx.post(f"{desk[0]}/login/demo", data={"subject": "899700000011", "next": there})
        assert answer.headers["location"] == "/"


def test_every_page_leaves_a_trace_with_person_site_and_purpose(desk: tuple[str, Service]) -> None:
    base, service = desk
    with httpx.Client(base_url=base) as client:
        enter(client, "899700000011")
        client.get("/worklist")
    with service.engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT user_id, site, purpose, event_code FROM audit_event WHERE transaction LIKE '%/worklist'"
                " ORDER BY id DESC LIMIT 1"
            )
        ).one()
    assert tuple(row) == ("899700000011", "ROANNE", "normal", "110112")


def test_too_many_logins_from_one_place_are_refused(module_database_url: str, tmp_path: Path) -> None:
    with demonstration(module_database_url, tmp_path) as (base, _), httpx.Client(base_url=base) as client:
        answers = [client.get("/login").status_code for _ in range(70)]
    assert answers[0] == 200
    assert answers[-1] == 429


def test_without_demonstration_nobody_enters_by_a_click(module_database_url: str, tmp_path: Path) -> None:
    with demonstration(module_database_url, tmp_path, clicks=False) as (base, _):
        assert "899700000011" not in httpx.get(f"{base}/login").text
        assert httpx.post(f"{base}/login/demo", data={"subject": "899700000011"}).status_code == 404

"""The container files: like the project they run, and closed towards the outside."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from region.region_table import load_region
from region.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_the_table_of_domains_differs_in_the_addresses_of_the_pacs_only() -> None:
    def others(path: Path) -> list[str]:
        return [line for line in path.read_text().splitlines() if line and not line.startswith(("#", "pacs_url"))]

    assert others(DOCKER / "region.toml") == others(ROOT / "fixtures" / "region.toml")
    load_region(DOCKER / "region.toml")


def test_every_two_sites_share_a_pacs_that_exists() -> None:
    hosts = re.findall(r'^pacs_url = "http://([^:]+):8042/', (DOCKER / "region.toml").read_text(), re.MULTILINE)
    assert len(hosts) == 10
    assert {host: hosts.count(host) for host in hosts} == {name: 2 for name in SERVICES if name.startswith("pacs-")}


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    inner = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert all(set(service["networks"]) <= inner for name, service in SERVICES.items() if name != "proxy")


def test_every_setting_given_to_the_service_exists() -> None:
    image = re.findall(rf"{PREFIX}([A-Z_]+)=", (DOCKER / "Dockerfile").read_text())
    given = [name.removeprefix(PREFIX) for name in SERVICES["service"]["environment"]]
    assert {name.lower() for name in [*image, *given]} <= set(Settings.model_fields)


def test_the_image_holds_every_package_and_runs_without_root() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench"}
    assert packages <= set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001"]
    assert "HEALTHCHECK" in text
    assert "--require-hashes" in text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_throw_away_certificates_are_good_for_what_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    subprocess.run(["sh", DOCKER / "make-certificates.sh", folder, "region.example"], check=True, capture_output=True)
    for purpose, name in (("sslserver", "server"), ("sslclient", "ROANNE")):
        command = [
            "openssl",
            "verify",
            "-purpose",
            purpose,
            "-CAfile",
            folder / "authority.pem",
            folder / f"{name}.pem",
        ]
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    wrong = ["openssl", "verify", "-purpose", "sslserver", "-CAfile", folder / "authority.pem", folder / "ROANNE.pem"]
    assert subprocess.run(wrong, check=False, capture_output=True).returncode != 0

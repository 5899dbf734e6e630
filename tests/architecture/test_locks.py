"""The lock files: complete, hashed, one version of each thing, no address of a server."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)(?: ; ([^\\]+?))?\s*\\?$")


def pins(name: str) -> dict[tuple[str, str], str]:
    """Versions by name and environment marker."""
    lines = (ROOT / name).read_text().splitlines()
    return {(found[1], found[3] or ""): found[2] for line in lines if (found := PIN.match(line))}


def names(requirements: list[str]) -> set[str]:
    return {
        re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace(".", "-").replace("_", "-")
        for requirement in requirements
    }


def test_everything_declared_is_locked() -> None:
    runtime = {name for name, _ in pins("requirements.lock")}
    development = {name for name, _ in pins("requirements-dev.lock")}
    extras = PROJECT["optional-dependencies"]
    assert names(PROJECT["dependencies"]) <= runtime
    assert names([*extras["train"], *extras["dev"]]) <= development


def test_what_runs_is_what_was_tested() -> None:
    runtime, development = pins("requirements.lock"), set(pins("requirements-dev.lock").items())
    tested = {(name, version) for (name, _), version in development}
    assert {(name, version) for (name, _), version in runtime.items()} <= tested


def test_every_pin_has_hashes_and_no_server_is_named() -> None:
    for file in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / file).read_text()
        assert "://" not in text
        assert "--index" not in text
        for block in re.split(r"\n(?=[a-z0-9])", text.strip()):
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]

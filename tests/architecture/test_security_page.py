"""The threat model names a test for each protection, and the test exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_protection_has_a_test_and_every_test_exists() -> None:
    files = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not re.match(r"\|[ -]*\|( Threat|-)", line)]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, f"no test: {row}"
        for file, test in named:
            assert re.search(rf"^def {test}\(", files.get(file, ""), re.MULTILINE), f"{file}::{test} does not exist"

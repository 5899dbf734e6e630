"""The conformance page says what the transaction files say."""

from __future__ import annotations

from pathlib import Path

from region.conformance import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def test_conformance_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m region.conformance > docs/conformance.md"

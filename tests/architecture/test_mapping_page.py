"""The mapping page says what the translators' tables say."""

from __future__ import annotations

from pathlib import Path

from region.mapping_page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mapping.md"


def test_mapping_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m region.mapping_page > docs/mapping.md"

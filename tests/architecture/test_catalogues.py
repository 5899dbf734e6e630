"""Every text of the workbench is in the French catalogue; codes are worded in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.extract import extract_from_file

from web.catalogue import catalogue

WEB = Path(__file__).resolve().parents[2] / "web"
_CODE = re.compile(r"[a-z][A-Za-z0-9_.-]*$")


def said_in_code() -> set[str]:
    found: set[str] = set()
    for path in sorted(WEB.rglob("*.html")):
        for _, messages, _, _ in extract_from_file("jinja2.ext:babel_extract", str(path)):
            found.update([messages] if isinstance(messages, str) else messages)
    for path in sorted(WEB.rglob("*.py")):
        for _, messages, _, _ in extract_from_file("python", str(path), keywords={"t": None}):
            found.update([messages] if isinstance(messages, str) else [m for m in messages if m])
    return found


def test_every_text_is_said_in_french() -> None:
    assert len(said_in_code()) > 30
    assert sorted(said_in_code() - catalogue("fr").keys()) == []


def test_codes_are_worded_in_both_languages() -> None:
    codes = {key for key in catalogue("fr").keys() - said_in_code() if _CODE.match(key)}
    assert codes
    assert sorted(codes - catalogue("en").keys()) == []


def test_no_text_is_kept_that_nobody_says() -> None:
    unsaid = {key for key in catalogue("fr").keys() - said_in_code() if not _CODE.match(key)}
    refusals = {
        text.strip('"')
        for path in (*WEB.rglob("*.py"), *(WEB.parent / "mpi").rglob("*.py"))
        for text in re.findall(r'"[^"\n]+"', path.read_text())
    }
    assert sorted(unsaid - refusals) == []

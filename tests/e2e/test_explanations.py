"""Explanations over HTTP: JSON for the workbench, and the waterfall as a picture."""

from __future__ import annotations

from xml.dom.minidom import parseString

import httpx
import pytest

from tests.e2e.test_documents_by_zeep import MARIE, PAUL, Site


@pytest.fixture
def base(running) -> str:
    site = Site(running)
    site.feed("CHUSE", "C1", MARIE)
    site.feed("ROANNE", "R1", MARIE)
    site.feed("ICL", "P1", PAUL)
    return f"{running.base_url}/api/explain"


def test_a_link_is_told_as_json_and_drawn_as_svg(base) -> None:
    asked = {"domain": "ROANNE", "local_id": "R1"}
    told = httpx.get(base, params=asked).raise_for_status().json()
    event_id = told["history"][-1]["event_id"]
    assert told["because"]["weight_bits"] == told["history"][-1]["weight_bits"]
    assert httpx.get(base, params={**asked, "event": event_id}).json() == told
    drawn = httpx.get(base, params={**asked, "format": "svg"}, headers={"Accept-Language": "en"}).raise_for_status()
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    picture = parseString(drawn.content)
    bars = [bar.getAttribute("class") for bar in picture.getElementsByTagName("rect")]
    spoken = [row for row in told["because"]["fields"] if row["level"] != "MISSING"]
    assert len(bars) == len(spoken) + 1
    assert picture.documentElement.namespaceURI == "http://www.w3.org/2000/svg"
    assert "Total" in drawn.text


NONSENSE = [
    ({"event": "x"}, 400),
    ({"event": "1" * 30}, 400),
    ({"event": "999999999"}, 404),
    ({"format": "png"}, 400),
    ({"other_domain": "CHUSE"}, 400),
    ({"other_domain": "CHUSE", "other_local_id": "C1", "event": "1"}, 400),
    ({"other_domain": "CHUSE", "other_local_id": "C9"}, 404),
]


def test_a_question_that_makes_no_sense_is_refused(base) -> None:
    asked = {"domain": "ROANNE", "local_id": "R1"}
    found = [httpx.get(base, params={**asked, **more}).status_code for more, _ in NONSENSE]
    assert found == [status for _, status in NONSENSE]
    alone = {"domain": "ICL", "local_id": "P1"}
    assert httpx.get(base, params=alone).json()["because"] is None
    assert httpx.get(base, params={**alone, "format": "svg"}).status_code == 404

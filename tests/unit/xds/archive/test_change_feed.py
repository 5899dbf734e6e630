"""The feed of changes of an Orthanc: what rests is named once, nothing is forgotten, a new beginning is noticed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ihe.errors import Unavailable
from xds.archive.change_feed import ChangeFeed, Changes


class Archive:
    """Says what changed as Orthanc does."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []
        self.studies: dict[str, str] = {}
        self.counts = {"CountStudies": 2, "CountInstances": 9}
        self.is_broken = False
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = archive.answer(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/changes"

    def answer(self, path: str) -> tuple[int, bytes]:
        address = urlsplit(path)
        if self.is_broken:
            return 500, b"no"
        if address.path == "/statistics":
            return 200, json.dumps(self.counts).encode()
        if address.path.startswith("/studies/"):
            uid = self.studies.get(address.path.removeprefix("/studies/"))
            return (200, json.dumps({"MainDicomTags": {"StudyInstanceUID": uid}}).encode()) if uid else (404, b"{}")
        asked = parse_qs(address.query, keep_blank_values=True)
        if "last" in asked:
            found = self.changes[-1:]
        else:
            found = [each for each in self.changes if each["Seq"] > int(asked["since"][0])][:2]
        last = found[-1]["Seq"] if found else 0
        return 200, json.dumps({"Changes": found, "Done": False, "Last": last}).encode()

    def happened(self, kind: str, name: str = "a", resource: str = "Study") -> None:
        number = self.changes[-1]["Seq"] + 1 if self.changes else 1
        self.changes.append({"ChangeType": kind, "ID": name, "ResourceType": resource, "Seq": number})


@pytest.fixture
def archive() -> Iterator[Archive]:
    found = Archive()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join(5)


@pytest.fixture
def feed(archive: Archive) -> Iterator[ChangeFeed]:
    found = ChangeFeed("CHUSE", archive.url, count_seconds=0)
    yield found
    found.close()


def test_the_first_question_is_answered_with_everything(archive: Archive, feed: ChangeFeed) -> None:
    archive.happened("StableStudy")
    assert feed.follow() == Changes(everything=True)
    assert feed.follow() == Changes()


def test_studies_that_rest_are_named_over_several_pages(archive: Archive, feed: ChangeFeed) -> None:
    feed.follow()
    archive.studies = {"a": "1.2.3", "b": "1.2.4"}
    for kind, name in (("NewStudy", "a"), ("StableStudy", "a"), ("StableStudy", "b"), ("StableStudy", "a")):
        archive.happened(kind, name)
    archive.happened("StableSeries", "a", "Series")
    archive.happened("StableStudy", "gone again")
    assert feed.follow() == Changes(("1.2.3", "1.2.4"))
    assert feed.follow() == Changes()


def test_a_deletion_and_a_new_beginning_mean_everything(archive: Archive, feed: ChangeFeed) -> None:
    archive.happened("NewStudy")
    feed.follow()
    for fewer in ({"CountStudies": 2, "CountInstances": 8}, {"CountStudies": 1, "CountInstances": 20}):
        archive.counts = fewer
        assert feed.follow().everything
        assert not feed.follow().everything
    archive.changes.clear()
    assert feed.follow().everything


def test_what_happens_while_the_archive_is_away_is_not_forgotten(archive: Archive, feed: ChangeFeed) -> None:
    feed.follow()
    archive.studies = {"a": "1.2.3"}
    archive.happened("StableStudy")
    archive.is_broken = True
    with pytest.raises(Unavailable):
        feed.follow()
    archive.is_broken = False
    assert feed.follow() == Changes(("1.2.3",))

"""A subscriber that listens is told by PMIR message, and one by rest-hook, of what becomes of its patients."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle

from region.region_table import FhirNotification, RegionTable, load_region
from tests.e2e.conftest import REGION
from tests.fhir_wire import patient

CHANNEL = {"type": "message", "payload": "application/fhir+json"}


class Listener:
    """Keeps what it gets and answers as told."""

    def __init__(self):
        self.got = []
        self.statuses = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = owner.statuses.pop(0) if owner.statuses else 200
                if status < 400:
                    content = json.loads(body) if body else None
                    owner.got.append((self.command, self.path, dict(self.headers), content))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = do_DELETE = _take  # noqa: N815 (the names are the library's)

            def log_message(self, *args):
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, number):
        deadline = time.monotonic() + 30
        while len(self.got) < number and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(self.got) >= number, self.got
        return self.got


@pytest.fixture
def listener():
    found = Listener()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def feed(running):
    def send(code, value, **traits):
        oid = str(running.table.by_code(code).oid)
        token = f"urn:oid:{oid}|{value}"
        more = {name: traits.pop(name) for name in ("active", "link") if name in traits}
        body = {**patient(oid, value, **traits), **more}
        answer = httpx.put(f"{running.base_url}/fhir/Patient", params={"identifier": token}, json=body)
        assert answer.status_code in (200, 201), answer.text

    return send


def subscribe(running, url, **channel):
    wish = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "To know the patients",
        "criteria": channel.pop("criteria", "Patient"),
        "channel": {k: v for k, v in {**CHANNEL, "endpoint": url, **channel}.items() if v is not None},
    }
    answer = httpx.post(f"{running.base_url}/fhir/Subscription", json=wish)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def told(delivery):
    """Method, local id, and how many identifiers."""
    (entry,) = delivery[3]["entry"][1]["resource"]["entry"]
    resource = entry.get("resource", {})
    return entry["request"]["method"], resource.get("active"), len(resource.get("identifier", ()))


def test_a_subscriber_is_told_by_message(running, listener, feed):
    address = subscribe(running, f"{listener.url}/fhir", header=["Authorization: Bearer s3cret"])
    feed("CHUSE", "C1")
    (first,) = listener.wait_for(1)
    Bundle.model_validate(first[3])
    assert first[2]["Authorization"] == "Bearer s3cret"
    assert first[3]["entry"][0]["resource"]["eventUri"] == "urn:ihe:iti:pmir:2019:patient-feed"
    assert told(first) == ("POST", True, 2)
    feed("ROANNE", "R1")
    assert sorted(told(d) for d in listener.wait_for(3)[1:]) == [("POST", True, 3), ("PUT", True, 3)]
    feed("CHUSE", "C2", family="MODELE", given="PAULE", birth="1971-11-02")
    listener.wait_for(4)
    oid = str(running.table.by_code("CHUSE").oid)
    survivor = {"identifier": {"system": f"urn:oid:{oid}", "value": "C2"}}
    feed("CHUSE", "C1", active=False, link=[{"type": "replaced-by", "other": survivor}])
    after = [d[3]["entry"][1]["resource"]["entry"][0] for d in listener.wait_for(6)[4:]]
    merged = [e["resource"] for e in after if not e["resource"]["active"]]
    assert [m["link"][0]["type"] for m in merged] == ["replaced-by"]
    assert merged[0]["link"][0]["other"]["identifier"]["value"] == "C2"
    assert httpx.delete(address).status_code == 204
    time.sleep(1)
    before = len(listener.got)
    feed("ICL", "I1", family="TEMOIN", given="ANDRE", birth="1950-01-01")
    time.sleep(1.5)
    assert len(listener.got) == before


def test_a_domain_of_the_table_is_told_by_message(start, listener):
    table = load_region(REGION)
    told_here = FhirNotification(True, listener.url)
    domains = tuple(replace(d, notification_fhir=told_here) if d.code == "SISRA" else d for d in table)
    with start(RegionTable(table.name, table.home_community_id, domains)) as running:
        for number, code in enumerate(("SISRA", "CHUSE", "ICL"), 1):
            oid = str(table.by_code(code).oid)
            params = {"identifier": f"urn:oid:{oid}|N{number}"}
            answer = httpx.put(f"{running.base_url}/fhir/Patient", params=params, json=patient(oid, f"N{number}"))
            assert answer.status_code == 201, answer.text
            first, *others = [told(each) for each in listener.wait_for(number)]
            assert first == ("POST", True, 2), "its own patient, with the regional id"
            assert others[number - 2 :] == [("PUT", True, number + 1)][: number - 1], "every new cross-reference"
        assert "ITI-93 SISRA" in {each.name for each in running.service.subscribers()}


def test_a_failing_subscriber_is_told_later_and_in_order(running, listener, feed):
    listener.statuses = [503, 503]
    subscribe(running, listener.url)
    feed("CHUSE", "C1")
    feed("CHUSE", "C1", given="MARIA")
    feed("CHUSE", "C1", given="MARION")
    listener.wait_for(1)
    time.sleep(2)
    given = [d[3]["entry"][1]["resource"]["entry"][0]["resource"]["name"][0]["given"][0] for d in listener.got]
    assert given[-1] == "MARION"
    assert given == sorted(set(given), key=given.index)


def test_a_rest_hook_puts_and_deletes_the_resource_of_its_domain(running, listener, feed):
    oid = str(running.table.by_code("ROANNE").oid)
    subscribe(running, f"{listener.url}/hook", type="rest-hook", criteria=f"Patient?identifier=urn:oid:{oid}|")
    feed("CHUSE", "C1")
    feed("ROANNE", "R1")
    (first,) = listener.wait_for(1)
    assert first[0] == "PUT"
    assert first[1] == f"/hook/Patient/{first[3]['id']}"
    assert {i["value"] for i in first[3]["identifier"]} >= {"R1", "C1"}
    deleted = httpx.delete(f"{running.base_url}/fhir/Patient", params={"identifier": f"urn:oid:{oid}|R1"})
    assert deleted.status_code == 204
    last = listener.wait_for(2)[-1]
    assert last[:2] == ("DELETE", first[1])


def test_a_rest_hook_without_payload_is_only_rung(running, listener, feed):
    subscribe(running, f"{listener.url}/bell", type="rest-hook", payload=None)
    feed("CHUSE", "C1")
    (first,) = listener.wait_for(1)
    assert (first[0], first[1], first[3]) == ("POST", "/bell", None)

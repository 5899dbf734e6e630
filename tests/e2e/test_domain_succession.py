"""A site is taken over by another: its identifiers stay found on every wire, its feeds are refused on every wire, its
patients are renumbered by the successor, who is told of them; and all of it can be undone.
"""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from ihe.caller import REGION as REGION_CALLER
from ihe.hl7v2.client import MllpClient
from ihe.soap.client import SoapClient
from ihe.xml import parse_xml
from mpi.services.undo_event import undo_event
from mpi.store import invariants
from region import domain_commands
from region import running as running_commands
from region.region_table import Notification, RegionTable, load_region
from tests.e2e.conftest import REGION
from tests.fhir_wire import patient
from tests.hl7v2_desk import Desk, er7, ids, outcome, said
from tests.hl7v3_wire import Answer, feed, ii, pix_query
from tests.mllp_consumer import Consumer, local, wait_for

OLD, NEW = "FEURS", "MONTBRISON"
ADD, MERGE = "PRPA_IN201301UV02", "PRPA_IN201304UV02"


class Wires:
    """A partner that speaks all three."""

    def __init__(self, running, consumer):
        self.running, self.consumer = running, consumer
        self.desk = Desk(running.service)
        self.mllp = MllpClient(running.host, running.mllp_port)
        self.soap = SoapClient(f"{running.base_url}/ihe/pix")

    def oid(self, code):
        return str(self.running.table.by_code(code).oid)

    def send(self, message):
        return self.mllp.send(message.encode())

    def v3(self, name, data):
        return Answer(self.soap.send(f"urn:hl7-org:v3:{name}", parse_xml(data)))

    def put(self, code, value, **more):
        oid = self.oid(code)
        return httpx.put(
            f"{self.running.base_url}/fhir/Patient",
            params={"identifier": f"urn:oid:{oid}|{value}"},
            json=patient(oid, value, **more),
        )

    def known_as(self, code, value):
        """The identifiers that each wire answers, which must be the same; ``None`` when it answers none."""
        header = "MSH|^~\\&|VIEWER|TEST|TRAITDUNION|REGION|20260115101500||QBP^Q23^QBP_Q21|Q1|P|2.5"
        v2 = self.send(er7(header, f"QPD|IHE PIX Query|TAG1|{self.desk.cx(code, value)}", "RCP|I"))
        v3 = self.v3("PRPA_IN201309UV02", pix_query(ii(self.oid(code), value, "value")))
        token = f"urn:oid:{self.oid(code)}|{value}"
        fhir = httpx.get(f"{self.running.base_url}/fhir/Patient/$ihe-pix", params={"sourceIdentifier": token})
        found = [
            set(ids(v2.segment("PID"))) if said(v2, "QAK", 2) == "OK" else None,
            set(v3.ids) if v3.status[1] == "OK" else None,
            {p["valueIdentifier"]["value"] for p in fhir.json()["parameter"] if "valueIdentifier" in p}
            if fhir.status_code == 200
            else None,
        ]
        assert found[0] == found[1] == found[2], found
        return None if found[0] is None else {each for each in found[0] if not each.startswith("TDU")}


@pytest.fixture
def wires(start, monkeypatch):
    table = load_region(REGION)
    with Consumer() as consumer:
        to = Notification(True, "127.0.0.1", consumer.port, "GAM", NEW)
        domains = tuple(replace(d, notification=to) if d.code == NEW else d for d in table)
        with start(RegionTable(table.name, table.home_community_id, domains)) as running:

            @contextmanager
            def service(_settings):
                yield running.service

            monkeypatch.setattr(running_commands, "service", service)
            found = Wires(running, consumer)
            yield found
            found.mllp.close()
            found.soap.close()


def run(*arguments, status=0):
    result = CliRunner().invoke(domain_commands.commands(lambda: None), list(arguments))
    assert (result.exit_code == 0) == (status == 0), result.output
    return result


def test_a_site_is_taken_over_renumbered_and_set_free_again(wires):
    for code, value in ((OLD, "F1"), ("ROANNE", "R1")):
        assert wires.put(code, value).status_code == 201
    assert wires.known_as(OLD, "F1") == {"R1"}
    run("succeed", OLD, NEW, "--from", "2999-01-01")
    assert wires.put(OLD, "F1").status_code == 200
    run("restore", OLD)
    run("succeed", OLD, NEW, "--from", "2020-01-01", "--reason", "merger of the sites")
    listed = {row["code"]: row["successor"] for row in csv.DictReader(io.StringIO(run("list").stdout))}
    assert (listed[OLD], listed[NEW]) == (NEW, "")

    # What is filed under the former identifier stays found; feeds under it are refused with the successor's name.
    assert wires.known_as(OLD, "F1") == {"R1"}
    refused = wires.send(wires.desk.adt("A31", OLD, "F1"))
    assert outcome(refused) == ("AE", "", "204", "PID^1^3")
    assert NEW in said(refused, "ERR", 8)
    refused = wires.v3(ADD, feed(ADD, ii(wires.oid(OLD), "F2")))
    assert (refused.status, refused.conditions) == (("AE", ""), ["204"])
    assert NEW in "".join(refused.values("//v:acknowledgementDetail/v:text/text()"))
    refused = wires.put(OLD, "F1", given="MARIA")
    assert (refused.status_code, NEW in refused.text) == (400, True)

    # The successor is told of its new patients, renumbers them, and the former identifier leads to the new one.
    assert wires.put("ICL", "I1").status_code == 201
    wait_for(lambda: any(local(told) == {"F1", "R1", "I1"} for told in wires.consumer.told()))
    assert outcome(wires.send(wires.desk.adt("A28", NEW, "M1")))[0] == "AA"
    renumber = wires.desk.adt("A40", NEW, "M1", extra=[f"MRG|{wires.desk.cx(OLD, 'F1')}"])
    assert outcome(wires.send(renumber))[0] == "AA"
    assert wires.known_as(OLD, "F1") == {"M1", "R1", "I1"}
    assert wires.known_as("ROANNE", "R1") == {"M1", "I1"}
    wait_for(lambda: local(wires.consumer.told()[-1]) == {"M1", "R1", "I1"})
    assert "renumbered" in str(run("restore", OLD, status=1).exception)

    # Both undone, the former identifier is its own again, and its site feeds it.
    with wires.running.service.engine.connect() as connection:
        merge = connection.execute(text("SELECT max(id) FROM identity_event WHERE kind = 'record.merged'")).scalar_one()
    with wires.running.service.database.unit(REGION_CALLER) as uow:
        undo_event(uow, wires.running.service.mpi, merge, reason="test")
    run("restore", OLD)
    assert wires.known_as("ROANNE", "R1") == {"F1", "M1", "I1"}
    assert wires.put(OLD, "F1", given="MARIA").status_code == 200
    with wires.running.service.engine.connect() as connection:
        assert invariants.violations(connection) == []


def test_the_successor_renumbers_over_hl7_v3_and_fhir(wires):
    for value in ("F1", "F2"):
        assert wires.put(OLD, value).status_code == 201
    other = {"type": "replaced-by", "other": {"identifier": {"system": f"urn:oid:{wires.oid(NEW)}", "value": "M2"}}}
    assert wires.put(OLD, "F2", active=False, link=[other]).status_code == 400
    run("succeed", OLD, NEW, "--from", "2020-01-01")
    for value in ("M1", "M2"):
        assert wires.put(NEW, value).status_code == 201
    merged = wires.v3(MERGE, feed(MERGE, ii(wires.oid(NEW), "M1"), replaced=ii(wires.oid(OLD), "F1"), after=""))
    assert merged.status == ("AA", "")
    assert wires.put(OLD, "F2", active=False, link=[other]).status_code == 200
    assert "M1" in wires.known_as(OLD, "F1")
    assert "M2" in wires.known_as(OLD, "F2")


def test_what_cannot_be(wires):
    for arguments, name in (
        ((OLD, OLD), "InvalidElement"),
        ((OLD, "NOWHERE"), "UnknownAuthority"),
        (("REGION", NEW), "UnknownAuthority"),
    ):
        failed = run("succeed", *arguments, "--from", "2020-01-01", status=1)
        assert type(failed.exception).__name__ == name
    assert run("succeed", OLD, NEW, "--from", "soon", status=2).exit_code == 2
    run("succeed", OLD, NEW, "--from", "2020-01-01")
    for arguments in ((OLD, "ICL"), (NEW, OLD)):
        assert type(run("succeed", *arguments, "--from", "2020-01-01", status=1).exception).__name__ == "Conflict"
    run("succeed", NEW, "ICL", "--from", "2020-01-01")
    assert "ICL" in wires.put(OLD, "F1").text
    assert type(run("restore", "ROANNE", status=1).exception).__name__ == "NotFound"

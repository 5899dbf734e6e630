"""The whole story over HL7 v3 and over FHIR, as :mod:`test_story_over_hl7v2` plays it: feed at three sites, query, link
changes, notification of a real subscriber, merge, undo.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text

from ihe.caller import REGION as REGION_CALLER
from ihe.soap.client import SoapClient
from ihe.xml import parse_xml
from mpi.services.undo_event import undo_event
from region.region_table import RegionTable, SoapNotification, load_region
from tests.e2e.conftest import REGION
from tests.e2e.test_fhir_subscriptions import Listener, subscribe
from tests.e2e.test_notifications_hl7v3 import DEVICE, Consumer
from tests.fhir_wire import patient
from tests.hl7v3_wire import PERSON, Answer, demographics_query, feed, ii, name_parameter, parameter, pix_query
from tests.mllp_consumer import wait_for

ADD, REVISE, MERGE = (f"PRPA_IN20130{n}UV02" for n in (1, 2, 4))
ANOTHER = {"family": "AUTRE", "given": "JEANNE", "birth": "1951-06-17"}


def local(values):
    return {value for value in values if not value.startswith("TDU")}


class OverHl7v3:
    """ITI-44, 45, 47, and ITI-46 to a consumer."""

    def __init__(self, stack, start):
        self.consumer = stack.enter_context(Consumer())
        table = load_region(REGION)
        told = SoapNotification(True, self.consumer.url, DEVICE)
        domains = tuple(replace(d, notification_v3=told) if d.code == "ROANNE" else d for d in table)
        self.running = stack.enter_context(start(RegionTable(table.name, table.home_community_id, domains)))
        self.clients = {
            path: stack.enter_context(SoapClient(f"{self.running.base_url}/ihe/{path}")) for path in ("pix", "pdq")
        }

    def oid(self, code):
        return str(self.running.table.by_code(code).oid)

    def ask(self, name, data, path="pix"):
        return Answer(self.clients[path].send(f"urn:hl7-org:v3:{name}", parse_xml(data)))

    def feed(self, code, value, *, is_known=False, **another):
        person = PERSON
        for former, present in zip(("EXEMPLE", "MARIE", "19480317"), another.values(), strict=False):
            person = person.replace(former, present.replace("-", ""))
        name = REVISE if is_known else ADD
        assert self.ask(name, feed(name, ii(self.oid(code), value), person)).status == ("AA", "")

    def merge(self, code, survivor, subsumed):
        oid = self.oid(code)
        message = feed(MERGE, ii(oid, survivor), replaced=ii(oid, subsumed), after="")
        assert self.ask(MERGE, message).status == ("AA", "")

    def known_as(self, code, value):
        answer = self.ask("PRPA_IN201309UV02", pix_query(ii(self.oid(code), value, "value")))
        return local(answer.ids) if answer.status[0] == "AA" else answer.conditions

    def found(self):
        born = parameter("livingSubjectBirthTime", '<value value="19480317"/>')
        answer = self.ask("PRPA_IN201305UV02", demographics_query(name_parameter("EXEMPLE"), born), "pdq")
        return set(answer.values("//v:patient/v:id[1]/@extension"))

    def told(self, value):
        """The identifiers of the last notification about a patient of ROANNE."""
        about = [local(each.ids) for each in self.consumer.received if value in each.ids]
        return about[-1] if about else set()


class OverFhir:
    """ITI-104, 83, 78, and ITI-93 messages to a subscriber (ITI-94)."""

    def __init__(self, stack, start):
        self.listener = Listener()
        stack.callback(self.listener.server.server_close)
        stack.callback(self.listener.server.shutdown)
        self.running = stack.enter_context(start(load_region(REGION)))
        subscribe(self.running, self.listener.url, criteria=f"Patient?identifier=urn:oid:{self.oid('ROANNE')}|")

    def oid(self, code):
        return str(self.running.table.by_code(code).oid)

    def put(self, code, value, **traits):
        oid = self.oid(code)
        answer = httpx.put(
            f"{self.running.base_url}/fhir/Patient",
            params={"identifier": f"urn:oid:{oid}|{value}"},
            json=patient(oid, value, **traits),
        )
        assert answer.status_code in (200, 201), answer.text

    def feed(self, code, value, *, is_known=False, **another):
        self.put(code, value, **another)

    def merge(self, code, survivor, subsumed):
        other = {"identifier": {"system": f"urn:oid:{self.oid(code)}", "value": survivor}}
        self.put(code, subsumed, active=False, link=[{"type": "replaced-by", "other": other}])

    def known_as(self, code, value):
        token = f"urn:oid:{self.oid(code)}|{value}"
        answer = httpx.get(f"{self.running.base_url}/fhir/Patient/$ihe-pix", params={"sourceIdentifier": token})
        if answer.status_code == 404:
            return ["204"]
        parameters = answer.json().get("parameter", ())
        return local(p["valueIdentifier"]["value"] for p in parameters if "valueIdentifier" in p)

    def found(self):
        criteria = {"family": "EXEMPLE", "birthdate": "1948-03-17"}
        entries = httpx.get(f"{self.running.base_url}/fhir/Patient", params=criteria).json().get("entry", ())
        return {next(i["value"] for i in e["resource"]["identifier"] if i.get("use") == "usual") for e in entries}

    def told(self, value):
        """The identifiers of the last message about a patient of ROANNE."""
        about = [
            {i["value"] for i in entry["resource"]["identifier"]}
            for _, _, _, message in list(self.listener.got)
            for entry in message["entry"][1]["resource"]["entry"]
            if "resource" in entry
        ]
        about = [local(each) for each in about if value in each]
        return about[-1] if about else set()


@pytest.mark.parametrize("wire", [OverHl7v3, OverFhir])
def test_feed_query_link_notify_merge_undo(wire, start):
    with ExitStack() as stack:
        partner = wire(stack, start)
        for code, value in (("CHUSE", "C1"), ("ROANNE", "R1"), ("ICL", "I1")):
            partner.feed(code, value)
        assert partner.known_as("ROANNE", "R1") == {"C1", "I1"}
        assert partner.found() == {"C1", "R1", "I1"}
        wait_for(lambda: partner.told("R1") == {"R1", "C1", "I1"}, 60)

        partner.feed("ICL", "I1", is_known=True, **ANOTHER)
        assert partner.known_as("ROANNE", "R1") == {"C1"}
        wait_for(lambda: partner.told("R1") == {"R1", "C1"}, 60)
        partner.feed("ICL", "I1", is_known=True)
        assert partner.known_as("ROANNE", "R1") == {"C1", "I1"}
        wait_for(lambda: partner.told("R1") == {"R1", "C1", "I1"}, 60)

        partner.feed("CHUSE", "C2")
        partner.merge("CHUSE", "C2", "C1")
        assert partner.known_as("ROANNE", "R1") == {"C2", "I1"}
        assert partner.known_as("CHUSE", "C1") == ["204"]
        wait_for(lambda: partner.told("R1") == {"R1", "C2", "I1"}, 60)

        service = partner.running.service
        with service.database.unit(REGION_CALLER) as uow:
            found = uow.connection.execute(text("SELECT max(id) FROM identity_event WHERE kind = 'record.merged'"))
            undo_event(uow, service.mpi, found.scalar_one(), reason="test")
        assert partner.known_as("ROANNE", "R1") >= {"C1", "I1"}
        assert partner.known_as("CHUSE", "C1") >= {"R1", "I1"}
        wait_for(lambda: "C1" in partner.told("R1"), 60)

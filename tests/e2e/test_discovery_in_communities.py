"""Who knows a patient? Three whole services as communities, one dead and one slow, real sockets, zeep."""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest
import zeep
from lxml import etree
from sqlalchemy import text
from typer.testing import CliRunner

from ihe.communities import Community
from ihe.errors import UnknownAuthority, UnknownPatient
from ihe.soap.client import SoapClient
from ihe.values import Oid
from ihe.xml import parse_xml
from region import community_commands
from region import running as running_commands
from region.region_table import RegionTable, load_region
from tests.conftest import clone_database
from tests.e2e.conftest import REGION, Running, serving
from tests.e2e.test_communities import entries_of, errors_of, find
from tests.e2e.test_documents_by_zeep import MARIE, SUCCESS, Site
from tests.hl7v3_wire import Answer, discovery, ii, location_query, parameter
from tests.ports import free_port

ASK = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
WHERE = "urn:ihe:iti:2009:PatientLocationQuery"
NORTH, EAST, DEAD, SLOW = Oid("2.25.901"), Oid("2.25.902"), Oid("2.25.903"), Oid("2.25.904")
XCPD = {"x": "urn:ihe:iti:xcpd:2009"}


@dataclass
class Region:
    """Our community, and two that know the same patient by ids of their own."""

    here: Running
    north: Running
    east: Running


def with_communities(plain: RegionTable, name: str, home: Oid, *known: Community) -> RegionTable:
    return RegionTable(name, home, tuple(plain), (), known)


@pytest.fixture
def region(embedded_server, template_database, tmp_path) -> Iterator[Region]:
    plain = load_region(REGION)
    with ExitStack() as stack:
        urls = [stack.enter_context(clone_database(embedded_server, template_database)) for _ in "abc"]
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        east = stack.enter_context(serving(urls[0], with_communities(plain, "East", EAST), tmp_path / "east"))
        beyond = Community("East", EAST, xcpd=f"{east.base_url}/ihe/xcpd")
        table = with_communities(plain, "North", NORTH, beyond)
        north = stack.enter_context(serving(urls[1], table, tmp_path / "north"))
        known = (
            Community("North", NORTH, xcpd=f"{north.base_url}/ihe/xcpd", xca_query=f"{north.base_url}/ihe/xca"),
            Community("East", EAST, xca_query=f"{east.base_url}/ihe/xca"),  # known of, and not asked itself
            Community("Dead", DEAD, xcpd=f"http://127.0.0.1:{free_port()}/"),
            Community("Slow", SLOW, xcpd=f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_seconds=0.7),
        )
        here = stack.enter_context(
            serving(urls[2], with_communities(plain, plain.name, plain.home_community_id, *known), tmp_path / "here")
        )
        for running, local_id in ((here, "C1"), (north, "N9"), (east, "E7")):
            Site(running).feed("CHUSE", local_id, MARIE)
        yield Region(here, north, east)


def asked(running: Running, local_id: str) -> Answer:
    chuse = str(running.table.by_code("CHUSE").oid)
    question = discovery(parameter("livingSubjectId", ii(chuse, local_id, "value")))
    with SoapClient(f"{running.base_url}/ihe/xcpd/initiating", 30) as client:
        return Answer(client.send(ASK, parse_xml(question)))


def locations(running: Running, local_id: str) -> dict[str, str]:
    chuse = str(running.table.by_code("CHUSE").oid)
    question = location_query(f'<RequestedPatientId root="{chuse}" extension="{local_id}"/>')
    with SoapClient(f"{running.base_url}/ihe/xcpd") as client:
        answer = client.send(WHERE, parse_xml(question))
    homes = answer.xpath("//x:HomeCommunityId/text()", namespaces=XCPD)
    ids = answer.xpath("//x:CorrespondingPatientId/@extension", namespaces=XCPD)
    return dict(zip(homes, ids, strict=True))


def test_every_community_that_knows_the_patient_is_found_and_those_without_answer_are_named(region, shared_folder):
    ours = region.here.table.home_community_id
    assert locations(region.here, "C1").keys() == {ours.urn}
    answer = asked(region.here, "C1")
    assert answer.faults(shared_folder) == []
    assert answer.status == ("AA", "OK")
    assert answer.values("//v:custodian/v:assignedEntity/v:id/@root") == [ours, NORTH]
    unreached = answer.values("v:acknowledgement/v:acknowledgementDetail[@typeCode='W']/v:text/text()")
    assert [sentence.partition(":")[0] for sentence in unreached] == ["community Dead (urn", "community Slow (urn"]
    (theirs,) = locations(region.north, "N9").values()
    assert locations(region.here, "C1") == {ours.urn: answer.ids[0], NORTH.urn: theirs}


def test_a_community_tells_of_further_ones(region):
    asked(region.north, "N9")
    (in_the_east,) = locations(region.east, "E7").values()
    assert locations(region.north, "N9")[EAST.urn] == in_the_east
    asked(region.here, "C1")
    assert locations(region.here, "C1")[EAST.urn] == in_the_east


def test_documents_are_found_by_the_identifier_that_a_community_told(region):
    theirs, _ = Site(region.north).provide("CHUSE", "N9", b"theirs")
    gateway = zeep.Client(f"{region.here.base_url}/wsdl/gateway.wsdl").service
    ask = "InitiatingGateway_RegistryStoredQuery"
    before = find(gateway, ask, Site(region.here).cx("CHUSE", "C1"), NORTH.urn)
    assert (before.status, entries_of(before), errors_of(before)) == (SUCCESS, {}, set())
    asked(region.here, "C1")
    after = find(gateway, ask, Site(region.here).cx("CHUSE", "C1"), NORTH.urn)
    assert (after.status, entries_of(after)) == (SUCCESS, {theirs: NORTH.urn})


def test_the_command_asks_and_names_those_without_answer(region, monkeypatch):
    @contextmanager
    def service(_settings):
        yield region.here.service

    monkeypatch.setattr(running_commands, "service", service)

    def run(*arguments: str) -> list[dict[str, str]]:
        done = CliRunner().invoke(community_commands.commands(lambda: None), list(arguments), catch_exceptions=False)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    assert [row["name"] for row in run("list")] == ["North", "East", "Dead", "Slow"]
    found = {row["community"]: row for row in run("find", "CHUSE", "C1")}
    assert found["North"]["patient_id"].startswith("TDU")
    assert "could not be asked" in found["Dead"]["problem"]
    assert found["Slow"]["problem"] == "it did not answer in time"
    assert {row["home_community_id"]: row["patient_id"] for row in run("known", "CHUSE", "C1")} == {
        NORTH: found["North"]["patient_id"]
    }
    with pytest.raises(UnknownPatient):
        run("find", "CHUSE", "NOBODY")
    with pytest.raises(UnknownAuthority):
        run("find", "NOWHERE", "C1")


def test_each_question_to_a_community_is_audited(region):
    asked(region.here, "C1")
    with region.here.service.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT outcome, objects FROM audit_event WHERE transaction = 'ITI-55' AND node = 'traitdunion'")
        ).all()
    named = {row.objects[0]["id"].rpartition(" ")[2]: row.outcome for row in rows}
    assert named.keys() == {NORTH.urn, DEAD.urn, SLOW.urn}
    assert len({named[DEAD.urn], named[SLOW.urn], named[NORTH.urn]}) == 2


def test_zeep_asks_from_our_description_alone(region):
    client = zeep.Client(f"{region.here.base_url}/wsdl/initiating.wsdl")
    (operation,) = client.service._operations
    assert operation.startswith("InitiatingGateway_PRPA_IN201305UV02")
    assert httpx.get(f"{region.here.base_url}/wsdl/initiating.wsdl").status_code == 200
    assert etree.QName(asked(region.here, "NOBODY").root).localname == "PRPA_IN201306UV02"

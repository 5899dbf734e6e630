"""ITI-55 at the Initiating Gateway from bytes to bytes, with other communities that answer as they are told."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from ihe.caller import REGION
from ihe.communities import Community
from ihe.unit_of_work import UnitOfWork
from ihe.values import AssigningAuthority, Oid, PatientId
from mpi.api import Directory
from mpi.domain.community import CommunityAnswer, CommunityPatient, PatientLocation
from mpi.domain.identity import Traits
from mpi.services.ask_communities import remember_answers
from tests.hl7v3_desk import TABLE, desk, oid
from tests.hl7v3_wire import discovery, feed, ii, location_query, parameter, read

__all__ = ["desk"]

ADD = "PRPA_IN201301UV02"
ASK = "ITI-55 Initiating Gateway"
HOME = str(TABLE.home_community_id)
SOUTH = Community("South", Oid("2.25.81"))
WEST = Community("West", Oid("2.25.82"))
XCPD = {"x": "urn:ihe:iti:xcpd:2009"}
DAY = timedelta(days=1)


def theirs(value, authority="2.25.810"):
    return PatientId(value, AssigningAuthority(oid=Oid(authority)))


def knows(community, *values, **more):
    patients = tuple(
        CommunityPatient(community.home_community_id, theirs(value), Traits(birth_family_name="EXEMPLE"), 95)
        for value in values
    )
    return CommunityAnswer(community, patients, **{"lifetime": DAY, **more})


@dataclasses.dataclass
class Told:
    """Communities that answer as they are told, and remember what they were asked."""

    database: object
    answers: list
    asked: list = dataclasses.field(default_factory=list)

    def ask(self, inquiry):
        assert self.database.engine.pool.checkedout() == 0, "a database connection waits for other communities"
        self.asked.append(inquiry)
        with self.database.unit(REGION) as uow:
            remember_answers(uow, inquiry, self.answers)
        return self.answers


@pytest.fixture
def told(desk):
    for code in ("CHUSE", "ROANNE"):
        desk.ask("ITI-44", feed(ADD, ii(oid(code), f"{code}1")))
    others = Told(desk.database, [])
    app = dataclasses.replace(desk.app, communities=others)
    desk.pipeline = dataclasses.replace(desk.pipeline, applications={"mpi": app})
    return others


def named(code="ROANNE", value="ROANNE1"):
    return discovery(parameter("livingSubjectId", ii(oid(code), value, "value")))


def where(desk):
    asked = f'<RequestedPatientId root="{oid("ROANNE")}" extension="ROANNE1"/>'
    answer = read(desk.run("ITI-56", location_query(asked))).root
    homes = answer.xpath("//x:HomeCommunityId/text()", namespaces=XCPD)
    ids = answer.xpath("//x:CorrespondingPatientId/@extension", namespaces=XCPD)
    return dict(zip(homes, ids, strict=True))


def test_a_registration_of_each_community_that_knows_the_patient(desk, told):
    told.answers = [knows(SOUTH, "S1"), CommunityAnswer(WEST, failure="it did not answer in time")]
    answer = desk.ask(ASK, named())
    assert answer.status == ("AA", "OK")
    assert answer.values("//v:custodian/v:assignedEntity/v:id/@root") == [HOME, "2.25.81"]
    assert answer.ids[-1] == "S1"
    assert answer.values("v:acknowledgement/v:acknowledgementDetail/v:code/@code") == ["RTWDEST"]
    (sentence,) = answer.values("v:acknowledgement/v:acknowledgementDetail/v:text/text()")
    assert "West (urn:oid:2.25.82)" in sentence
    (inquiry,) = told.asked
    assert inquiry.identifiers[0].value.startswith("TDU")
    assert (inquiry.described.birth_family_name, inquiry.described.birth_place_code) == ("EXEMPLE", "42218")


def test_one_who_is_not_known_here_is_asked_about_as_described(desk, told):
    told.answers = [knows(SOUTH, "S1")]
    answer = desk.ask(
        ASK, discovery(parameter("livingSubjectId", ii("1.2.250.1.213.1.4.10", "248034221800198", "value")))
    )
    assert (answer.status, answer.ids) == (("AA", "OK"), ["S1"])
    (inquiry,) = told.asked
    assert (inquiry.record_id, inquiry.identifiers[0].value) == (None, "248034221800198")
    assert list(where(desk)) == [f"urn:oid:{HOME}"]


def test_nobody_knows_the_patient(desk, told):
    told.answers = [knows(SOUTH), CommunityAnswer(WEST, requested=("PatientTelecomRequested",), lifetime=DAY)]
    unknown = named(value="NOBODY")
    answer = desk.ask(ASK, unknown)
    assert (answer.status, answer.ids) == (("AA", "OK"), [])
    assert answer.values("//v:detectedIssueManagement/v:code/@code") == ["PatientTelecomRequested"]
    told.answers = [knows(SOUTH)]
    assert desk.ask(ASK, unknown).status == ("AA", "NF")


def test_answers_are_remembered_as_long_as_they_may_be(desk, told):
    told.answers = [knows(SOUTH, "S1"), knows(WEST, "W1", lifetime=None)]
    desk.ask(ASK, named())
    assert where(desk) == {f"urn:oid:{HOME}": where(desk)[f"urn:oid:{HOME}"], "urn:oid:2.25.81": "S1"}
    told.answers = [CommunityAnswer(SOUTH, failure="it did not answer in time")]
    desk.ask(ASK, named())
    assert where(desk)["urn:oid:2.25.81"] == "S1"
    told.answers = [knows(SOUTH, "S2")]
    desk.ask(ASK, named())
    assert where(desk)["urn:oid:2.25.81"] == "S2"
    told.answers = [knows(SOUTH, "S2", "S3")]
    desk.ask(ASK, named())
    assert "urn:oid:2.25.81" not in where(desk)
    told.answers = [knows(SOUTH, "S2", lifetime=timedelta(microseconds=1))]
    desk.ask(ASK, named())
    assert "urn:oid:2.25.81" not in where(desk)


def test_what_a_community_says_of_itself_counts_before_what_another_tells(desk, told):
    hearsay = PatientLocation(WEST.home_community_id, theirs("W9"))
    told.answers = [knows(SOUTH, "S1", locations=(hearsay,)), knows(WEST, "W1")]
    desk.ask(ASK, named())
    assert where(desk)["urn:oid:2.25.82"] == "W1"
    told.answers = [knows(SOUTH, "S1", locations=(hearsay,)), CommunityAnswer(WEST, failure="it is away")]
    desk.ask(ASK, named())
    assert where(desk)["urn:oid:2.25.82"] == "W9"
    told.answers = [knows(SOUTH, "S1", locations=(hearsay,)), knows(WEST)]
    desk.ask(ASK, named())
    assert "urn:oid:2.25.82" not in where(desk)


def test_documents_are_asked_for_by_the_identifier_that_was_told(desk, told):
    told.answers = [knows(SOUTH, "S1")]
    desk.ask(ASK, named())
    directory = Directory(desk.app)
    with desk.database.unit(REGION) as uow:
        asked = PatientId("CHUSE1", AssigningAuthority(oid=Oid(oid("CHUSE"))))
        assert directory.known_as(uow, asked, SOUTH.home_community_id) == theirs("S1")
        assert directory.known_as(uow, asked, WEST.home_community_id) is None
        unknown = PatientId("NOBODY", AssigningAuthority(oid=Oid(oid("CHUSE"))))
        assert directory.known_as(uow, unknown, SOUTH.home_community_id) is None
        later = UnitOfWork(uow.connection, REGION, datetime.now(UTC) + 2 * DAY)
        assert directory.known_as(later, asked, SOUTH.home_community_id) is None


def test_several_patients_named_at_once_are_refused(desk, told):
    desk.ask("ITI-44", feed(ADD, ii(oid("GIER"), "G1"), OTHER))
    ids = parameter("livingSubjectId", ii(oid("ROANNE"), "ROANNE1", "value"), ii(oid("GIER"), "G1", "value"))
    assert desk.ask(ASK, discovery(ids)).status == ("AE", "AE")
    assert told.asked == []


OTHER = """<name use="L"><family qualifier="BR">AUTRE</family><given>PAUL</given></name>
    <administrativeGenderCode code="M"/><birthTime value="19700101"/>"""


@pytest.mark.parametrize("data", [discovery(), discovery(parameter("livingSubjectId", '<value root="1.2"/>'))])
def test_questions_that_cannot_be_read(desk, told, data):
    answer = desk.ask(ASK, data)
    assert answer.status == ("AE", "QE")
    assert told.asked == []


def test_a_deferred_answer_is_not_offered_by_the_gateway(desk, told):
    data = discovery(parameter("livingSubjectId", ii(oid("ROANNE"), "ROANNE1", "value")), priority="D")
    respond = '<respondTo typeCode="RSP"><telecom value="http://asker.example/"/></respondTo><sender typeCode="SND">'
    answer = desk.ask(ASK, data.replace(b'<sender typeCode="SND">', respond.encode()))
    assert (answer.status, answer.conditions) == (("AE", "QE"), ["NS250"])

"""ITI-55 and ITI-56 from bytes to bytes: another community asks for a patient of the region."""

from __future__ import annotations

import dataclasses

import pytest
from lxml import etree
from sqlalchemy import text

from ihe import errors
from ihe.callbacks import CallbackRule
from tests.hl7v3_desk import SHARED, TABLE, desk, oid
from tests.hl7v3_wire import (
    IPF,
    PERSON,
    discovery,
    feed,
    ii,
    location_query,
    message,
    name_parameter,
    parameter,
    read,
    request,
)

__all__ = ["desk"]

ADD = "PRPA_IN201301UV02"
XCPD = {"x": "urn:ihe:iti:xcpd:2009"}
HOME = str(TABLE.home_community_id)
GENDER = parameter("livingSubjectAdministrativeGender", '<value code="F"/>')
BORN = parameter("livingSubjectBirthTime", '<value value="19480317"/>')
BIRTHPLACE = parameter("livingSubjectBirthPlaceAddress", "<value><county>42218</county></value>")
NAME = parameter(
    "livingSubjectName", "<value><family>EXEMPLE</family><given>MARIE</given><given>LOUISE</given></value>"
)
ADDRESS = parameter(
    "patientAddress",
    """<value><streetAddressLine>12 RUE DU TEST</streetAddressLine><city>SAINT ETIENNE</city>
    <postalCode>42100</postalCode></value>""",
)


@pytest.fixture
def fed(desk):
    for code in ("CHUSE", "ROANNE", "ICL"):
        desk.ask("ITI-44", feed(ADD, ii(oid(code), f"{code}1")))
    return desk


def requested(answer):
    return answer.values("//v:detectedIssueManagement/v:code/@code")


def test_one_person_by_all_that_is_known_of_it(fed):
    answer = fed.ask("ITI-55", discovery(GENDER, BIRTHPLACE, BORN, NAME, ADDRESS))
    assert answer.status == ("AA", "OK")
    (regional,) = answer.ids
    assert regional.startswith("TDU")
    assert answer.values("//v:patient/v:id/@root") == [oid("REGION")]
    assert answer.values("//v:custodian/v:assignedEntity/v:id/@root") == [HOME]
    (quality,) = answer.values("//v:queryMatchObservation/v:value/@value")
    assert int(quality) >= 90
    assert answer.values("//v:queryByParameter/v:queryId/@extension") == ["Q1"]


def test_nobody_comes_near(fed):
    other = parameter("livingSubjectBirthTime", '<value value="20010101"/>')
    answer = fed.ask("ITI-55", discovery(GENDER, other, NAME))
    assert (answer.status, answer.ids, requested(answer)) == (("AA", "NF"), [], [])


def test_more_is_asked_for_where_several_come_near(fed):
    twin = PERSON.replace(">MARIE<", ">MARIA<").replace("42218", "42187").replace("12 RUE DU TEST", "9 QUAI NEUF")
    fed.ask("ITI-44", feed(ADD, ii(oid("GIER"), "GIER1"), twin.replace("LOUISE", "LAURE")))
    answer = fed.ask("ITI-55", discovery(GENDER, BORN, name_parameter("EXEMPLE")))
    assert (answer.status, answer.ids) == (("AA", "OK"), [])
    assert requested(answer) == [
        "PatientAddressRequested",
        "PatientTelecomRequested",
        "LivingSubjectBirthPlaceAddressRequested",
        "MothersMaidenNameRequested",
    ]
    assert set(answer.values("//v:detectedIssueManagement/v:code/@codeSystem")) == {"1.3.6.1.4.1.19376.1.2.27.1"}


def test_a_person_named_by_an_identifier_of_the_region(fed):
    by_site = fed.ask("ITI-55", discovery(parameter("livingSubjectId", ii(oid("ROANNE"), "ROANNE1", "value"))))
    assert (by_site.status, by_site.ids[0][:3]) == (("AA", "OK"), "TDU")
    by_region = fed.ask("ITI-55", discovery(parameter("livingSubjectId", ii(oid("REGION"), by_site.ids[0], "value"))))
    assert by_region.ids == by_site.ids
    unknown = fed.ask("ITI-55", discovery(parameter("livingSubjectId", ii("1.2.3.4", "1", "value"))))
    assert unknown.status == ("AA", "NF")


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (discovery(BORN), "101"),
        (discovery(NAME), "101"),
        (discovery(parameter("livingSubjectId", '<value root="1.2"/>')), "101"),
        (discovery(parameter("livingSubjectBirthTime", '<value value="x"/>'), NAME), "102"),
        (message("PRPA_IN201305UV02", ""), "101"),
    ],
)
def test_questions_that_cannot_be_read(desk, data, condition):
    answer = desk.ask("ITI-55", data)
    assert (answer.status, answer.conditions) == (("AE", "QE"), [condition])
    assert requested(answer) == ["InternalError"]


def deferred(*parameters, to="http://asker.example/xcpd"):
    """A question whose answer is wanted later, at an address."""
    respond = f'<respondTo typeCode="RSP"><telecom value="{to}"/></respondTo>' if to else ""
    data = discovery(*parameters, priority="D")
    return data.replace(b'<sender typeCode="SND">', respond.encode() + b'<sender typeCode="SND">')


def waiting(desk):
    with desk.engine.connect() as connection:
        return connection.execute(text("SELECT subject FROM outbox_event WHERE kind = 'discovery.deferred'")).all()


def test_a_deferred_question_is_acknowledged_and_waits(desk):
    answer = desk.ask("ITI-55", deferred(BORN, NAME))
    assert etree.QName(answer.root).localname == "MCCI_IN000002UV01"
    assert answer.status == ("AA", "")
    assert waiting(desk) == [("http://asker.example/xcpd",)]


@pytest.mark.parametrize("to", ["", "***REPLACEME***", "http://127.0.0.1:5432/"])
def test_a_deferred_question_needs_an_address_that_may_be_written_to(desk, to):
    listed = dataclasses.replace(desk.app, callbacks=CallbackRule(("http://asker.example",)))
    desk.pipeline = dataclasses.replace(desk.pipeline, applications={"mpi": listed})
    answer = desk.ask("ITI-55", deferred(BORN, NAME, to=to))
    assert etree.QName(answer.root).localname == "MCCI_IN000002UV01"
    assert (answer.status, answer.conditions) == (("AE", ""), ["NS250"])
    assert waiting(desk) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.Unavailable("x"), "ResponderBusy"),
        (errors.TooMany("x"), "AnswerNotAvailable"),
        (errors.IheError("x"), "InternalError"),
    ],
)
def test_reasons_of_failure(desk, error, reason):
    answer = read(desk.endpoints["ITI-55"].refuse(error, request(discovery(BORN, NAME))))
    assert requested(answer) == [reason]
    assert not SHARED.is_dir() or answer.faults(SHARED) == []


def test_a_region_without_community_id_answers_none(fed):
    fed.pipeline = dataclasses.replace(
        fed.pipeline, applications={"mpi": dataclasses.replace(fed.app, home_community_id=None)}
    )
    assert fed.ask("ITI-55", discovery(BORN, NAME)).status == ("AR", "AE")


def test_where_a_patient_is_known(fed):
    asked = f'<RequestedPatientId root="{oid("ROANNE")}" extension="ROANNE1"/>'
    answer = read(fed.run("ITI-56", location_query(asked))).root
    assert answer.xpath("string(//x:HomeCommunityId)", namespaces=XCPD) == f"urn:oid:{HOME}"
    assert answer.xpath("string(//x:CorrespondingPatientId/@root)", namespaces=XCPD) == oid("REGION")
    assert answer.xpath("string(//x:RequestedPatientId/@extension)", namespaces=XCPD) == "ROANNE1"
    if SHARED.is_dir():
        schema = etree.XMLSchema(etree.parse(str(SHARED / IPF / "main/resources/schema/IHE/XCPD_PLQ.xsd")))
        assert schema.validate(answer), schema.error_log


@pytest.mark.parametrize(
    "asked",
    [
        "",
        '<RequestedPatientId root="1.2.3" extension=""/>',
        '<RequestedPatientId root="x y" extension="1"/>',
        '<RequestedPatientId root="1.2.3.4" extension="1"/>',
        f'<RequestedPatientId root="{oid("ROANNE")}" extension="NOBODY"/>',
    ],
)
def test_location_queries_that_get_a_fault(fed, asked):
    reply = fed.run("ITI-56", location_query(asked))
    assert reply.fault is not None
    assert reply.fault.http_status == 400

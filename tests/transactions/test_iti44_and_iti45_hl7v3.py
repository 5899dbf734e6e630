"""ITI-44 and ITI-45 from bytes to bytes: every case of the profiles, every answer valid against the schemas."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ihe import errors
from ihe.caller import Caller
from tests.hl7v3_desk import SHARED, desk, oid
from tests.hl7v3_wire import PERSON, feed, ii, message, pix_query, read, request

__all__ = ["desk"]

ADD, REVISE, MERGE = (f"PRPA_IN20130{n}UV02" for n in (1, 2, 4))
PARAMETERS = "/PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList"


@pytest.fixture
def fed(desk):
    for code in ("CHUSE", "ROANNE", "ICL"):
        answer = desk.ask("ITI-44", feed(ADD, ii(oid(code), f"{code}1")))
        assert answer.status == ("AA", "")
    return desk


def pix(desk, code, value, *targets):
    return desk.ask("ITI-45", pix_query(ii(oid(code), value, "value"), [oid(t) for t in targets]))


def test_schemas_are_at_hand(shared_folder):
    assert shared_folder == SHARED


def test_identifiers_in_every_domain(fed):
    answer = pix(fed, "ROANNE", "ROANNE1")
    assert answer.status == ("AA", "OK")
    assert answer.ids[:2] == ["CHUSE1", "ICL1"]
    assert answer.ids[2].startswith("TDU")
    assert len(answer.ids) == 3
    assert answer.values("//v:queryByParameter/v:queryId/@extension") == ["Q1"]
    assert answer.values("//v:targetMessage/v:id/@extension") == ["M1"]
    assert answer.values("v:receiver/v:device/v:id/@root") == ["1.2.250.9.2"]


def test_identifiers_in_the_domains_asked_for(fed):
    assert pix(fed, "ROANNE", "ROANNE1", "CHUSE").ids == ["CHUSE1"]


def test_patient_without_identifier_in_the_domain_asked_for(fed):
    answer = pix(fed, "ROANNE", "ROANNE1", "ANNONAY")
    assert (answer.status, answer.ids, answer.conditions) == (("AA", "NF"), [], [])


def test_unknown_identifier(fed):
    answer = pix(fed, "ROANNE", "NOBODY")
    assert (answer.status, answer.conditions) == (("AE", "AE"), ["204"])
    assert answer.locations == [f"{PARAMETERS}/patientIdentifier[1]/value"]


def test_unknown_domain_of_the_identifier(fed):
    answer = fed.ask("ITI-45", pix_query(ii("1.2.3.4.5", "1", "value")))
    assert (answer.status, answer.conditions) == (("AE", "AE"), ["204"])
    assert answer.locations == [f"{PARAMETERS}/patientIdentifier[1]/value"]


def test_each_unknown_data_source_is_named(fed):
    targets = [oid("CHUSE"), "1.2.3.4.5", "1.2.3.4.6"]
    answer = fed.ask("ITI-45", pix_query(ii(oid("ROANNE"), "ROANNE1", "value"), targets))
    assert (answer.status, answer.conditions) == (("AE", "AE"), ["204", "204"])
    assert answer.locations == [f"{PARAMETERS}/dataSource[{n}]/value" for n in (2, 3)]
    assert len(answer.values("//v:queryByParameter//v:dataSource")) == 3


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (pix_query(""), "101"),
        (pix_query('<value root="1.2.3"/>'), "101"),
        (pix_query('<value nullFlavor="UNK"/>'), "101"),
        (pix_query('<value root="1.2.x" extension="1"/>'), "102"),
        (pix_query('<value root="1.2" extension="1"/>' * 2), "102"),
        (pix_query('<value root="1.2" extension="1"/>', [""]), "101"),
        (message("PRPA_IN201309UV02", ""), "101"),
        (message("PRPA_IN201309UV02", "<queryByParameter/>"), "101"),
        (message("PRPA_IN201309UV02", '<queryByParameter><queryId root="1.2"/></queryByParameter>'), "101"),
        (b'<PRPA_IN201309UV02 xmlns="urn:hl7-org:v3"/>', "101"),
        (b'<PRPA_IN201309UV02 xmlns="urn:hl7-org:v3"><id root="not an id"/></PRPA_IN201309UV02>', "101"),
    ],
)
def test_queries_that_cannot_be_read(desk, data, condition):
    answer = desk.ask("ITI-45", data)
    assert (answer.status, answer.conditions) == (("AE", "QE"), [condition])
    assert answer.locations[0].startswith("/PRPA_IN201309UV02/")


def test_revised_patient_is_another_person(fed):
    other = PERSON.replace("EXEMPLE", "MODELE").replace("19480317", "19810502").replace("MARIE", "CLAIRE")
    assert fed.ask("ITI-44", feed(REVISE, ii(oid("CHUSE"), "CHUSE1"), other)).status == ("AA", "")
    assert pix(fed, "ROANNE", "ROANNE1", "CHUSE").status == ("AA", "NF")


def test_merged_patient(fed):
    merged = feed(MERGE, ii(oid("CHUSE"), "CHUSE2"), replaced=ii(oid("CHUSE"), "CHUSE1"), after="")
    assert fed.ask("ITI-44", merged).status == ("AA", "")
    assert pix(fed, "ROANNE", "ROANNE1", "CHUSE").ids == ["CHUSE2"]
    assert pix(fed, "CHUSE", "CHUSE1").conditions == ["204"]
    assert fed.ask("ITI-44", merged).status == ("AA", "")
    third = feed(MERGE, ii(oid("CHUSE"), "CHUSE3"), replaced=ii(oid("CHUSE"), "CHUSE1"), after="")
    answer = fed.ask("ITI-44", third)
    assert (answer.status, answer.conditions) == (("AE", ""), ["205"])
    assert answer.locations[0].endswith("priorRegistration/subject1/priorRegisteredRole/id")


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (feed(ADD, ii("1.2.3.4", "1")), "204"),
        (feed(ADD, ii(oid("REGION"), "TDU0000000001")), "204"),
        (feed(ADD, '<id root="1.2.3"/>'), "101"),
        (feed(ADD, '<id root="1.2.x" extension="1"/>'), "102"),
        (feed(ADD, ii(oid("CHUSE"), "1"), PERSON.replace("19480317", "19481332")), "102"),
        (feed(ADD, ii(oid("CHUSE"), "1"), PERSON.replace('code="F"', 'code="X"')), "102"),
        (feed(ADD, ii(oid("CHUSE"), "1"), again='<subject typeCode="SUBJ"><registrationEvent/></subject>'), "102"),
        (feed(MERGE, ii(oid("CHUSE"), "1"), after=""), "101"),
        (feed(MERGE, ii(oid("CHUSE"), "1"), replaced='<id root="1.2"/>', after=""), "101"),
        (feed(MERGE, ii(oid("CHUSE"), "1"), replaced=ii(oid("CHUSE"), "1"), after=""), "102"),
        (feed(MERGE, ii(oid("CHUSE"), "1"), replaced=ii(oid("ICL"), "1"), after=""), "204"),
        (message(ADD, ""), "101"),
        (b'<PRPA_IN201301UV02 xmlns="urn:hl7-org:v3"/>', "101"),
    ],
)
def test_feeds_that_are_refused_change_nothing(desk, data, condition):
    answer = desk.ask("ITI-44", data)
    assert (answer.status, answer.conditions) == (("AE", ""), [condition])
    assert answer.locations[0].startswith("/PRPA_IN20130")
    with desk.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM record")).scalar() == 0


def test_a_site_that_feeds_anothers_domain_gets_a_fault(desk):
    reply = desk.run("ITI-44", feed(ADD, ii(oid("CHUSE"), "1")), Caller("node", site="ICL"))
    assert reply.fault is not None
    assert reply.fault.http_status == 400


def test_unavailable_service_may_be_asked_again(desk):
    refused = read(desk.endpoints["ITI-45"].refuse(errors.Unavailable("later"), request(pix_query(""))))
    assert (refused.status, refused.conditions) == (("AR", "AE"), ["206"])

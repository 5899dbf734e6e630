"""ITI-47 from bytes to bytes: every parameter, refusal and page; every answer valid against the published schemas."""

from __future__ import annotations

import pytest

from ihe.caller import Caller
from tests.hl7v3_desk import desk, oid
from tests.hl7v3_wire import (
    PERSON,
    continuation,
    demographics_query,
    feed,
    ii,
    message,
    name_parameter,
    parameter,
)

__all__ = ["desk"]

ADD = "PRPA_IN201301UV02"
CANCEL = "QUQI_IN000003UV01_Cancel"
BORN = parameter("livingSubjectBirthTime", '<value value="19480317"/>')
NAME = name_parameter("EXEMPLE")
TWIN = """<name use="L"><family qualifier="BR">MODÈLE-TEST</family><family qualifier="SP">ESSAI</family>
    <given qualifier="BR">JEANNE</given><given>ALICE</given></name><telecom value="tel:+33 6 39 98 00 01" use="MC"/>
    <administrativeGenderCode code="F"/><birthTime value="19810502"/><multipleBirthInd value="true"/>
    <multipleBirthOrderNumber value="2"/><addr><streetAddressLine>3 rue de l'Épreuve</streetAddressLine>
    <city>Roanne</city><postalCode>42300</postalCode></addr><personalRelationship classCode="PRS"><code code="MTH"/>
    <relationshipHolder1 classCode="PSN" determinerCode="INSTANCE"><name><family>FICTIF</family></name>
    </relationshipHolder1></personalRelationship>"""


def scope(*oids):
    return "".join(parameter("otherIDsScopingOrganization", f'<value root="{each}"/>') for each in oids)


@pytest.fixture
def fed(desk):
    for code in ("CHUSE", "ROANNE", "ICL"):
        desk.ask("ITI-44", feed(ADD, ii(oid(code), f"{code}1")))
    desk.ask("ITI-44", feed(ADD, ii(oid("CHUSE"), "CHUSE9"), TWIN))
    return desk


def firsts(answer):
    """The first identifier of each patient."""
    return answer.values("//v:patient/v:id[1]/@extension")


def test_patients_by_name_and_birth_date(fed):
    answer = fed.ask("ITI-47", demographics_query(BORN, NAME))
    assert answer.status == ("AA", "OK")
    assert firsts(answer) == ["CHUSE1", "ICL1", "ROANNE1"]
    assert answer.values("//v:resultTotalQuantity/@value") == ["3"]
    assert answer.values("//v:resultRemainingQuantity/@value") == ["0"]
    assert answer.values("//v:queryMatchObservation/v:value/@value") == ["100"] * 3
    assert answer.values("//v:queryByParameter//v:livingSubjectName/v:value/v:family/text()") == ["EXEMPLE"]
    first = "//v:subject[1]//v:patientPerson"
    assert answer.values(f"{first}/v:name/v:given/text()") == ["MARIE", "LOUISE"]
    assert answer.values(f"{first}/v:birthTime/@value") == ["19480317"]
    assert answer.values(f"{first}/v:birthPlace/v:addr/v:county/text()") == ["42218"]
    assert answer.values("//v:subject[1]//v:administrativeObservation/v:value/@code") == ["VALI"]


@pytest.mark.parametrize(
    "asked",
    [
        [name_parameter("modele test", "jeanne")],
        [name_parameter("ESSAI")],
        [name_parameter("MOD", use="SRCH")],
        [name_parameter("MOD*")],
        [name_parameter("ESSAI", "*")],
        [parameter("livingSubjectBirthTime", '<value value="1981"/>')],
        [parameter("livingSubjectBirthTime", '<value><low value="19810502"/><high value="19810502"/></value>')],
        [parameter("livingSubjectAdministrativeGender", '<value code="F"/>'), name_parameter("ESSAI")],
        [parameter("livingSubjectId", ii(oid("CHUSE"), "CHUSE9", "value"))],
        [name_parameter("ESSAI"), parameter("mothersMaidenName", "<value><family>Fictif</family></value>")],
        [name_parameter("ESSAI"), parameter("patientAddress", "<value><city>ROANNE</city></value>")],
        [
            name_parameter("ESSAI"),
            parameter(
                "patientAddress",
                "<value><streetAddressLine>3 RUE DE</streetAddressLine><postalCode>42300</postalCode></value>",
            ),
        ],
        [parameter("patientTelecom", '<value value="tel:0639980001"/>')],
    ],
)
def test_each_parameter_finds_the_one_patient(fed, asked):
    answer = fed.ask("ITI-47", demographics_query(*asked))
    assert (answer.status, firsts(answer)) == (("AA", "OK"), ["CHUSE9"])


def test_answer_says_all_it_knows(fed):
    answer = fed.ask("ITI-47", demographics_query(name_parameter("ESSAI")))
    person = "//v:patientPerson"
    assert answer.values(f"{person}/v:name/v:family[@qualifier='BR']/text()") == ["MODÈLE-TEST"]
    assert answer.values(f"{person}/v:name/v:family[@qualifier='SP']/text()") == ["ESSAI"]
    assert answer.values(f"{person}/v:multipleBirthOrderNumber/@value") == ["2"]
    assert answer.values(f"{person}/v:personalRelationship//v:family/text()") == ["FICTIF"]
    assert answer.values(f"{person}/v:telecom/@value") == ["tel:+33 6 39 98 00 01"]


def test_first_letters_fit_less_well(fed):
    answer = fed.ask("ITI-47", demographics_query(name_parameter("MODELE", "JEA", use="SRCH")))
    (quality,) = answer.values("//v:queryMatchObservation/v:value/@value")
    assert 50 <= int(quality) < 100


def test_names_like_those_asked_for(fed):
    def asked(family, **wanted):
        answer = fed.ask("ITI-47", demographics_query(name_parameter(family, "jeane"), **wanted))
        return answer, firsts(answer), [int(q) for q in answer.values("//v:queryMatchObservation/v:value/@value")]

    assert asked("ESSET")[1] == asked("ESSET", algorithm="Vendor's own")[1] == []
    answer, found, (quality,) = asked("ESSET", algorithm="Phonetic", degree=50)
    assert found == ["CHUSE9"]
    assert 75 <= quality < 100
    assert answer.values("//v:queryByParameter//v:matchAlgorithm/v:value/text()") == ["Phonetic"]
    assert asked("ESSET", algorithm="PHONETIC", degree=quality + 1)[1] == []
    assert asked("ESSIA", algorithm="PHONETIC")[1] == []
    assert asked("ESSIA", algorithm="FUZZY")[1] == ["CHUSE9"]


def test_a_degree_bounds_first_letters_too(fed):
    asked = [name_parameter("MODELE", "JEA", use="SRCH")]
    assert firsts(fed.ask("ITI-47", demographics_query(*asked, degree=50))) == ["CHUSE9"]
    assert firsts(fed.ask("ITI-47", demographics_query(*asked, degree=100))) == []


@pytest.mark.parametrize(
    "asked",
    [
        [name_parameter("PERSONNE")],
        [name_parameter("EXEMPL")],
        [parameter("livingSubjectId", ii("1.2.3.4", "1", "value"))],
        [NAME, parameter("livingSubjectAdministrativeGender", '<value code="M"/>')],
        [BORN, scope(oid("ANNONAY"))],
    ],
)
def test_nobody_is_found(fed, asked):
    answer = fed.ask("ITI-47", demographics_query(*sorted(asked, key=lambda p: p.split(">")[0])))
    assert (answer.status, answer.ids) == (("AA", "NF"), [])


def test_only_of_the_domains_asked_for(fed):
    answer = fed.ask("ITI-47", demographics_query(BORN, scope(oid("ROANNE"))))
    assert answer.ids == ["ROANNE1"]


def test_each_unknown_domain_is_named(fed):
    answer = fed.ask("ITI-47", demographics_query(BORN, scope("1.2.3.4", oid("ROANNE"), "1.2.3.5")))
    assert (answer.status, answer.conditions) == (("AE", "AE"), ["204", "204"])
    assert [place.rpartition("parameterList/")[2] for place in answer.locations] == [
        f"otherIDsScopingOrganization[{n}]/value" for n in (1, 3)
    ]


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (demographics_query(), "101"),
        (demographics_query(scope(oid("CHUSE"))), "101"),
        (demographics_query(parameter("livingSubjectAdministrativeGender", '<value code="F"/>')), "101"),
        (demographics_query(parameter("livingSubjectAdministrativeGender", '<value code="Q"/>'), NAME), "102"),
        (demographics_query(parameter("livingSubjectBirthTime", '<value value="1948-3"/>')), "102"),
        (demographics_query(parameter("livingSubjectBirthTime", '<value><low value="1948"/></value>')), "102"),
        (demographics_query(parameter("livingSubjectId", '<value root="1.2.3"/>')), "101"),
        (demographics_query(parameter("livingSubjectId", '<value root="x y" extension="1"/>')), "102"),
        (demographics_query(name_parameter()), "102"),
        (demographics_query(name_parameter("A*B")), "102"),
        (demographics_query(name_parameter("...")), "102"),
        (demographics_query(NAME, parameter("patientTelecom", '<value value="tel:"/>')), "102"),
        (demographics_query(NAME, parameter("patientAddress", "<value><state>IL</state></value>")), "102"),
        (demographics_query(parameter("livingSubjectDeceasedTime", '<value value="2020"/>'), NAME), "102"),
        (demographics_query(NAME, parameter("principalCareProviderId", ii("1.2", "1", "value"))), "102"),
        (demographics_query(NAME, quantity=0), "102"),
        (demographics_query(NAME, quantity="many"), "102"),
        (demographics_query(NAME, degree="most"), "102"),
        (demographics_query(NAME, degree=101), "102"),
        (message("PRPA_IN201305UV02", ""), "101"),
        (continuation(query_id="UNHEARD"), "102"),
        (continuation(start=0), "102"),
        (message("QUQI_IN000003UV01", ""), "101"),
    ],
)
def test_queries_that_are_refused(fed, data, condition):
    answer = fed.ask("ITI-47", data)
    assert (answer.status, answer.conditions) == (("AE", "QE"), [condition])
    assert answer.locations == [] or answer.locations[0].startswith("/")


def test_too_many_for_one_answer(fed):
    fed.app = fed.app.__class__(fed.app.domains, fed.app.model, fed.app.policy, answer_limit=2)
    fed.pipeline = fed.pipeline.__class__(fed.database, {"mpi": fed.app})
    answer = fed.ask("ITI-47", demographics_query(BORN, NAME))
    assert (answer.status, answer.conditions) == (("AE", "QE"), ["207"])
    assert firsts(fed.ask("ITI-47", demographics_query(BORN, NAME, quantity=2))) == ["CHUSE1", "ICL1"]


def test_pages_over_a_snapshot(fed):
    answer = fed.ask("ITI-47", demographics_query(BORN, scope(oid("CHUSE"), oid("ICL"), oid("ROANNE")), quantity=1))
    assert firsts(answer) == ["CHUSE1"]
    assert answer.values("//v:queryAck/v:statusCode/@code") == ["waitContinuedQueryResponse"]
    assert answer.values("//v:queryAck/*[@value]/@value") == ["3", "1", "2"]
    moved = PERSON.replace("19480317", "19490317")
    fed.ask("ITI-44", feed("PRPA_IN201302UV02", ii(oid("ROANNE"), "ROANNE1"), moved))
    fed.ask("ITI-44", feed(ADD, ii(oid("GIER"), "GIER1")))
    second = fed.ask("ITI-47", continuation(quantity=1))
    assert (second.status, firsts(second)) == (("AA", "OK"), ["ICL1"])
    assert second.values("//v:queryByParameter/v:queryId/@extension") == ["Q1"]
    assert not any(value.startswith("TDU") for value in second.ids), "the restriction to domains holds on every page"
    third = fed.ask("ITI-47", continuation())
    assert firsts(third) == ["ROANNE1"]
    assert third.values("//v:queryAck/*[@value]/@value") == ["3", "1", "0"]
    assert fed.ask("ITI-47", continuation()).conditions == ["102"]
    assert firsts(fed.ask("ITI-47", continuation(start=2))) == ["ICL1", "ROANNE1"]
    assert fed.ask("ITI-47", continuation(start=4)).conditions == ["102"]


def test_only_the_asker_continues_and_cancels(fed):
    fed.ask("ITI-47", demographics_query(BORN, quantity=1))
    other = Caller("elsewhere")
    assert fed.ask("ITI-47", continuation(), other).conditions == ["102"]
    assert fed.ask("ITI-47", continuation(CANCEL), other).status == ("AA", "")
    assert fed.ask("ITI-47", continuation()).status == ("AA", "OK")
    assert fed.ask("ITI-47", continuation(CANCEL)).status == ("AA", "")
    assert fed.ask("ITI-47", continuation(start=1)).conditions == ["102"]


def test_a_cancellation_that_names_no_query(desk):
    answer = desk.ask("ITI-47", message(CANCEL, ""))
    assert (answer.status, answer.conditions) == (("AE", ""), ["101"])

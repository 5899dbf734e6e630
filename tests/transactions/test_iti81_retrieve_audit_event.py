"""ITI-81: the trail by FHIR search, bounded by date, page by page, and audited itself."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle

from tests.fhir_wire import wire_over


@pytest.fixture(scope="module")
def fhir(module_database_url, tmp_path_factory):
    wire = wire_over(module_database_url, tmp_path_factory.mktemp("documents"))
    for number in range(3):
        assert wire.feed("CHUSE", f"C{number}").status_code in (200, 201)
    assert wire.get("Patient/$ihe-pix", sourceIdentifier=wire.token("CHUSE", "C1")).status_code == 200
    assert wire.get("Patient/$ihe-pix", sourceIdentifier=wire.token("CHUSE", "C404")).status_code == 404
    yield wire
    wire.service.close()


def found(fhir, **parameters):
    answer = fhir.get("AuditEvent", date="ge2020-01-01", **parameters)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    Bundle.model_validate(content)
    return [each["resource"] for each in content.get("entry", ())]


def number_of(resource):
    return next(each["code"] for each in resource["subtype"] if each["system"] == "urn:ihe:event-type-code")


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"subtype": "ITI-104"}, 3),
        ({"subtype": "urn:ihe:event-type-code|ITI-83"}, 2),
        ({"subtype": "ITI-83", "outcome": "0"}, 1),
        ({"subtype": "ITI-83", "outcome": "4"}, 1),
        ({"subtype": "ITI-104,ITI-83"}, 5),
        ({"type": "http://dicom.nema.org/resources/ontology/DCM|110110", "action": "C"}, 3),
        ({"agent": "nobody"}, 0),
        ({"address": "unheard.test"}, 0),
        ({"subtype": "ITI-104", "entity": "TOKEN"}, 1),
        ({"patient.identifier": "TOKEN", "subtype": "ITI-104"}, 1),
    ],
)
def test_each_parameter_narrows(fhir, parameters, count):
    asked = {name: value.replace("TOKEN", fhir.token("CHUSE", "C1")) for name, value in parameters.items()}
    resources = found(fhir, **asked)
    assert len(resources) == count
    for resource in resources:
        AuditEvent.model_validate(resource)


@pytest.mark.parametrize(
    ("dates", "is_there"),
    [
        (["ge2020-01-01", "lt2021-01-01"], False),
        (["2020"], False),
        (["2020-05"], False),
        (["gt2020-01-01T10:00:00+01:00"], True),
        (["le2020-01-01T10:00:00.123Z"], False),
        (["sa2020"], True),
    ],
)
def test_a_date_is_as_precise_as_it_is_written(fhir, dates, is_there):
    answer = fhir.client.get("/fhir/AuditEvent", params=[("date", each) for each in dates])
    assert answer.status_code == 200, answer.text
    assert ("entry" in answer.json()) is is_there


def test_pages_follow_each_other_without_a_gap(fhir):
    whole = [each["id"] for each in found(fhir, subtype="ITI-104,ITI-83")]
    paged, url = [], "/fhir/AuditEvent?date=ge2020-01-01&subtype=ITI-104,ITI-83&_count=2"
    while url:
        content = fhir.client.get(url).json()
        paged += [each["resource"]["id"] for each in content["entry"]]
        assert len(content["entry"]) <= 2
        links = {each["relation"]: each["url"] for each in content["link"]}
        url = links.get("next", "").partition("/fhir")[2] and "/fhir" + links["next"].partition("/fhir")[2]
    assert paged == whole
    assert len(set(paged)) == 5


def test_one_event_is_read_and_reading_the_trail_is_in_the_trail(fhir):
    (resource, *_) = found(fhir, subtype="ITI-83")
    read = fhir.get(f"AuditEvent/{resource['id']}")
    assert read.json() == resource
    assert fhir.get("AuditEvent/999999").status_code == 404
    assert fhir.get("AuditEvent/x").status_code == 404
    looked = found(fhir, subtype="ITI-81")
    assert looked[0]["type"]["code"] == "rest"
    assert {number_of(each) for each in looked} == {"ITI-81"}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"date": "yesterday"},
        {"date": "zz2020-01-01"},
        {"date": "ge2020-01-01", "unheard": "1"},
        {"date": "ge2020-01-01", "patient.identifier": "no oid|1"},
        {"date": "ge2020-01-01", "type": "other|110110"},
        {"date": "ge2020-01-01", "outcome": "fine"},
        {"date": "ge2020-01-01", "_count": "many"},
    ],
)
def test_what_cannot_be_asked_gets_an_outcome(fhir, parameters):
    answer = fhir.get("AuditEvent", **parameters)
    assert answer.status_code == 400, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"

"""ITI-83 and ITI-119: cross-references and matches over FHIR, and each refusal of the profiles."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.parameters import Parameters

from tests.fhir_wire import local_id, patient, wire_over


@pytest.fixture(scope="module")
def fhir(module_database_url, tmp_path_factory):
    """C1 and R1 are one person; I1 is another, and H1 a hidden third."""
    wire = wire_over(module_database_url, tmp_path_factory.mktemp("documents"))
    wire.feed("CHUSE", "C1")
    wire.feed("ROANNE", "R1")
    wire.feed("ICL", "I1", family="MODELE", given="PAULE", birth="1971-11-02")
    hidden = patient(wire.oid("ICL"), "H1", family="TEMOIN", given="ANDRE", birth="1950-05-05")
    comment = {"url": "comment", "valueCodeableConcept": {"coding": [{"code": "CACH"}]}}
    hidden["extension"][0]["extension"].append(comment)
    wire.feed("ICL", "H1", family="TEMOIN", given="ANDRE", birth="1950-05-05", extension=hidden["extension"])
    yield wire
    wire.service.close()


def outcome(answer, status):
    assert answer.status_code == status, answer.text
    return OperationOutcome.model_validate(answer.json()).issue[0]


def identifiers(answer):
    assert answer.status_code == 200, answer.text
    Parameters.model_validate(answer.json())
    found = answer.json().get("parameter", [])
    return [p["valueIdentifier"]["value"] for p in found if p["name"] == "targetIdentifier"]


def test_all_other_identifiers_without_the_one_asked_with(fhir):
    found = identifiers(fhir.get("Patient/$ihe-pix", sourceIdentifier=fhir.token("CHUSE", "C1")))
    assert found[0] == "R1"
    assert [value[:3] for value in found[1:]] == ["TDU"]


def test_target_systems_restrict(fhir):
    asked = {"sourceIdentifier": fhir.token("CHUSE", "C1")}
    roanne, icl = f"urn:oid:{fhir.oid('ROANNE')}", f"urn:oid:{fhir.oid('ICL')}"
    assert identifiers(fhir.get("Patient/$ihe-pix", targetSystem=roanne, **asked)) == ["R1"]
    assert identifiers(fhir.get("Patient/$ihe-pix", targetSystem=[icl, roanne], **asked)) == ["R1"]
    empty = fhir.get("Patient/$ihe-pix", targetSystem=icl, **asked)
    assert (identifiers(empty), "parameter" in empty.json()) == ([], False)


@pytest.mark.parametrize("how", ["valueString", "valueIdentifier"])
def test_the_question_may_be_posted(fhir, how):
    system, value = f"urn:oid:{fhir.oid('CHUSE')}", "C1"
    stated = f"{system}|{value}" if how == "valueString" else {"system": system, "value": value}
    body = {"resourceType": "Parameters", "parameter": [{"name": "sourceIdentifier", how: stated}]}
    assert identifiers(fhir.client.post("/fhir/Patient/$ihe-pix", json=body))[0] == "R1"


def test_target_ids_are_readable(fhir):
    answer = fhir.get("Patient/$ihe-pix", sourceIdentifier=fhir.token("CHUSE", "C1")).json()
    (reference,) = [p["valueReference"]["reference"] for p in answer["parameter"] if p["name"] == "targetId"]
    assert local_id(fhir.get(reference).json()) == "R1"


def test_each_refusal_of_pixm(fhir):
    def ask(**parameters):
        return fhir.get("Patient/$ihe-pix", **parameters)

    known = fhir.token("CHUSE", "C1")
    unknown = outcome(ask(sourceIdentifier=fhir.token("CHUSE", "X")), 404)
    assert (unknown.code, unknown.diagnostics) == ("not-found", "sourceIdentifier Patient Identifier not found")
    domain = outcome(ask(sourceIdentifier="urn:oid:1.2.3|X"), 400)
    assert domain.diagnostics == "sourceIdentifier Assigning Authority not found"
    target = outcome(ask(sourceIdentifier=known, targetSystem="urn:oid:1.2.3"), 403)
    assert target.diagnostics == "targetSystem not found"
    assert outcome(ask(), 400).code == "required"
    assert outcome(ask(sourceIdentifier="C1"), 400).code == "invalid"
    assert outcome(ask(sourceIdentifier=[known, known]), 400).code == "invalid"
    assert outcome(ask(sourceIdentifier=known, _format="html"), 406).code == "not-supported"
    assert outcome(fhir.client.post("/fhir/Patient/$ihe-pix", content=b"{"), 400).code == "structure"


def match(fhir, described, **options):
    parameters = [{"name": "resource", "resource": described}]
    parameters += [{"name": n, ("valueInteger" if n == "count" else "valueBoolean"): v} for n, v in options.items()]
    body = {"resourceType": "Parameters", "parameter": parameters}
    return fhir.client.post("/fhir/Patient/$match", json=body)


def candidates(answer):
    assert answer.status_code == 200, answer.text
    bundle = Bundle.model_validate(answer.json())
    assert bundle.type == "searchset"
    scores = [float(e.search.score) for e in bundle.entry or ()]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    entries = answer.json().get("entry", [])
    return [(local_id(e["resource"]), e["search"]["extension"][0]["valueCode"]) for e in entries]


def described(**traits):
    found = patient("1.2.3", "x", **traits)
    del found["identifier"]
    return found


def test_match_grades_and_counts(fhir):
    assert candidates(match(fhir, described())) == [("C1", "certain"), ("R1", "certain")]
    assert len(candidates(match(fhir, described(), count=1))) == 1
    assert candidates(match(fhir, described(), onlyCertainMatches=True)) == [("C1", "certain"), ("R1", "certain")]


def test_match_finds_nobody_where_nobody_is(fhir):
    answer = match(fhir, described(family="PERSONNE", given="ZOE", birth="2001-01-01", place="69123"))
    assert candidates(answer) == []
    assert answer.json()["total"] == 0


def test_match_never_shows_hidden_identities(fhir):
    assert candidates(match(fhir, described(family="TEMOIN", given="ANDRE", birth="1950-05-05"))) == []


def test_each_refusal_of_match(fhir):
    def post(content):
        return fhir.client.post("/fhir/Patient/$match", json=content)

    assert outcome(post({"resourceType": "Parameters"}), 400).code == "required"
    assert outcome(post({"resourceType": "Patient"}), 400).code == "structure"
    for unfit in ("Organization", "Patieeent", 7):
        assert outcome(match(fhir, {"resourceType": unfit}), 400).code == "structure"
    assert outcome(match(fhir, {"resourceType": "HumanName"}), 400).code == "invalid"
    assert outcome(match(fhir, described(birth="1948-02-31")), 400).code == "invalid"
    assert outcome(match(fhir, described(), count=0), 400).code == "invalid"

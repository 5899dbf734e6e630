"""ITI-78: search and read of Patient over FHIR, by every parameter, with every refusal of the profile."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.patient import Patient

from tests.fhir_wire import local_id, wire_over


@pytest.fixture(scope="module")
def fhir(module_database_url, tmp_path_factory):
    """Five patients: C1 and R1 are one person."""
    wire = wire_over(module_database_url, tmp_path_factory.mktemp("documents"))
    wire.feed("CHUSE", "C1", family="ÉXEMPLE-DURAND", given="MARIE-ÈVE|ANNE", birth="1948-03-17")
    wire.feed("ROANNE", "R1", family="EXEMPLE DURAND", given="MARIE EVE", birth="1948-03-17")
    reached = [{"system": "phone", "value": "0477000042"}, {"system": "email", "value": "paul@example.org"}]
    mother = {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "LÉGER"}
    home = [{"line": ["1 RUE DES ESSAIS"], "city": "ROANNE", "postalCode": "42300"}]
    wire.feed(
        "ROANNE", "R2", family="MODELE", given="PAUL", gender="male", birth="1971-11-02", address=home, telecom=reached
    )
    wire.feed("ICL", "I1", family="MODELET", given="Paule", birth="1971-11", status="PROV")
    wire.feed("ICL", "I2", family="TEMOIN", given="ANDRE", gender="male", birth="1990", extension=[mother])
    yield wire
    wire.service.close()


def outcome(answer, status):
    assert answer.status_code == status, answer.text
    return OperationOutcome.model_validate(answer.json()).issue[0]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"family": "exemple"}, ["C1", "R1"]),
        ({"family": "durand"}, ["C1", "R1"]),
        ({"family": "mod"}, ["I1", "R2"]),
        ({"family": "modele,temoin"}, ["I1", "R2", "I2"]),
        ({"family": ["exemple", "durand"]}, ["C1", "R1"]),
        ({"family": ["exemple", "temoin"]}, []),
        ({"family": "mod", "given": "paule"}, ["I1"]),
        ({"family": "mod", "given": "paule,andre"}, ["I1"]),
        ({"family__exact": "MODELE"}, ["R2"]),
        ({"family__exact": "Modele"}, []),
        ({"family__exact": "EXEMPLE DURAND"}, ["R1"]),
        ({"family__exact": "DURAND"}, []),
        ({"given__exact": "ANNE"}, ["C1"]),
        ({"family__contains": "ODELE", "birthdate": "1971"}, ["I1", "R2"]),
        ({"family__phonetic": "eksample"}, []),
        ({"family__phonetic": "aixemple"}, ["C1", "R1"]),
        ({"phonetic": "pol"}, ["I1", "R2"]),
        ({"phonetic": ["pol", "modele"]}, ["R2", "I1"]),
        ({"given__fuzzy": "anrde", "birthdate": "1990"}, ["I2"]),
        ({"name__fuzzy": "demoin", "birthdate": "1990"}, []),
        ({"family__fuzzy": "modèles"}, ["I1", "R2"]),
        ({"family__fuzzy": "NODELE", "birthdate": "1971-11-02"}, ["R2"]),
        ({"name": "paule"}, ["I1"]),
        ({"name": "modele"}, ["I1", "R2"]),
        ({"birthdate": "1971-11-02"}, ["R2"]),
        ({"birthdate": "1971-11"}, ["I1", "R2"]),
        ({"birthdate": "eq1990"}, ["I2"]),
        ({"birthdate": ["ge1971-11-02", "lt1990"]}, ["I1", "R2"]),
        ({"birthdate": ["gt1971-11-02", "lt1990"]}, ["I1"]),
        ({"birthdate": "le1948"}, ["C1", "R1"]),
        ({"birthdate": "lt1948-03-17"}, []),
        ({"birthdate": "sa1971-11-02"}, ["I2"]),
        ({"birthdate": "eb1971-11-02"}, ["C1", "R1"]),
        ({"birthdate": "1948-03-17,1990"}, ["C1", "R1", "I2"]),
        ({"birthdate": ["ne1948-03-17", "le1971-12-31"]}, ["I1", "R2"]),
        ({"birthdate": "ap1989"}, ["I2"]),
        ({"family": "mod", "gender": "male"}, ["R2"]),
        ({"family": "mod", "gender": "male,female"}, ["I1", "R2"]),
        ({"family": "mod", "active": "true"}, ["I1", "R2"]),
        ({"family": "mod", "active": "false"}, []),
        ({"family": "mod", "address-city": "Roanne"}, ["R2"]),
        ({"family": "mod", "address-postalcode": "42300"}, ["R2"]),
        ({"family": "mod", "address-country": "FR"}, []),
        ({"family": "mod", "address": "1 rue"}, ["R2"]),
        ({"family": "mod", "address__contains": "essais"}, ["R2"]),
        ({"family": "mod", "address-city__exact": "Roanne"}, []),
        ({"family": "mod", "address": ["roanne", "rue"]}, []),
        ({"family": "mod", "address-city": "rennes,roanne", "address": "423"}, ["R2"]),
        ({"family": "temoin", "mothersMaidenName": "leger"}, ["I2"]),
        ({"family": "mod", "mothersMaidenName": "leger"}, []),
        ({"telecom": "04 77 00 00 42"}, ["R2"]),
        ({"phone": "+33477000042"}, ["R2"]),
        ({"family": "mod", "telecom": "email|Paul@example.org"}, ["R2"]),
        ({"family": "mod", "telecom": "fax|0477000042"}, []),
        ({"family": "mod", "given": ""}, ["I1", "R2"]),
        ({"family": "personne"}, []),
    ],
)
def test_search_finds_just_what_is_asked(fhir, parameters, expected):
    assert fhir.found(**parameters) == expected


def test_identifiers_select_and_restrict(fhir):
    chuse, roanne = fhir.token("CHUSE", "C1"), fhir.token("ROANNE", "R2")
    assert fhir.found(identifier=chuse) == ["C1"]
    assert fhir.found(identifier=f"{chuse},{roanne}") == ["C1", "R2"]
    assert fhir.found(identifier=[chuse, roanne]) == []
    assert fhir.found(family="exemple", identifier=fhir.token("ROANNE", "")) == ["R1"]
    (entry,) = fhir.get("Patient", identifier=chuse).json()["entry"]
    (rid,) = [i for i in entry["resource"]["identifier"] if i["use"] == "secondary"]
    restricted = fhir.get("Patient", family="exemple", identifier=f"{rid['system']}|").json()["entry"]
    assert [e["resource"]["identifier"] for e in restricted] == [[rid], [rid]]
    assert fhir.found(identifier=f"{rid['system']}|{rid['value']}") == ["C1", "R1"]
    assert fhir.found(identifier="urn:oid:1.2.3|x") == []
    assert fhir.found(identifier="http://elsewhere.example|x") == []


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"family": "mod", "identifier": "urn:oid:1.2.3|"}, 404, "not-found"),
        ({"family": "mod", "identifier": "http://elsewhere.example|"}, 404, "not-found"),
        ({"identifier": "C1"}, 400, "invalid"),
        ({"birthdate": "17/03/1948"}, 400, "invalid"),
        ({"birthdate": "1948-02-31"}, 400, "invalid"),
        ({"gender": "neither"}, 400, "invalid"),
        ({"family": "mod", "_count": "ten"}, 400, "invalid"),
        ({"family": "mod", "_summary": "most"}, 400, "invalid"),
        ({"family": "mod", "_total": "roughly"}, 400, "invalid"),
        ({"family": "mod", "favourite-colour": "blue"}, 400, "invalid"),
        ({"family__sounds": "mod"}, 400, "invalid"),
        ({"family": "--"}, 400, "invalid"),
        ({"gender": "male"}, 400, "required"),
        ({"family__contains": "ODELE"}, 400, "required"),
        ({}, 400, "required"),
        ({"family": "mod", "_format": "html"}, 406, "not-supported"),
    ],
)
def test_refusals_say_why(fhir, parameters, status, code):
    assert outcome(fhir.get("Patient", **parameters), status).code == code


def test_unknown_parameters_are_told_when_left_out(fhir):
    answer = fhir.get("Patient", {"Prefer": "handling=lenient"}, family="mod", colour="blue").json()
    bundle = Bundle.model_validate(answer)
    assert [entry.search.mode for entry in bundle.entry] == ["match", "match", "outcome"]
    assert bundle.total == 2
    assert "colour" not in bundle.link[0].url
    assert outcome(fhir.get("Patient", {"Prefer": "handling=strict"}, family="mod", colour="blue"), 400)


def test_pages_join_to_the_whole(fhir):
    whole = fhir.found(birthdate="ge1900")
    answer = fhir.get("Patient", birthdate="ge1900", _count=2).json()
    assert answer["total"] == 5
    found = []
    for _ in range(5):
        found += [local_id(entry["resource"]) for entry in answer.get("entry", [])]
        following = [link["url"] for link in answer["link"] if link["relation"] == "next"]
        if not following:
            break
        answer = fhir.client.get(following[0]).json()
    assert found == whole == ["C1", "R1", "I1", "R2", "I2"]
    assert outcome(fhir.get("Patient", _page="0123.2"), 400).code == "invalid"


def test_pages_do_not_move_when_somebody_is_fed_meanwhile(database_url, tmp_path):
    wire = wire_over(database_url, tmp_path)
    for number in range(4):
        wire.feed("CHUSE", f"C{number}", family="SERIE", given="ABCD"[number], birth=f"1950-01-0{number + 2}")
    first = wire.get("Patient", family="serie", _count=2).json()
    wire.feed("CHUSE", "C9", family="SERIE", given="Z", birth="1950-01-01")
    (following,) = [link["url"] for link in first["link"] if link["relation"] == "next"]
    second = wire.client.get(following).json()
    assert [local_id(e["resource"]) for e in first["entry"] + second["entry"]] == ["C0", "C1", "C2", "C3"]
    assert second["total"] == 4
    wire.service.close()


def test_post_search_asks_the_same(fhir):
    got = fhir.get("Patient", family="mod").json()
    posted = fhir.client.post("/fhir/Patient/_search", data={"family": "mod"}).json()
    assert [e["resource"]["id"] for e in posted["entry"]] == [e["resource"]["id"] for e in got["entry"]]
    assert outcome(fhir.client.post("/fhir/Patient/_search", json={"family": "mod"}), 415).code == "not-supported"


def test_parts_of_resources(fhir):
    def entries(**parameters):
        return fhir.get("Patient", family="temoin", **parameters).json()

    (summary,) = entries(_summary="true")["entry"]
    assert "extension" not in summary["resource"]
    assert summary["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    count = entries(_summary="count")
    assert (count["total"], "entry" in count) == (1, False)
    (elements,) = entries(_elements="birthDate,gender")["entry"]
    assert set(elements["resource"]) == {"resourceType", "id", "meta", "birthDate", "gender"}
    assert "total" not in entries(_total="none")
    nothing = entries(_count="0")
    assert (nothing["total"], "entry" in nothing) == (1, False)


def test_a_record_refers_to_its_person_who_shows_all_of_them(fhir):
    record = fhir.get("Patient", identifier=fhir.token("CHUSE", "C1")).json()["entry"][0]["resource"]
    Patient.model_validate(record)
    (link,) = record["link"]
    assert link["type"] == "refer"
    person = fhir.get(link["other"]["reference"]).json()
    Patient.model_validate(person)
    assert {entry["type"] for entry in person["link"]} == {"seealso"}
    grades = [entry["extension"][0]["valueCode"] for entry in person["link"] if "extension" in entry]
    assert len(person["link"]) == 2
    assert grades == ["certain", "certain"]
    assert [i["use"] for i in person["identifier"]] == ["secondary", "usual", "usual"]
    assert person["name"][0]["family"] in ("ÉXEMPLE-DURAND", "EXEMPLE DURAND")
    found = fhir.get("Patient", _id=f"{person['id']},{record['id']}").json()["entry"]
    assert [entry["resource"]["id"] for entry in found] == [person["id"], record["id"]]


def test_read_knows_what_the_client_has(fhir):
    (entry,) = fhir.get("Patient", family="temoin").json()["entry"]
    path = f"Patient/{entry['resource']['id']}"
    first = fhir.get(path)
    again = fhir.get(path, {"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert fhir.get(path, {"X-Request-Id": "ours-1"}).headers["x-correlation-id"] == "ours-1"
    for absent in ("r999999", "p999999", "nobody", "r1x"):
        assert outcome(fhir.get(f"Patient/{absent}"), 404).code == "not-found"


def test_xml_is_the_same_resource(fhir):
    answer = fhir.get("Patient", family="mod", _format="application/fhir+xml")
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    bundle = Bundle.model_validate_xml(answer.content)
    json = Bundle.model_validate(fhir.get("Patient", family="mod").json())
    assert [e.resource.model_dump() for e in bundle.entry] == [e.resource.model_dump() for e in json.entry]


def test_names_like_others_are_scored_on_every_page(fhir):
    whole = fhir.get("Patient", family__fuzzy="modele").json()
    Bundle.model_validate(whole)
    scores = [entry["search"]["score"] for entry in whole["entry"]]
    assert [local_id(e["resource"]) for e in whole["entry"]] == ["R2", "I1"]
    assert scores[0] == 1.0
    assert 0.75 <= scores[1] < 1.0
    first = fhir.get("Patient", family__fuzzy="modele", _count="1").json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    assert "modele" not in following
    second = fhir.client.get(following).json()
    assert [e["search"]["score"] for page in (first, second) for e in page["entry"]] == scores
    assert "score" not in fhir.get("Patient", family="modele").json()["entry"][0]["search"]


@pytest.mark.parametrize("name", ["address:fuzzy", "phonetic:exact", "birthdate:fuzzy", "fuzzy"])
def test_likeness_is_for_names_only(fhir, name):
    assert outcome(fhir.client.get("/fhir/Patient", params={name: "1948", "family": "EXEMPLE"}), 400)


@pytest.mark.parametrize(
    "parameters",
    [
        {"email": "\0"},
        {"phone": "\0", "family": "ex"},
        {"address": "\0", "family": "ex"},
        {"family:exact": "EX\0"},
        {"mothersMaidenName:exact": "A\0", "family": "ex"},
        {"identifier": "urn:oid:{chuse}|\0C1"},
        {"_page": "\0.1"},
    ],
)
def test_a_nul_is_a_mistake_of_the_asker(fhir, parameters):
    parameters = {name: value.replace("{chuse}", fhir.oid("CHUSE")) for name, value in parameters.items()}
    answer = fhir.client.get("/fhir/Patient", params=parameters)
    assert answer.status_code in (200, 400), answer.text
    posted = fhir.client.post("/fhir/Patient/_search", data=parameters)
    assert posted.status_code == answer.status_code
    asked = {"sourceIdentifier": f"urn:oid:{fhir.oid('CHUSE')}|\0C1"}
    assert outcome(fhir.client.get("/fhir/Patient/$ihe-pix", params=asked), 400)

"""HL7 v2, HL7 v3 and FHIR are three views of one index: the same question gets the same persons, ids and order.

The population is invented, with the mistakes and doubles of a hard profile; questions are drawn from it at random.
"""

from __future__ import annotations

import random

import httpx
import pytest
from lxml import etree

from bench.population import generate
from ihe.caller import REGION as THE_REGION
from ihe.hl7v2.client import MllpClient
from ihe.hl7v2.er7 import Message
from ihe.soap.envelope import soap_request
from ihe.xml import NS, parse_xml, qname, serialize
from mpi.domain.search import fold
from mpi.services.bulk_load import BulkRow, bulk_load
from mpi.translate.bulk_row import COLUMNS, read_row
from region.region_table import load_region
from tests.e2e.conftest import REGION, serving
from tests.hl7v3_wire import Answer, demographics_query, ii, name_parameter, parameter, pix_query

RECORDS = 1500
PATIENTS = SEARCHES = 500
ANSWER_LIMIT = 200
LIKENESSES = 100


@pytest.fixture(scope="module")
def rows():
    found = {}
    for made in generate(RECORDS, seed=23, profile="hard"):
        row = made[0] if isinstance(made, tuple) else made
        key, traits, updated_at = read_row({name: row.get(name) for name in COLUMNS})
        found[key] = BulkRow(key, traits, updated_at)
    return list(found.values())


@pytest.fixture(scope="module")
def running(rows, module_database_url, tmp_path_factory):
    with serving(module_database_url, load_region(REGION), tmp_path_factory.mktemp("documents")) as found:
        with found.service.database.unit(THE_REGION) as uow:
            bulk_load(uow, found.service.mpi, rows)
        yield found


class Wires:
    """Asks the same on every wire; an identifier is (OID of its domain, value)."""

    def __init__(self, running, mllp, http):
        self.running, self.mllp, self.http = running, mllp, http

    def oid(self, code):
        return str(self.running.table.by_code(code).oid)

    def _v2(self, name, qpd, algorithm=""):
        message = (
            "MSH|^~\\&|VIEWER|TEST|IPR|REGION|20260115101500+0100||" + name + "|Q1|T|2.5|||||FRA|UNICODE UTF-8\r"
            f"QPD|IHE Query|TAG1|{qpd}||{algorithm}\rRCP|I\r"
        )
        answer = self.mllp.send(Message.parse(message))
        return answer.segment("QAK").text(2), [
            [(cx.text(4, 2), cx.text(1)) for cx in pid.field(3).repetitions] for pid in answer.segments("PID")
        ]

    def _v3(self, path, name, data):
        url = f"{self.running.base_url}{path}"
        envelope = soap_request(f"urn:hl7-org:v3:{name}", url, parse_xml(data))
        reply = self.http.post(url, content=serialize(envelope), headers={"content-type": "application/soap+xml"})
        answer = Answer(etree.fromstring(serialize(parse_xml(reply.content).find(qname(NS.SOAP, "Body"))[0])))
        patients = answer.root.iterfind(".//{urn:hl7-org:v3}patient")
        return answer.status[1], [
            [(i.get("root"), i.get("extension")) for i in patient.iterfind("{urn:hl7-org:v3}id")]
            for patient in patients
        ]

    def references(self, key):
        """Identifiers in other domains, by wire."""
        domain = self.running.table.by_code(key.domain)
        v2 = self._v2("QBP^Q23^QBP_Q21", f"{key.local_id}^^^{domain.authority.namespace}&{domain.oid}&ISO")
        v3 = self._v3("/ihe/pix", "PRPA_IN201309UV02", pix_query(ii(domain.oid, key.local_id, "value")))
        url = f"{self.running.base_url}/fhir/Patient/$ihe-pix"
        fhir = self.http.get(url, params={"sourceIdentifier": f"{domain.oid.urn}|{key.local_id}"}).json()
        identifiers = [p["valueIdentifier"] for p in fhir.get("parameter", ()) if p["name"] == "targetIdentifier"]
        return v2, v3, [(i["system"].removeprefix("urn:oid:"), i["value"]) for i in identifiers]

    def search(self, asked, like=""):
        """Patients found, by wire: how it went, and the identifiers of each in order.

        Args:
            like: ``phonetic`` or ``fuzzy``, for names like those asked for; else the first letters count.
        """
        criteria = _v2_criteria(asked, "" if like else "*")
        v2 = self._v2("QBP^Q22^QBP_Q21", "~".join(f"{field}^{text}" for field, text in criteria), like.upper())
        parameters = _v3_parameters(asked, "" if like else "SRCH")
        v3 = self._v3("/ihe/pdq", "PRPA_IN201305UV02", demographics_query(*parameters, algorithm=like))
        url = f"{self.running.base_url}/fhir/Patient"
        parameters = {**_fhir_parameters(asked, like), "_count": str(ANSWER_LIMIT)}
        bundle = self.http.get(url, params=parameters).json()
        found = [
            [(i["system"].removeprefix("urn:oid:"), i["value"]) for i in entry["resource"]["identifier"]]
            for entry in bundle.get("entry", ())
            if entry["resource"]["resourceType"] == "Patient"
        ]
        return v2, v3, (bundle.get("total"), found)


def _v2_criteria(asked, end):
    fields = {"family": "@PID.5.1", "given": "@PID.5.2", "birth": "@PID.7", "sex": "@PID.8", "postal": "@PID.11.5"}
    return [
        (fields[name], text + end if name in ("family", "given") else text.replace("-", ""))
        for name, text in asked.items()
    ]


def _v3_parameters(asked, use):
    made = []
    if "sex" in asked:
        made.append(parameter("livingSubjectAdministrativeGender", f'<value code="{asked["sex"]}"/>'))
    if "birth" in asked:
        made.append(parameter("livingSubjectBirthTime", f'<value value="{asked["birth"].replace("-", "")}"/>'))
    if "family" in asked or "given" in asked:
        made.append(name_parameter(asked.get("family", ""), asked.get("given", ""), use))
    if "postal" in asked:
        made.append(parameter("patientAddress", f"<value><postalCode>{asked['postal']}</postalCode></value>"))
    return made


def _fhir_parameters(asked, like):
    names = {
        "family": f"family:{like}" if like else "family",
        "given": f"given:{like}" if like else "given",
        "birth": "birthdate",
        "sex": "gender",
        "postal": "address-postalcode",
    }
    sexes = {"M": "male", "F": "female"}
    return {names.get(name, name): sexes.get(text, text) if name == "sex" else text for name, text in asked.items()}


@pytest.fixture
def wires(running):
    # Not python-hl7's client: it reads an answer's first 4 KB only.
    mllp = MllpClient(running.host, running.mllp_port)
    with httpx.Client(timeout=60) as http:
        yield Wires(running, mllp, http)
    mllp.close()


def test_identifiers_are_the_same_on_every_wire(wires, rows):
    linked = 0
    for row in random.Random(1).sample(rows, PATIENTS):
        (v2_status, v2), (v3_status, v3), fhir = wires.references(row.key)
        assert v2_status == v3_status == ("OK" if fhir else "NF")
        expected = [fhir] if fhir else []
        assert v2 == expected, row.key
        assert v3 == expected, row.key
        linked += len(fhir) > 1
    assert linked > PATIENTS / 10, "the sample must hold patients whom several sites know"


def _question(rng, rows):
    """What a person at a desk would ask for: what is on a paper, whole or in part."""
    asked: dict[str, str] = {}
    while not set(asked) & {"family", "birth", "given"}:
        traits = rng.choice(rows).traits
        family = fold(rng.choice([traits.birth_family_name, traits.used_family_name]) or "")
        given = fold(traits.first_birth_given_name or "")
        if family and rng.random() < 0.7:
            asked["family"] = family[: rng.randint(2, len(family))].strip() if len(family) > 2 else family
        if given and rng.random() < 0.5:
            asked["given"] = given[: rng.randint(1, len(given))].strip()
        if traits.birth_date is not None and rng.random() < 0.6:
            asked["birth"] = traits.birth_date.iso[: rng.choice([4, 7, 10])]
        if traits.sex is not None and str(traits.sex) in "MF" and rng.random() < 0.3:
            asked["sex"] = str(traits.sex)
        if traits.postal_code and rng.random() < 0.2:
            asked["postal"] = traits.postal_code
    return asked


def test_searches_find_the_same_in_the_same_order_on_every_wire(wires, rows):
    rng, found = random.Random(2), 0
    for _ in range(SEARCHES):
        asked = _question(rng, rows)
        (v2_status, v2), (v3_status, v3), (total, fhir) = wires.search(asked)
        if v2_status == "AE":
            assert v3_status == "QE", asked
            assert total is None or total > ANSWER_LIMIT, asked
            continue
        assert v2_status == v3_status == ("OK" if fhir else "NF"), asked
        assert v2 == v3, asked
        assert v3 == fhir, asked
        found += bool(fhir)
    assert found > SEARCHES / 2


def test_names_like_others_are_found_in_the_same_order_on_every_wire(wires, rows):
    rng, found, others = random.Random(3), 0, 0
    for _ in range(LIKENESSES):
        traits = rng.choice([row.traits for row in rows if row.traits.birth_family_name and row.traits.birth_date])
        name = list(fold(traits.birth_family_name))
        position = rng.randrange(len(name))
        name[position] = rng.choice("AEIOUS")
        asked = {"family": "".join(name).strip()}
        if rng.random() < 0.7:
            asked["birth"] = traits.birth_date.iso
        (v2_status, v2), (v3_status, v3), (_, fhir) = wires.search(asked, rng.choice(["phonetic", "fuzzy"]))
        assert v2_status == v3_status == ("OK" if fhir else "NF"), asked
        assert v2 == v3 == fhir, asked
        found += bool(fhir)
        others += bool(fhir) and asked["family"] != fold(traits.birth_family_name)
    assert found > LIKENESSES / 3
    assert others > LIKENESSES / 5

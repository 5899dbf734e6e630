"""The reading policy over the wires: oppositions and hidden documents leave no trace but in the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import text

from ihe.caller import REGION, Caller
from ihe.confidentiality import ReadingRules, Wishes
from ihe.values import PatientId
from mpi.domain.consent import Stance, Statement, Subject, Way
from mpi.services.consents import state
from region.running import check_documents
from region.xds_commands import answered_on
from tests.e2e.test_documents_by_zeep import INS, MARIE, PAUL, Site
from xds.domain.criteria import DocumentCriteria, SetCriteria
from xds.services.find import find_document_references, find_documents, find_submission_sets

MASKED = "MASQUE_PS^^1.2.250.1.213.1.1.4.13"
FROM_PATIENT = "INVISIBLE_PATIENT^^1.2.250.1.213.1.1.4.13"


@pytest.fixture
def site(running) -> Site:
    found = Site(running)
    found.feed("CHUSE", "C1", MARIE, INS)
    found.feed("ROANNE", "R1", MARIE, INS)
    found.feed("ICL", "P1", PAUL)
    return found


def test_an_opposition_follows_the_person_and_leaves_no_trace(site):
    service = site.running.service
    unique_id, _ = site.provide("CHUSE", "C1", b"one")
    other, _ = site.provide("ICL", "P1", b"other")
    by_roanne = PatientId.from_xds_cx(site.cx("ROANNE", "R1"))
    with service.database.unit(REGION) as uow:
        state(uow, service.mpi, by_roanne, Statement(Subject.CONSULTATION, Stance.OPPOSES), Way.COMMAND)

    assert site.found_ids(site.cx("CHUSE", "C1")) == set()
    assert site.found_ids(site.cx("ICL", "P1")) == {other}
    listed = site.find(site.cx("CHUSE", "C1"), "ObjectRef")
    assert not listed or not listed._value_1
    own = str(site.running.table.by_code("REGION").repository_unique_id)
    answers = [
        site.repository.DocumentRepository_RetrieveDocumentSet(
            DocumentRequest=[{"RepositoryUniqueId": own, "DocumentUniqueId": wanted}]
        )
        for wanted in (unique_id, "2.25.404")
    ]
    codes = [each.RegistryResponse.RegistryErrorList.RegistryError[0].errorCode for each in answers]
    assert codes == ["XDSDocumentUniqueIdError"] * 2
    base = f"{site.running.base_url}/fhir"
    asked = {"patient.identifier": f"{site.running.table.by_code('CHUSE').oid.urn}|C1", "status": "current"}
    for kind in ("DocumentReference", "List"):
        found = httpx.get(f"{base}/{kind}", params=asked).json()
        assert (found["total"], found.get("entry", [])) == (0, [])
    with service.engine.connect() as connection:
        noted = connection.execute(text("SELECT count(*) FROM audit_event WHERE objects::text LIKE '%opposes%'"))
        assert noted.scalar_one() >= 4
    counted = httpx.get(f"{site.running.base_url}/metrics").text
    assert 'traitdunion_documents_withheld_total{reason="the patient opposes"}' in counted

    criteria = DocumentCriteria()
    emergency = Caller(node="n", purpose="bris_de_glace")
    patient = Caller(node="n", roles=frozenset({"patient"}))
    for caller, count in ((Caller(node="n"), 0), (emergency, 1), (patient, 1)):
        with service.database.unit(caller) as uow:
            registry = service.xds.registry
            assert len(find_documents(uow, registry, by_roanne, criteria)) == count
            assert len(find_document_references(uow, registry, by_roanne, criteria)) == count
            assert len(find_submission_sets(uow, registry, by_roanne, SetCriteria())) == count
    with service.database.unit(REGION) as uow:
        by_ins = PatientId.from_xds_cx(f"{INS}^^^&1.2.250.1.213.1.4.8&ISO")
        state(uow, service.mpi, by_ins, Statement(Subject.CONSULTATION, Stance.AGREES), Way.COMMAND)
    assert site.found_ids(site.cx("CHUSE", "C1")) == {unique_id}


@pytest.mark.parametrize(
    ("caller", "hidden"),
    [
        (Caller(node="n"), {MASKED}),
        (Caller(node="n", purpose="centre_15"), set()),
        (Caller(node="n", roles=frozenset({"patient"})), {FROM_PATIENT}),
        (Caller(node="n", roles=frozenset({"legal-representative"})), {FROM_PATIENT}),
        (REGION, set()),
    ],
)
def test_each_confidentiality_code_hides_from_those_it_names(caller, hidden):
    rules = ReadingRules()
    normal = "N^^2.16.840.1.113883.5.25"
    assert {
        code for code in (MASKED, FROM_PATIENT, normal) if rules.reason_against(caller, [normal, code], Wishes())
    } == hidden


def test_what_a_query_answered_on_a_past_day_follows_the_links_of_that_day(site):
    service = site.running.service
    first, _ = site.provide("CHUSE", "C1", b"one")
    between = datetime.now(UTC)
    second, _ = site.provide("ROANNE", "R1", b"two")
    after = datetime.now(UTC)
    by_ins = PatientId.from_xds_cx(f"{INS}^^^&1.2.250.1.213.1.4.8&ISO")
    chu = PatientId.from_xds_cx(site.cx("CHUSE", "C1"))
    site.feed("ROANNE", "R1", PAUL)  # the record turns out to be another person's
    assert site.found_ids(site.cx("CHUSE", "C1")) == {first}

    def answered(patient_id: PatientId, moment: datetime) -> set[str]:
        with service.database.unit(REGION) as uow:
            return {each.unique_id for each in answered_on(service, uow, patient_id, moment)}

    assert answered(chu, between) == {first}
    assert answered(chu, after) == {first, second}
    assert answered(by_ins, after) == {first, second}
    assert answered(chu, datetime.now(UTC)) == {first}
    assert answered(chu, datetime(2020, 1, 1, tzinfo=UTC)) == set()
    assert check_documents(service) == []

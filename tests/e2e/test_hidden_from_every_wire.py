"""A hidden identity, or one whose patient opposes to indexing, can't be told from one that isn't there, on any wire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hl7.client import MLLPClient
from lxml import etree
from sqlalchemy import event, text

from ihe.caller import REGION as REGION_CALLER
from ihe.caller import Caller
from ihe.confidentiality import SEES_HIDDEN
from ihe.soap.client import SoapClient
from ihe.unit_of_work import Question, UnitOfWork
from ihe.values import PatientId
from ihe.xml import parse_xml
from mpi.domain.consent import Stance, Statement, Subject, Way
from mpi.domain.identity import RecordKey
from mpi.services.consents import state
from mpi.services.cross_reference import cross_reference
from mpi.services.decide_pair import decide_pair
from mpi.services.notify_references import changed_references, concerned_keys
from region.region_table import RegionTable, load_region
from tests.dicomweb_source import dicomweb_source
from tests.e2e.conftest import serving
from tests.e2e.test_documents_by_zeep import FIND_DOCUMENTS, GET_DOCUMENTS, MARIE, PAUL, Site, slot
from tests.hl7v3_wire import demographics_query, ii, name_parameter, parameter, pix_query
from tests.imaging_region import TABLE, _feed, _publish
from web.session import Session

_numbers = count(1)
_MOVING = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}|\b[0-9a-f]{20}\b", "UUID"),
    (r"\d{4}-\d\d-\d\dT[0-9:.+Z-]+", "TIME"),
    (r"\b20\d{12}(\.\d+)?([+-]\d{4})?", "TIME"),
    (r"\bTDU[0-9A-Z.-]*\d+\b|\bQ\d+\b|\b2\.25\.\d{20,}", "NUMBER"),
)


class Region:
    """A service with a hidden patient of CHUSE (with a study and a document) and an opposed one of ICL."""

    def __init__(self, running: Any, archive: Any) -> None:
        self.running = running
        _feed(running)
        self.study = _publish(running, archive).uid
        self.site = Site(running)
        self.site.feed("ICL", "P1", PAUL)
        self.documents = {"CHUSE": self.site.provide("CHUSE", "CHUSE1", b"c")[0]}
        self.documents["ICL"] = self.site.provide("ICL", "P1", b"i")[0]
        self.before = {wire: ask(self, "CHUSE", "CHUSE1") for wire, ask in BY_NUMBER.items()}
        self.hide()
        self.link()
        with running.service.database.unit(REGION_CALLER) as uow:
            opposed = Statement(Subject.INDEXING, Stance.OPPOSES)
            state(uow, running.service.mpi, self.id("ICL", "P1"), opposed, Way.STEWARD)

    def hide(self) -> None:
        authority = self.running.table.by_code("CHUSE").authority
        ids = f"CHUSE1^^^CHUSE&{authority.oid}&ISO^PI"
        message = (
            f"MSH|^~\\&|T|T|IPR|R|20260116||ADT^A31^ADT_A05|H{next(_numbers)}|T|2.5\rEVN||20260116\r"
            f"PID|1||{ids}||{MARIE}|||||||||||||||||||N||PROV~CACH\r"
        )
        with MLLPClient(self.running.host, self.running.mllp_port) as client:
            assert b"MSA|AA" in client.send_message(message)

    def link(self) -> None:
        """A steward says that the hidden record and ROANNE's are one person's: no rule would link it by itself."""
        with self.running.service.database.unit(REGION_CALLER) as uow:
            pair = RecordKey("CHUSE", "CHUSE1"), RecordKey("ROANNE", "ROANNE1")
            decide_pair(uow, self.running.service.mpi, *pair, "same", reason="a test")

    def id(self, code: str, local_id: str) -> PatientId:
        return PatientId.from_xds_cx(self.site.cx(code, local_id))

    def oid(self, code: str) -> str:
        return str(self.running.table.by_code(code).oid)


@pytest.fixture(scope="module")
def region(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with dicomweb_source() as archive:
        table = load_region(TABLE)
        domains = tuple(replace(each, pacs_url=archive.url if each.code == "CHUSE" else None) for each in table)
        folder = tmp_path_factory.mktemp("documents")
        with serving(module_database_url, RegionTable(table.name, table.home_community_id, domains), folder) as running:
            yield Region(running, archive)


def v2(region: Region, message: str) -> str:
    head = f"MSH|^~\\&|VIEWER|TEST|IPR|R|20260116||{message.partition(chr(13))[0]}|V{next(_numbers)}|P|2.5\r"
    with MLLPClient(region.running.host, region.running.mllp_port) as client:
        answer = client.send_message(head + message.partition("\r")[2]).decode()
    return re.sub(r"\bV\d+\b", "CONTROL", answer)


def v3(region: Region, path: str, action: str, data: bytes) -> str:
    with SoapClient(f"{region.running.base_url}/ihe/{path}") as client:
        return etree.tostring(client.send(f"urn:hl7-org:v3:{action}", parse_xml(data)), encoding="unicode")


def http(region: Region, path: str, **parameters: Any) -> str:
    answer = httpx.get(f"{region.running.base_url}{path}", params=parameters, timeout=30)
    return f"{answer.status_code} {answer.headers.get('warning', '')} {answer.text}"


def stored_query(region: Region, query: str, **values: str) -> str:
    answer = region.site.registry.DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnType": "LeafClass", "returnComposedObjects": True},
        AdhocQuery={"id": query, "Slot": [slot(f"${name}", value) for name, value in values.items()]},
    )
    return str(answer)


APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
BY_NUMBER = {
    "ITI-9": lambda r, c, i: v2(r, f"QBP^Q23^QBP_Q21\rQPD|IHE PIX Query|T1|{i}^^^{c}&{r.oid(c)}&ISO^PI\rRCP|I\r"),
    "ITI-21": lambda r, c, i: v2(
        r, f"QBP^Q22^QBP_Q21\rQPD|IHE PDQ Query|T1|@PID.3.1^{i}~@PID.3.4.2^{r.oid(c)}\rRCP|I\r"
    ),
    "ITI-22": lambda r, c, i: v2(
        r, f"QBP^ZV1^QBP_Q21\rQPD|IHE PDVQ Query|T1|@PID.3.1^{i}~@PID.3.4.2^{r.oid(c)}~@PV1.2^I\rRCP|I\r"
    ),
    "ITI-45": lambda r, c, i: v3(r, "pix", "PRPA_IN201309UV02", pix_query(ii(r.oid(c), i, "value"))),
    "ITI-47": lambda r, c, i: v3(
        r, "pdq", "PRPA_IN201305UV02", demographics_query(parameter("livingSubjectId", ii(r.oid(c), i, "value")))
    ),
    "ITI-83": lambda r, c, i: http(r, "/fhir/Patient/$ihe-pix", sourceIdentifier=f"urn:oid:{r.oid(c)}|{i}"),
    "ITI-78": lambda r, c, i: http(r, "/fhir/Patient", identifier=f"urn:oid:{r.oid(c)}|{i}"),
    "ITI-18": lambda r, c, i: stored_query(
        r,
        FIND_DOCUMENTS,
        XDSDocumentEntryPatientId=f"'{r.site.cx(c, i)}'",
        XDSDocumentEntryStatus=APPROVED,
    ),
    "ITI-67": lambda r, c, i: http(
        r, "/fhir/DocumentReference", **{"patient.identifier": f"urn:oid:{r.oid(c)}|{i}", "status": "current"}
    ),
    "ITI-66": lambda r, c, i: http(
        r,
        "/fhir/List",
        **{"patient.identifier": f"urn:oid:{r.oid(c)}|{i}", "code": "submissionset", "status": "current"},
    ),
    "ITI-108": lambda r, c, i: http(r, "/fhir/Consent", **{"patient.identifier": f"urn:oid:{r.oid(c)}|{i}"}),
    "ImagingStudy": lambda r, c, i: http(r, "/fhir/ImagingStudy", **{"patient.identifier": f"urn:oid:{r.oid(c)}|{i}"}),
    "QIDO-RS": lambda r, c, i: http(r, "/dicom-web/studies", PatientID=i, IssuerOfPatientID=r.oid(c)),
    "priors": lambda r, c, i: http(r, "/priors", patient=f"{r.oid(c)}|{i}"),
}


def still(answer: str, *names: str) -> str:
    """An answer without what moves: the name asked with, times, numbers of messages."""
    for name in names:
        answer = answer.replace(name, "NAME")
    for pattern, word in _MOVING:
        answer = re.sub(pattern, word, answer)
    return answer


@pytest.mark.parametrize(("code", "hidden"), [("CHUSE", "CHUSE1"), ("ICL", "P1")], ids=["hidden", "opposed"])
@pytest.mark.parametrize("wire", BY_NUMBER)
def test_a_number_of_nobody_and_of_somebody_hidden_get_one_answer(region, wire, code, hidden):
    ask = BY_NUMBER[wire]
    assert still(ask(region, code, hidden), hidden) == still(ask(region, code, "GONE404"), "GONE404")


@pytest.mark.parametrize("wire", [wire for wire in BY_NUMBER if wire not in ("ITI-22", "ITI-108")])
def test_before_it_was_hidden_each_wire_told_of_it(region, wire):
    """So that the equality above is not that of two refusals for some other reason."""
    absent = BY_NUMBER[wire](region, "CHUSE", "GONE404")
    assert still(region.before[wire], "CHUSE1") != still(absent, "GONE404")


def test_no_search_lists_them(region):
    by_name = (
        v2(region, "QBP^Q22^QBP_Q21\rQPD|IHE PDQ Query|T1|@PID.5.1^MODELE~@PID.7.1^19711102\rRCP|I\r"),
        v3(
            region,
            "pdq",
            "PRPA_IN201305UV02",
            demographics_query(
                name_parameter("MODELE"), parameter("livingSubjectBirthTime", '<value value="19711102"/>')
            ),
        ),
        http(region, "/fhir/Patient", family="MODELE", birthdate="1971-11-02"),
    )
    for answer in by_name:
        assert "P1" not in re.sub(r"[A-Z]{2,}\d+|\bQ\d+", "", answer)
    described = {
        "resourceType": "Patient",
        "name": [{"family": "MODELE", "given": ["PAUL"]}],
        "birthDate": "1971-11-02",
        "gender": "male",
    }
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": described}, {"name": "count", "valueInteger": 5}],
    }
    matched = httpx.post(f"{region.running.base_url}/fhir/Patient/$match", json=asked).json()
    assert not matched.get("entry")


def test_documents_and_pictures_by_their_own_names_are_not_there(region):
    for code in ("CHUSE", "ICL"):
        known, unknown = region.documents[code], "2.25.99999999999999999999999"
        answers = [
            stored_query(region, GET_DOCUMENTS, XDSDocumentEntryUniqueId=f"('{name}')") for name in (known, unknown)
        ]
        assert still(answers[0], known) == still(answers[1], unknown)
        own = str(region.running.table.by_code("REGION").repository_unique_id)
        retrieved = [
            str(
                region.site.repository.DocumentRepository_RetrieveDocumentSet(
                    DocumentRequest=[{"RepositoryUniqueId": own, "DocumentUniqueId": name}]
                )
            )
            for name in (known, unknown)
        ]
        assert still(retrieved[0], known) == still(retrieved[1], unknown)
    unknown = "2.25.404"
    for path in ("/dicom-web/studies?StudyInstanceUID={}", "/dicom-web/studies/{}/series", "/dicom-web/studies/{}"):
        known_answer, answer = (http(region, path.format(uid)) for uid in (region.study, unknown))
        assert still(known_answer, region.study) == still(answer, unknown), path
    for path in ("/priors?study={}", "/fhir/ImagingStudy?identifier=urn:dicom:uid|urn:oid:{}"):
        known_answer, answer = (http(region, path.format(uid)) for uid in (region.study, unknown))
        assert still(known_answer, region.study) == still(answer, unknown), path


def test_another_record_of_the_person_does_not_lead_to_them(region):
    """ROANNE1 is one person with CHUSE1."""
    service = region.running.service
    with service.database.unit(REGION_CALLER) as uow:
        both = cross_reference(uow, service.mpi, region.id("ROANNE", "ROANNE1"))
    assert "CHUSE1" in [each.value for each in both.identifiers]
    for wire in ("ITI-9", "ITI-21", "ITI-45", "ITI-47", "ITI-83", "ITI-78"):
        found = BY_NUMBER[wire](region, "ROANNE", "ROANNE1")
        assert "CHUSE1" not in found, wire
        assert "ROANNE1" in found or wire in ("ITI-9", "ITI-45", "ITI-83"), wire
    assert region.documents["CHUSE"] not in BY_NUMBER["ITI-18"](region, "ROANNE", "ROANNE1")
    assert region.study not in BY_NUMBER["QIDO-RS"](region, "ROANNE", "ROANNE1")


def test_the_own_site_and_the_named_role_see_them_and_the_emergency_does_not(region):
    service = region.running.service
    hidden = region.id("CHUSE", "CHUSE1")
    for caller, sees in (
        (Caller("n", site="CHUSE"), True),
        (Caller("n", site="ROANNE"), False),
        (Caller("n", site="ROANNE", user="8", purpose="bris_de_glace"), False),
        (Caller("n", roles=frozenset({SEES_HIDDEN})), True),
        (Session("8", roles=frozenset({"regional-steward"})).caller("n"), True),
        (Session("8", roles=frozenset({"site-steward"}), sites=("ROANNE",), site="ROANNE").caller("n"), False),
    ):
        with service.database.unit(caller) as uow:
            person = service.directory.resolve(uow, hidden)
            assert (person is not None) == sees, caller


@pytest.mark.parametrize("wire", ["ITI-9", "ITI-83", "ITI-18", "QIDO-RS"])
def test_the_database_is_asked_the_same_so_that_time_tells_nothing(region, wire, monkeypatch):
    asked: list[str] = []
    for unit in (UnitOfWork, Question):
        plain = unit.__dict__["ask"]

        def counted(self, statement, parameters, *, prepare=True, _plain=plain):
            asked.append(statement)
            return _plain(self, statement, parameters, prepare=prepare)

        monkeypatch.setattr(unit, "ask", counted)
    engine = region.running.service.engine

    def remember(connection, cursor, statement, *more):
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", remember)
    try:
        statements = []
        for name in ("CHUSE1", "GONE404"):
            asked.clear()
            BY_NUMBER[wire](region, "CHUSE", name)
            statements.append(list(asked))
    finally:
        event.remove(engine, "before_cursor_execute", remember)
    assert statements[0] == statements[1]


def test_notifications_do_not_tell_of_them(region):
    """What ROANNE is told of its own patient is asked on ROANNE's behalf, whoever delivers it."""
    service = region.running.service
    with service.database.unit(REGION_CALLER) as uow:
        keys = concerned_keys({"records": [["ROANNE", "ROANNE1"]]}, {"ROANNE"})
        told = changed_references(uow, service.mpi, f"test {uuid4()}", "ROANNE", keys)
    assert all("CHUSE1" not in identifier.value for change in told for identifier in change.identifiers)


def test_what_is_opposed_may_be_agreed_to_again(region):
    service = region.running.service
    with service.database.unit(REGION_CALLER) as uow:
        state(uow, service.mpi, region.id("ICL", "P1"), Statement(Subject.INDEXING, Stance.AGREES), Way.STEWARD)
    assert "P1" in BY_NUMBER["ITI-78"](region, "ICL", "P1")
    with service.database.unit(REGION_CALLER) as uow:
        state(uow, service.mpi, region.id("ICL", "P1"), Statement(Subject.INDEXING, Stance.OPPOSES), Way.STEWARD)
    with service.engine.connect() as connection:
        kept = connection.execute(text("SELECT stance FROM consent WHERE subject = 'indexing' ORDER BY id")).scalars()
        assert list(kept) == ["opposes", "agrees", "opposes"]

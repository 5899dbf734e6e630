"""What patients say (ZFA, FHIR Consent, a steward's page) and what it does to reading and feeding; emergencies, who is
told of them and who reviews them; the access log.
"""

from __future__ import annotations

import csv
import io
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import zeep
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.consent import Consent as FhirConsent
from sqlalchemy import text

from ihe.caller import REGION, Caller
from ihe.confidentiality import SEES_HIDDEN, ReadingRules, Wishes
from ihe.errors import AccessDenied, NotFound, Unavailable
from ihe.store import emergencies
from ihe.store.outbox import OutboxEvent
from ihe.values import PatientId
from mpi.domain.consent import Stance, Statement, Subject, Way
from mpi.domain.partition import TaskKind
from mpi.services.consents import consents_in_sight, state
from mpi.services.read_worklist import read_worklist, visible_task
from mpi.store import tasks
from mpi.store.worklist import TaskFilter
from region.bootstrap import Service
from region.officer_mail import Officer, OfficerSubscriber
from tests.e2e.test_documents_by_zeep import INS, MARIE, PAUL, Site
from tests.hl7v2_desk import MARIE as MARIE_FR
from tests.hl7v2_desk import Desk, er7
from tests.workbench_desk import demonstration, enter
from xds.domain.criteria import DocumentCriteria
from xds.services.find import find_documents

CAMILLE, MAUD, ELISE = "899700000011", "899700000052", "899700000078"
DOCTOR = "810000000017"


@pytest.fixture
def site(running: Any) -> Site:
    found = Site(running)
    found.feed("CHUSE", "C1", MARIE, INS)
    found.feed("ROANNE", "R1", MARIE, INS)
    found.feed("ICL", "P1", PAUL)
    return found


def zfa(feeding: str = "", since: str = "", consultation: str = "", until: str = "") -> str:
    return f"ZFA|ACTIF|20240101|||||||{feeding}|{since}|{consultation}|{until}"


def wishes(service: Service, cx: str, caller: Caller | None = None) -> Wishes:
    with service.database.unit(caller or Caller("n")) as uow:
        return service.directory.wishes(uow, PatientId.from_xds_cx(cx))[cx]


def documents(service: Service, cx: str, caller: Caller) -> int:
    with service.database.unit(caller) as uow:
        return len(find_documents(uow, service.xds.registry, PatientId.from_xds_cx(cx), DocumentCriteria()))


def say(
    service: Service, cx: str, subject: Subject, stance: Stance, professional: str = "", caller: Caller = REGION
) -> None:
    with service.database.unit(caller) as uow:
        said = Statement(subject, stance, uow.now, professional)
        state(uow, service.mpi, PatientId.from_xds_cx(cx), said, Way.STEWARD)


def test_what_zfa_says_holds_until_the_same_site_or_a_later_word_ends_it(site):
    service, chu, roanne = site.running.service, site.cx("CHUSE", "C1"), site.cx("ROANNE", "R1")
    site.feed("CHUSE", "C1", MARIE, INS, "A31", [zfa("IO", "20240309", "INC", "20240309")])
    for cx in (chu, roanne):
        assert wishes(service, cx).opposes_feeding
        assert wishes(service, cx).opposes_consultation
    site.feed("ROANNE", "R1", MARIE, INS, "A31", [zfa("INO", "20240601", "IC", "20240601")])
    assert wishes(service, chu).opposes_consultation, "what one site is told does not end what another was told"
    say(service, chu, Subject.CONSULTATION, Stance.AGREES)
    assert not wishes(service, roanne).opposes_consultation
    site.feed("CHUSE", "C1", MARIE, INS, "A31", [zfa("IO", "20240309", "INC", "20240309")])
    assert not wishes(service, chu).opposes_consultation, "what is repeated ends no later word"
    later = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y%m%d%H%M%S+0000")
    site.feed("CHUSE", "C1", MARIE, INS, "A31", [zfa("INO", later, "INC", later)])
    with service.engine.connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM consent WHERE ended_at IS NOT NULL")).scalar_one()
    assert kept >= 2, "what ended is kept"


def test_an_undated_repetition_changes_nothing_and_a_change_does(site):
    service, cx = site.running.service, site.cx("CHUSE", "C1")
    for stance, opposes in (("NA", False), ("INC", True), ("INC", True), ("IC", False), ("NA", False)):
        site.feed("CHUSE", "C1", MARIE, INS, "A31", [zfa("NA", "", stance)])
        assert wishes(service, cx).opposes_consultation is opposes
    with service.engine.connect() as connection:
        stances = connection.execute(text("SELECT stance FROM consent WHERE subject = 'consultation' ORDER BY id"))
        assert list(stances.scalars()) == ["opposes", "agrees", "unknown"]


def test_a_value_of_zfa_that_is_none_is_refused_and_nothing_is_taken_in(running):
    desk = Desk(running.service)
    message = desk.adt("A28", "CHUSE", "Z9", MARIE_FR, extra=[zfa("OUI")])
    answer = str(desk.ask(message))
    assert "MSA|AE" in answer
    assert "ZFA" in answer
    assert desk.count("SELECT count(*) FROM record WHERE local_id = 'Z9'") == 0


def test_an_opposition_survives_merge_rename_and_link(site):
    service = site.running.service
    site.feed("CHUSE", "C2", MARIE.replace("MARIE LOUISE", "MARIE"), None, "A28", [zfa("", "", "INC", "20240309")])
    authority = site.running.table.by_code("CHUSE").authority
    mrg = f"MRG|C2^^^{authority.namespace}&{authority.oid}&ISO^PI"
    site.feed("CHUSE", "C1", MARIE, INS, "A40", [mrg])
    assert wishes(service, site.cx("CHUSE", "C1")).opposes_consultation
    site.feed("CHUSE", "C9", MARIE, INS, "A47", [mrg.replace("C2", "C1")])
    assert wishes(service, site.cx("CHUSE", "C9")).opposes_consultation


def test_an_opposition_to_feeding_refuses_documents(site):
    cx = site.cx("CHUSE", "C1")
    _, answer = site.provide("CHUSE", "C1", b"before")
    assert answer.status.endswith("Success")
    say(site.running.service, cx, Subject.FEEDING, Stance.OPPOSES)
    with pytest.raises(zeep.exceptions.Fault, match="opposes"):
        site.provide("CHUSE", "C1", b"after")
    say(site.running.service, cx, Subject.FEEDING, Stance.AGREES)
    assert site.provide("CHUSE", "C1", b"again")[1].status.endswith("Success")


def test_a_blocked_professional_reads_nothing_whatever_the_purpose(site):
    service, cx = site.running.service, site.cx("CHUSE", "C1")
    site.provide("ROANNE", "R1", b"one")
    say(service, cx, Subject.PROFESSIONAL, Stance.OPPOSES, DOCTOR)
    for purpose in ("normal", "bris_de_glace", "centre_15"):
        assert documents(service, cx, Caller("n", user=DOCTOR, purpose=purpose)) == 0
        assert documents(service, cx, Caller("n", user="810000000025", purpose=purpose)) == 1
    say(service, cx, Subject.PROFESSIONAL, Stance.AGREES, DOCTOR)
    assert documents(service, cx, Caller("n", user=DOCTOR)) == 1


def test_an_emergency_opens_oppositions_and_is_declared_by_a_person_only(site):
    service, cx = site.running.service, site.cx("CHUSE", "C1")
    site.provide("ROANNE", "R1", b"one")
    say(service, cx, Subject.CONSULTATION, Stance.OPPOSES)
    assert documents(service, cx, Caller("n", user=DOCTOR)) == 0
    assert documents(service, cx, Caller("n", user=DOCTOR, purpose="bris_de_glace")) == 1
    rules = ReadingRules(emergency_centres=frozenset({"CHUSE"}))
    rules.check_purpose(Caller("n", "CHUSE", DOCTOR, purpose="centre_15"))
    rules.check_purpose(Caller("n", "ROANNE", DOCTOR, purpose="bris_de_glace"))
    for denied in (
        Caller("n", "CHUSE", None, purpose="centre_15"),
        Caller("n", "CHUSE", None, purpose="bris_de_glace"),
        Caller("n", "ROANNE", DOCTOR, purpose="centre_15"),
    ):
        with pytest.raises(AccessDenied):
            rules.check_purpose(denied)


def consent(site: Site, action: str, kind: str, code: str = "CHUSE", value: str = "C1", **more: Any) -> dict[str, Any]:
    coded = {"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": action}
    provision = {"type": kind, "action": [{"coding": [coded]}], **more}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"identifier": {"system": site.running.table.by_code(code).oid.urn, "value": value}},
        "policyRule": {"text": "national"},
        "provision": provision,
    }


def test_a_consent_is_made_read_found_and_changed_by_fhir(site):
    service, base, cx = site.running.service, f"{site.running.base_url}/fhir/Consent", site.cx("CHUSE", "C1")
    made = httpx.post(base, json=consent(site, "access", "deny"))
    assert made.status_code == 201, made.text
    FhirConsent.model_validate(made.json())
    assert wishes(service, cx).opposes_consultation
    address, tag = made.headers["location"], made.headers["etag"]
    assert httpx.get(address).json() == made.json()
    token = f"{site.running.table.by_code('ROANNE').oid.urn}|R1"
    found = httpx.get(base, params={"patient.identifier": token}).json()
    Bundle.model_validate(found)
    assert [each["resource"]["id"] for each in found["entry"]] == [made.json()["id"]]
    changed = httpx.put(address, json=consent(site, "access", "permit"), headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["id"], changed.headers["etag"]) != (made.json()["id"], tag)
    assert changed.json()["id"] == made.json()["id"]
    assert not wishes(service, cx).opposes_consultation
    assert httpx.put(address, json=consent(site, "access", "deny"), headers={"If-Match": tag}).status_code == 412
    assert httpx.put(address, json=consent(site, "disclose", "deny")).status_code == 409
    actor = [{"role": {"coding": [{"code": "IRCP"}]}, "reference": {"identifier": {"value": DOCTOR}}}]
    assert httpx.post(base, json=consent(site, "access", "deny", actor=actor)).status_code == 201
    assert wishes(service, cx).blocked == {DOCTOR}
    in_xml = httpx.get(address, headers={"Accept": "application/fhir+xml"})
    assert in_xml.text.startswith("<?xml") or in_xml.text.startswith("<Consent")


@pytest.mark.parametrize(
    "change",
    [
        {"patient": {}},
        {"status": "draft"},
        {"provision": {"type": "deny"}},
        {"scope": {"coding": [{"code": "research"}]}},
        {"patient": {"identifier": {"system": "urn:oid:2.25.404", "value": "1"}}},
    ],
)
def test_a_consent_that_cannot_be_kept_is_refused(site, change):
    answer = httpx.post(f"{site.running.base_url}/fhir/Consent", json={**consent(site, "access", "deny"), **change})
    assert answer.status_code // 100 == 4, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    with site.running.service.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM consent")).scalar_one() == 0


def test_a_site_writes_and_reads_what_its_own_patients_say(site):
    service = site.running.service
    said = Statement(Subject.CONSULTATION, Stance.OPPOSES)
    with service.database.unit(Caller("n", site="ICL")) as uow, pytest.raises(AccessDenied):
        state(uow, service.mpi, PatientId.from_xds_cx(site.cx("CHUSE", "C1")), said, Way.FHIR)
    say(service, site.cx("CHUSE", "C1"), Subject.PROFESSIONAL, Stance.OPPOSES, DOCTOR)
    for code, count in (("CHUSE", 1), ("ICL", 0), ("ROANNE", 0)):
        with service.database.unit(Caller("n", site=code)) as uow:
            found = consents_in_sight(uow, service.mpi, PatientId.from_xds_cx(site.cx("CHUSE", "C1")))
            assert len(found) == count, code


class MailServer:
    """Takes messages as a mail server does; absent until it is opened."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.messages: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as lines:
                self._talk(lines)

    def _talk(self, lines: Any) -> None:
        def reply(text: str) -> None:
            lines.write(text.encode() + b"\r\n")
            lines.flush()

        reply("220 ready")
        while line := lines.readline():
            command = line.decode().strip().upper()
            if command.startswith("EHLO"):
                reply("250 ready")
            elif command == "DATA":
                reply("354 go on")
                content = []
                while (got := lines.readline()) != b".\r\n":
                    content.append(got.decode())
                self.messages.append("".join(content))
                reply("250 taken")
            elif command == "QUIT":
                reply("221 bye")
                return
            else:
                reply("250 ok")

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.close()


@pytest.fixture
def desk(database_url: str, tmp_path: Any, mail: MailServer) -> Iterator[tuple[str, Service, MailServer]]:
    officer = Officer("officer@region.test", "index@region.test", "127.0.0.1", mail.port, False, "https://index.test")
    with demonstration(database_url, tmp_path, officer=officer) as (base, service):
        steward = Desk(service)
        steward.feed(
            steward.adt("A28", "CHUSE", "C1"), steward.adt("A28", "ROANNE", "R2", MARIE_FR.replace("MARIE", "ANNE"))
        )
        yield base, service, mail


def person_of(service: Service, local_id: str) -> int:
    with service.engine.connect() as connection:
        found = connection.execute(text("SELECT person_id FROM record WHERE local_id = :id"), {"id": local_id})
        return int(found.scalar_one())


def submit(client: httpx.Client, shown: str, there: str, **fields: str) -> httpx.Response:
    token = re.findall(r'name="form_token" value="(\w+)"', client.get(shown).text)[0]
    return client.post(there, data={"form_token": token, **fields})


def test_a_broken_glass_is_told_to_the_officer_once_and_reviewed(desk):
    base, service, mail = desk
    number = person_of(service, "C1")
    with httpx.Client(base_url=base) as client:
        enter(client, CAMILLE)
        assert client.get(f"/persons/{number}").status_code == 403
        opened = submit(client, f"/persons/{number}", f"/persons/{number}/open", reason="patient inconscient, SAMU")
        assert opened.status_code == 303
        for _ in range(3):
            assert client.get(f"/persons/{number}").status_code == 200
        assert client.get("/emergencies").status_code == 403
    with service.engine.connect() as connection:
        (found,) = emergencies.listed(connection, waiting=True)
    assert (found.user_id, found.site, found.reason, found.requests) == (
        CAMILLE,
        "ROANNE",
        "patient inconscient, SAMU",
        3,
    )
    for _ in range(100):
        if mail.messages:
            break
        threading.Event().wait(0.1)
    assert len(mail.messages) == 1
    assert f"https://index.test/emergencies/{found.id}" in mail.messages[0]
    assert "C1" not in mail.messages[0]
    assert "EXEMPLE" not in mail.messages[0]
    with httpx.Client(base_url=base) as client:
        enter(client, ELISE)
        assert "patient inconscient" in client.get("/emergencies").text
        assert client.post(f"/emergencies/{found.id}/review", data={"verdict": "justified"}).status_code == 403
    with httpx.Client(base_url=base) as client:
        enter(client, MAUD)
        there = f"/emergencies/{found.id}/review"
        assert client.post(there, data={"verdict": "justified"}).status_code == 403, "a form without its token"
        assert submit(client, f"/emergencies/{found.id}", there, verdict="unjustified").status_code == 400
        assert submit(client, f"/emergencies/{found.id}", there, verdict="justified", comment="vu").status_code == 303
        assert client.get(f"/emergencies/{found.id}").status_code == 200
        assert client.get("/emergencies/999").status_code == 404
    with service.engine.connect() as connection:
        (done,) = emergencies.listed(connection, waiting=False)
    assert (done.verdict, done.reviewed_by) == ("justified", MAUD)


def test_an_absent_mail_server_delays_the_message_and_loses_none(desk):
    _, service, _ = desk
    officer = Officer("o@region.test", "i@region.test", "127.0.0.1", 1, False, "https://index.test")
    subscriber = OfficerSubscriber(service.database, officer)
    with service.database.unit(Caller("n", "ROANNE", DOCTOR, purpose="centre_15")) as uow:
        emergencies.note(uow)
    with service.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM outbox_event WHERE kind = 'emergency.declared'")).one()
    assert "patient" not in row.payload
    event = OutboxEvent(row.id, row.at, row.kind, row.subject, row.payload)
    assert subscriber.takes(event)
    with pytest.raises(Unavailable):
        subscriber.deliver(event)


def test_a_steward_writes_down_what_a_person_says(desk):
    base, service, _ = desk
    number = person_of(service, "R2")
    there = f"/persons/{number}/consents"
    cx = f"R2^^^&{service.table.by_code('ROANNE').oid}&ISO"
    with httpx.Client(base_url=base) as client:
        enter(client, CAMILLE)
        assert client.get(there).status_code == 200
        assert client.post(there, data={"subject": "consultation", "stance": "opposes"}).status_code == 403
        assert submit(client, there, there, subject="consultation", stance="opposes").status_code == 303
        assert wishes(service, cx).opposes_consultation
        blocked = submit(client, there, there, subject="professional", stance="opposes", professional="8 10000000017")
        assert blocked.status_code == 303
        assert wishes(service, cx).blocked == {DOCTOR}
        assert (
            submit(client, there, there, subject="professional", stance="opposes", professional="<b>").status_code
            == 400
        )
        assert submit(client, there, there, subject="everything", stance="opposes").status_code == 400
        page = client.get(there, headers={"accept-language": "fr"}).text
        assert "S’oppose" in page
        assert DOCTOR in page
        assert submit(client, there, there, subject="indexing", stance="opposes").status_code == 303
        assert client.get(there).status_code == 200, "their own site still sees them by number"
    with httpx.Client(base_url=base) as client:
        enter(client, "899700000029")
        assert client.get(there).status_code == 404, "to another site nobody is there"
        assert client.get(f"/persons/{number}").status_code == 404
        assert client.get("/persons/999999").status_code == 404
        token = re.findall(r'name="form_token" value="(\w+)"', client.get("/search").text)[0]
        answer = client.post("/search", data={"form_token": token, "identifier": "ROANNE/R2"})
        assert "EXEMPLE" not in answer.text


def test_a_person_is_told_who_looked_as_a_page_as_csv_and_as_fhir(desk):
    base, service, _ = desk
    steward = Desk(service)
    number = person_of(service, "R2")
    steward.ask(
        er7(
            "MSH|^~\\&|VIEWER|TEST|I|R|20260116||QBP^Q23^QBP_Q21|LOG1|P|2.5",
            f"QPD|IHE PIX Query|T1|{steward.cx('ROANNE', 'R2')}",
            "RCP|I",
        )
    )
    with httpx.Client(base_url=base) as client:
        enter(client, CAMILLE)
        client.get(f"/persons/{number}")
        page = client.get(f"/persons/{number}/accesses")
        assert page.status_code == 200
        for told in ("PIX Query", "Person page", "Camille Roche"):
            assert told in page.text
        lines = list(csv.DictReader(io.StringIO(client.get(f"/persons/{number}/accesses.csv").text)))
        assert {"PIX Query", "Person page", "Access log"} <= {line["what"] for line in lines}
        assert all(line["at"] and line["purpose"] == "normal" for line in lines)
        bundle = client.get(f"/persons/{number}/accesses.json")
        Bundle.model_validate(bundle.json())
        assert len(bundle.json()["entry"]) >= len(lines)
    with httpx.Client(base_url=base) as client:
        enter(client, "899700000029")
        assert client.get(f"/persons/{number}/accesses").status_code == 403
        assert client.get(f"/persons/{number}/accesses.csv").status_code == 403
    with httpx.Client(base_url=base) as client:
        enter(client, ELISE)
        assert client.get(f"/persons/{number}/accesses").status_code == 403


def test_no_task_shows_a_site_somebody_hidden_of_another(desk):
    service = desk[1]
    pair = sorted(person_of(service, name) for name in ("C1", "R2"))
    with service.database.unit(REGION) as uow:
        event_id = uow.connection.execute(text("SELECT min(id) FROM identity_event")).scalar_one()
        asked = tasks.NewTask(TaskKind.POSSIBLE_DUPLICATE, (pair[0], pair[1]), 12.0, {})
        tasks.open_tasks(uow.connection, [asked], event_id=event_id, now=uow.now)

    def listed(site: str | None) -> tuple[int, int]:
        role = "site-steward" if site else "regional-steward"
        sees = frozenset() if site else frozenset({SEES_HIDDEN})
        with service.database.question(Caller("n", site, "8", frozenset({role}) | sees)) as uow:
            found = read_worklist(uow, TaskFilter())
            return found.total, len(found.tasks)

    assert [listed(site) for site in ("ROANNE", "CHUSE", None)] == [(1, 1)] * 3
    say(service, f"C1^^^&{service.table.by_code('CHUSE').oid}&ISO", Subject.INDEXING, Stance.OPPOSES)
    assert [listed(site) for site in ("ROANNE", "CHUSE", None)] == [(0, 0), (1, 1), (1, 1)]
    with (
        service.database.question(Caller("n", "ROANNE", "8", frozenset({"site-steward"}))) as uow,
        pytest.raises(NotFound),
    ):
        visible_task(uow, 1)

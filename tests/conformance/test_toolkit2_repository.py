"""The NIST toolkit's plans for the document repository and the responding gateway, positive and negative.

Its plans for imaging document sources and for initiating gateways are of other actors or need simulators. The content
of on-demand documents is that of the plan's own bundle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from lxml import etree
from sqlalchemy import create_engine

from ihe.caller import REGION
from ihe.errors import IheError
from ihe.serving import Context
from ihe.soap.envelope import SoapReply, SoapRequest
from ihe.soap.sinks import Attachment
from ihe.unit_of_work import Database, UnitOfWork
from tests.conformance.toolkit2_plans import Step, StepRecord, errors_of, prepare, substitute
from tests.conformance.toolkit2_runner import SETTINGS, NotPlayable, Outcome, Toolkit2Runner, text_of
from tests.xds_samples import SampleDirectory
from tests.xds_wire import RegistryClient, application
from xds.domain.document_set import MadeContent
from xds.domain.registered import RegisteredEntry
from xds.services.registry import Registry
from xds.translate.ebxml_document_set import XDSB, XOP
from xds.translate.ebxml_vocabulary import LCM

SUBMISSION = f"{{{LCM}}}SubmitObjectsRequest"
RS = "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}"
ACTIONS = {
    "ProvideAndRegisterTransaction": "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    "RetrieveTransaction": "urn:ihe:iti:2007:RetrieveDocumentSet",
    "RdTransaction": "urn:ihe:iti:2017:RemoveDocuments",
    "XCQTransaction": "urn:ihe:iti:2007:CrossGatewayQuery",
    "XCRTransaction": "urn:ihe:iti:2007:CrossGatewayRetrieve",
}
GATEWAY = ("XCQTransaction", "XCRTransaction")
NOT_OURS = (
    "ids",
    "idc",
    "iig",
    "rig",
    "rsnaedge",
    "12038",
    "12083",
    "12300",
    "12306",
    "12308",
    "12315",
    "12337",
)
"""Imaging sources and initiating gateways; requests whose identifiers a person fills in."""
APART = ("15807",)
"""Tests each of whose sections has a patient of its own."""
ORDER = ["submit", "query", "retrieve", "delete", "verify"]
"""Sections of the tests that remove documents."""


class RepositoryClient(RegistryClient):
    """Sends documents too, and keeps those that are answered."""

    received: tuple[bytes, ...] = ()

    def send_documents(self, action: str, body: etree._Element, documents: Mapping[str, bytes]) -> etree._Element:
        content = self.application.repository.content
        endpoint = self.endpoints[action]
        staged = {}
        attachments = {}
        for name, data in documents.items():
            staged[name] = content.stage()
            staged[name].write(data)
            attachments[name] = Attachment(name, "application/octet-stream", staged[name].facts(), staged[name])
        request = SoapRequest(action=action, body_element=body, attachments=attachments)
        try:
            question = endpoint.decode(request)
            with self.database.unit(REGION) as uow:
                context = Context(uow, self.application, endpoint.transaction)
                reply: SoapReply = endpoint.encode(endpoint.serve(question, context), request)
        except IheError as error:
            assert endpoint.refuse is not None
            reply = endpoint.refuse(error, request)
        finally:
            for each in staged.values():
                each.discard()
        self.received = tuple(b"".join(part.chunks) for part in reply.attachments)
        if reply.body_text is not None:
            return etree.fromstring(reply.body_text)
        assert reply.body_element is not None, reply.fault
        return reply.body_element


class Bundle:
    """Makes on-demand documents from the editions that a plan describes, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.editions = [file.read_bytes() for file in sorted(folder.glob("Content*/my_document.txt"))]
        self.next = cycle(self.editions)

    def make(self, uow: UnitOfWork, entry: RegisteredEntry, unique_id: str) -> MadeContent:
        return MadeContent(next(self.next))


class RepositoryRunner(Toolkit2Runner):
    """Plays the steps of a repository, and those of a registry between them."""

    client: RepositoryClient

    def __init__(self, material: Path, client: RepositoryClient, directory: SampleDirectory) -> None:
        super().__init__(material, client, directory)
        self.provided: set[bytes] = set()

    def _patient_of(self, step: Step) -> str:
        return self._patient(f"{step.test}{step.section}" if step.test in APART else step.test)

    def _play(self, step: Step, previous: StepRecord | None) -> tuple[str, StepRecord]:
        if step.kind not in ACTIONS:
            return super()._play(step, previous)
        record = self.records[step.test, step.section, step.name] = StepRecord()
        values = SETTINGS | {name: value for name, value in self._values(step).items() if value}
        template = self._template(step)
        documents: dict[str, bytes] = {}
        try:
            if step.kind == "ProvideAndRegisterTransaction":
                metadata = prepare(step, substitute(template, values), self._patient_of(step), record)
                metadata = metadata if metadata.tag == SUBMISSION else metadata.find(SUBMISSION)
                body, documents = self._provide(step, metadata, record)
            else:
                body = etree.fromstring(substitute(template, values).encode())
        except etree.XMLSyntaxError:
            raise NotPlayable("the metadata file is no XML") from None
        answer = self.client.send_documents(ACTIONS[step.kind], body, documents)
        record.answer = answer
        self._validate(step, answer)
        record.reports |= {f"{name}_uid": uid for name, uid in record.assigned.get("AssignedUids", {}).items()}
        for report in step.transaction.iter("Report"):
            source = body if report.get("section") == "InputMetadata" else answer
            found = source.xpath((report.text or "").strip())
            found = found if isinstance(found, list) else [found]
            record.reports[report.get("name", "")] = text_of(found[0]) if found else ""
        return "; ".join(self._problems(step, values, answer)), record

    @staticmethod
    def _found(values: dict[str, str], name: str) -> str:
        return Toolkit2Runner._found({"$testdata_home$": SETTINGS["$home$"], **values}, name)

    def _rank(self, test: str, section: str) -> tuple[int, int, str]:
        if test.startswith("5000"):
            return (ORDER.index(section.rstrip("12")), 0, section)
        return super()._rank(test, section)

    def _place(self, step: Step, testdir: str | None) -> tuple[str, str]:
        beside = testdir is not None and not (step.folder / testdir).is_dir()
        return super()._place(step, f"../{testdir}" if beside else testdir)

    def _provide(
        self, step: Step, metadata: etree._Element, record: StepRecord
    ) -> tuple[etree._Element, dict[str, bytes]]:
        assigned = record.assigned.get("AssignedUuids", {})
        documents = {}
        elements = []
        for each in step.transaction.iter("Document"):
            name = each.get("id", "")
            file = step.folder / (each.text or "").strip()
            if not file.is_file():
                raise NotPlayable(f"the document {file.name} is not there")
            documents[f"{name}@toolkit"] = file.read_bytes()
            self.provided.add(file.read_bytes())
            elements.append(
                f"<xdsb:Document id={quoteattr(assigned.get(name, name))}>"
                f'<xop:Include href="cid:{name}@toolkit"/></xdsb:Document>'
            )
        body = etree.fromstring(
            f'<xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="{XDSB}" xmlns:xop="{XOP}">'
            f"{''.join(elements)}</xdsb:ProvideAndRegisterDocumentSetRequest>"
        )
        body.insert(0, metadata)
        return body, documents

    def _problems(self, step: Step, values: dict[str, str], answer: etree._Element) -> Iterator[str]:
        inner = answer.find(f"{RS}RegistryResponse")
        response = answer if inner is None and answer.get("status") else inner
        status = response.get("status", "").rpartition(":")[2] if response is not None else ""
        expected = (step.element.findtext("ExpectedStatus") or "Success").strip()
        errors = errors_of(answer)
        if status != expected:
            yield f"status {status}, expected {expected} {errors[:3]}"
            return
        for name in ("ExpectedErrorCode", "ExpectedErrorMessage"):
            wanted = (step.element.findtext(name) or "").strip()
            if wanted and not any(wanted in code or wanted in context for code, context in errors):
                yield f"errors {errors[:3]}, expected {wanted}"
        yield from self._failed_assertions(step, values, _as_logged(step, answer))
        if not self.provided.issuperset(self.client.received):
            yield "an answered document is none of those that were provided"


def _as_logged(step: Step, answer: etree._Element) -> etree._Element:
    """The answer as the toolkit's log has it, in which assertions about gateways look for it."""
    if step.kind not in GATEWAY:
        return answer
    log = etree.Element("Log")
    result = etree.SubElement(etree.SubElement(log, step.kind, step=step.name), "Result")
    result.append(deepcopy(answer))
    return log


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest,
    module_database_url: str,
    shared_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Outcome]:
    material = shared_folder / "testdata/toolkit2"
    tests = material / "testkit/tests"
    if not tests.is_dir():
        pytest.skip("the NIST toolkit's test plans are not there")
    engine = create_engine(module_database_url)
    directory = SampleDirectory()
    folder = tmp_path_factory.mktemp("content")
    served = application(Registry(directory), folder)
    bundle = Bundle(tests / "15812/Register_OD/ContentBundle")
    repository = replace(served.repository, creator=bundle, keeps_on_demand=True)
    client = RepositoryClient(Database(engine), replace(served, repository=repository))
    runner = RepositoryRunner(material, client, directory)
    runner.provided.update(bundle.editions)
    names = sorted(each.name for each in tests.iterdir() if each.is_dir() and not each.name.startswith(NOT_OURS))
    for test in names:
        if any(kind in plan.read_text() for plan in (tests / test).rglob("testplan.xml") for kind in ACTIONS):
            list(runner.run(test))
    yield [each for section in runner.outcomes.values() for each in section]
    engine.dispose()
    assert runner.invalid == {}, "answers that their schemas refuse"


def test_every_step_of_a_repository_agrees(outcomes: list[Outcome]) -> None:
    played = [each for each in outcomes if not each.skipped]
    assert {each.step.label: each.problem for each in played if each.problem} == {}
    assert len(played) > 40


def test_on_demand_documents_are_made_and_kept(outcomes: list[Outcome]) -> None:
    played = [each.step.label for each in outcomes if each.step.test == "15812" and not each.skipped]
    assert [label for label in played if "Retrieve" in label] == [
        "15812/Retrieve_OD/Retrieve_1",
        "15812/Retrieve_OD/Retrieve_2",
    ]


def test_the_plans_of_a_responding_gateway_are_played(outcomes: list[Outcome]) -> None:
    played = [each for each in outcomes if not each.skipped and each.step.kind in GATEWAY]
    assert len(played) >= 12
    assert {each.step.test for each in played} >= {
        "12309",
        "12310",
        "12311",
        "12312",
        "12313",
        "15811",
        "15813",
        "15815",
    }

"""Plays the steps of NIST toolkit test plans that concern the document registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.conformance.toolkit2_plans import (
    Step,
    StepRecord,
    differences,
    errors_of,
    prepare,
    read_steps,
    status_of,
    substitute,
)
from tests.conformance.toolkit2_schemas import invalidity
from tests.xds_samples import SITE_A_OID, SampleDirectory, pid
from tests.xds_wire import RegistryClient

ACTIONS = {
    "RegisterTransaction": "urn:ihe:iti:2007:RegisterDocumentSet-b",
    "RegisterODDETransaction": "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
    "MuTransaction": "urn:ihe:iti:2010:UpdateDocumentSet",
    "RmuTransaction": "urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
    "RemoveMetadataTransaction": "urn:ihe:iti:2010:DeleteDocumentSet",
    "StoredQueryTransaction": "urn:ihe:iti:2007:RegistryStoredQuery",
    "MPQTransaction": "urn:ihe:iti:2009:MultiPatientStoredQuery",
}
_SUBMISSIONS = ("RegisterTransaction", "RegisterODDETransaction", "MuTransaction", "RmuTransaction")
_QUERIES = ("StoredQueryTransaction", "MPQTransaction", "NullTransaction")
PLAYED = frozenset({*ACTIONS, "NullTransaction", "PatientIdentityFeedTransaction"})

SETTINGS = {"$repuid$": "2.25.50", "$repid$": "2.25.50", "$home$": "urn:oid:2.25.70"}
"""Names that the site under test fills."""

LOADS = ("12346", "12361")
"""Tests that register what the query tests ask for; they run first and share a patient with test 15818."""

_PATIENT_NAME = re.compile(r"\$patient_?id\d*\$")

ORDER = {
    "11993": ["submit", "rplc", "apnd", "eval"],
    "12319": [
        "submit_version_1",
        "verify_version_1",
        "deprecate_version_1",
        "verify_deprecated",
        "rmu_update_confCode",
        "verify_deprecated_and_confCode",
        "rmu_update_typeCode",
    ],
    "20001": [
        "submit",
        "eval",
        "submit_apnd_assoc",
        "submit_invalid_assoc",
        "eval_assoc",
        "deprecate_assoc",
        "eval_deprecate_assoc",
        "undeprecate_assoc",
        "eval_undeprecate_assoc",
    ],
    "20004": [
        "original",
        "query_original",
        "failed_update",
        "query_failed_update",
        "success_update",
        "query_success_update",
    ],
    "21004": [
        "doc1",
        "doc2",
        "depr_doc1",
        "fail_assoc_1",
        "appr_doc1",
        "depr_doc2",
        "fail_assoc_2",
        "appr_doc2",
        "success_assoc",
        "eval_assoc",
    ],
    "30001": ["submit", "eval", "remove", "eval_remove"],
    "30003": ["submit", "eval_submit", "remove", "eval_remove"],
    "30005": ["submit", "rplc", "eval", "remove_rplc_only", "eval_remove"],
    "30008": [
        "submit",
        "apnd",
        "xfrm_rplc",
        "eval_submit",
        "attempt_remove_original_set",
        "attempt_remove_apnd_set",
        "remove_xfrm_rplc",
        "remove_branches",
        "eval_remove_branches",
    ],
}
"""Sections whose order the references between them don't tell."""


_BUNDLE = "ContentBundle"
"""Folder of plans that say what a repository makes on demand; they are not played."""


class NotPlayable(Exception):
    """A step that cannot be played, and why."""


@dataclass(frozen=True)
class Outcome:
    """How a step went.

    Attributes:
        problem: where the registry and the plan disagree; empty when they agree.
        skipped: why the step was not played; empty when it was.
    """

    step: Step
    problem: str = ""
    skipped: str = ""


class Toolkit2Runner:
    """Runs plans, each section once; a section that another needs runs first."""

    def __init__(self, material: Path, client: RegistryClient, directory: SampleDirectory) -> None:
        self.tests = material / "testkit/tests"
        self.schemas = material / "schema/v3"
        self.invalid: dict[str, str] = {}
        self.converted = material / "converted-ebrs3/testkit/tests"
        self.client = client
        self.directory = directory
        self.records: dict[tuple[str, str, str], StepRecord] = {}
        self.outcomes: dict[tuple[str, str], list[Outcome]] = {}
        self.patients: dict[str, str] = {}

    def run(self, test: str) -> Iterator[Outcome]:
        """Play every section of a test."""
        plans = [each for each in (self.tests / test).rglob("testplan.xml") if _BUNDLE not in each.parts]
        if len(plans) > 1:  # beside its sections a test may still hold the undivided plan of former versions
            plans = [each for each in plans if each.parent != self.tests / test]
        sections = sorted((self._section_of(plan, test) for plan in plans), key=lambda each: self._rank(test, each))
        for section in sections:
            yield from self._run_section(test, section)

    def _section_of(self, plan: Path, test: str) -> str:
        return str(plan.parent.relative_to(self.tests / test)).removeprefix(".")

    def _rank(self, test: str, section: str) -> tuple[int, int, str]:
        order = ORDER.get(test, [])
        steps = list(read_steps(self.tests / test / section / "testplan.xml", self.tests))
        only_asks = all(step.kind in _QUERIES for step in steps)
        return (order.index(section) if section in order else 99, only_asks, section)

    def _run_section(self, test: str, section: str) -> list[Outcome]:
        if (test, section) in self.outcomes:
            return []
        outcomes = self.outcomes[test, section] = []
        plan = self.tests / test / section / "testplan.xml"
        if not plan.is_file():
            raise NotPlayable(f"there is no section {test}/{section}")
        previous: StepRecord | None = None
        for step in read_steps(plan, self.tests):
            try:
                problem, previous = self._play(step, previous)
                outcomes.append(Outcome(step, problem))
            except NotPlayable as reason:
                outcomes.append(Outcome(step, skipped=str(reason)))
        return outcomes

    def _play(self, step: Step, previous: StepRecord | None) -> tuple[str, StepRecord]:
        record = self.records[step.test, step.section, step.name] = StepRecord()
        if step.kind not in PLAYED:
            raise NotPlayable(step.kind or "no transaction")
        if step.kind == "PatientIdentityFeedTransaction":
            record.reports["$patientid$"] = self._patient(step.test)
            return "", record
        values = self._values(step)
        if step.kind == "NullTransaction":
            record.answer = previous.answer if previous else None
            if record.answer is None:
                raise NotPlayable("there is no answer to look at")
            return "; ".join(self._failed_assertions(step, values, record.answer)), record
        record.answer = self.client.send(ACTIONS[step.kind], self._body(step, values, record))
        self._validate(step, record.answer)
        for report in step.transaction.iter("Report"):
            source = record.sent if report.get("section") == "InputMetadata" else record.answer
            found = source.xpath((report.text or "").strip()) if source is not None else []
            record.reports[report.get("name", "")] = text_of(found[0]) if found else ""
        return "; ".join(self._disagreements(step, values, record.answer)), record

    def _validate(self, step: Step, answer: etree._Element) -> None:
        fault = invalidity(answer, self.schemas)
        if fault:
            self.invalid[step.label] = fault

    def _body(self, step: Step, values: dict[str, str], record: StepRecord) -> etree._Element:
        template = self._template(step)
        if step.kind not in _SUBMISSIONS:
            if "$patient_id$" not in values:
                values = values | {"$patient_id$": self._patient(step.test), "$patientid$": self._patient(step.test)}
            record.sent = etree.fromstring(substitute(template, values).encode())
            return record.sent
        for name in set(_PATIENT_NAME.findall(template)).difference(values):
            values = values | {name: self._patient(step.test + name)}
        patient_id: str | None = None
        if step.element.find("AltPatientId") is not None:
            patient_id = pid("unknown").xds_cx
        elif step.transaction.find("NoPatientId") is None:
            patient_id = values.get("$patientid$") or self._patient(step.test)
        return prepare(step, substitute(template, SETTINGS | values), patient_id, record)

    def _template(self, step: Step) -> str:
        name = (step.transaction.findtext("MetadataFile") or "").strip()
        if not name:
            raise NotPlayable("no metadata file")
        original = (step.folder / name).resolve()
        converted = self.converted / original.relative_to(self.tests.resolve())
        for file in (converted, original):
            if file.is_file():
                text = file.read_text(encoding="utf-8")
                return text[text.index("?>") + 2 :] if text.lstrip().startswith("<?xml") else text
        raise NotPlayable(f"the metadata file {name} is not there")

    def _values(self, step: Step) -> dict[str, str]:
        """What earlier steps give to this one."""
        values: dict[str, str] = {}
        for use in step.transaction.iter("UseId"):
            test, section = self._place(step, use.get("testdir"))
            assigned = self._record(test, section, use.get("step", "")).assigned.get(use.get("section", ""), {})
            values[use.get("symbol", "")] = self._found(assigned, use.get("id", ""))
        for use in step.transaction.iter("UseReport"):
            section = use.get("section", "")
            test = use.get("test", step.test)
            section = step.section if section == "THIS" else section
            reports = self._record(test, section, use.get("step", "")).reports
            values[use.get("useAs", "")] = self._found(reports, use.get("reportName", ""))
        return values

    @staticmethod
    def _found(values: dict[str, str], name: str) -> str:
        if name not in values:
            raise NotPlayable(f"an earlier step did not report {name}")
        return values[name]

    def _place(self, step: Step, testdir: str | None) -> tuple[str, str]:
        if not testdir:
            return step.test, step.section
        folder = (step.folder / testdir).resolve().relative_to(self.tests.resolve())
        return folder.parts[0], "/".join(folder.parts[1:])

    def _record(self, test: str, section: str, step: str) -> StepRecord:
        if (test, section, step) not in self.records:
            self._run_section(test, section)
        if (test, section, step) not in self.records:
            raise NotPlayable(f"there is no step {test}/{section}/{step}")
        return self.records[test, section, step]

    def _patient(self, test: str) -> str:
        """The patient of a test, made known on first use."""
        test = "15818" if test.startswith("12346") else test
        if test not in self.patients:
            patient = pid(f"P{len(self.patients) + 1}", SITE_A_OID)
            self.directory.link(patient, f"person-{len(self.patients) + 1}")
            self.patients[test] = patient.xds_cx
        return self.patients[test]

    def _disagreements(self, step: Step, values: dict[str, str], answer: etree._Element) -> Iterator[str]:
        errors = errors_of(answer)
        expected = (step.element.findtext("ExpectedStatus") or "Success").strip()
        if status_of(answer) != expected:
            yield f"status {status_of(answer)}, expected {expected} {errors[:3]}"
            return
        for name in ("ExpectedErrorCode", "ExpectedErrorMessage"):
            wanted = (step.element.findtext(name) or "").strip()
            if wanted and not any(wanted in code or wanted in context for code, context in errors):
                yield f"errors {errors[:3]}, expected {wanted}"
        contents = step.transaction.find("ExpectedContents")
        if contents is not None:
            yield from differences(contents, answer)
        yield from self._failed_assertions(step, values, answer)

    @staticmethod
    def _failed_assertions(step: Step, values: dict[str, str], answer: etree._Element) -> Iterator[str]:
        tree = etree.fromstring(etree.tostring(answer))
        for assertion in step.transaction.iter("Assert"):
            expression = (assertion.text or "").strip()
            for name in sorted(values, key=len, reverse=True):
                expression = expression.replace(name, values[name])
            try:
                holds = tree.xpath(expression)
            except etree.XPathError as error:
                yield f"assertion {assertion.get('id')}: {error}"
                continue
            if not holds:
                yield f"assertion {assertion.get('id')} does not hold"


def text_of(found: object) -> str:
    """What an XPath found: an element's text, or an attribute."""
    return (found.text or "").strip() if isinstance(found, etree._Element) else str(found)

"""Test plans of the NIST toolkit: reading, and the data that flows from step to step.

A step's metadata is a template: earlier steps fill its ``$names$``, identifiers are made fresh. The rules are those of
the toolkit's own runner, as far as the plans played here use them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from lxml import etree

RIM = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
_PATIENT_ID_SCHEMES = frozenset(
    {
        "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427",
        "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446",
        "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a",
    }
)
_UNIQUE_ID_SCHEMES = frozenset(
    {
        "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab",
        "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8",
        "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a",
    }
)
_fresh = count(1)


def fresh_oid() -> str:
    """An OID that no other step uses."""
    return f"2.25.1234.{next(_fresh)}"


@dataclass
class StepRecord:
    """What a step that ran leaves for later ones.

    Attributes:
        assigned: section (``AssignedUuids``…) → name in the template → value.
        reports: report name → value.
        sent: body of the request.
        answer: body of the answer.
    """

    assigned: dict[str, dict[str, str]] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    sent: etree._Element | None = None
    answer: etree._Element | None = None


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        test: number of the test.
        section: folder of the plan below the test; empty when there is none.
        kind: local name of the transaction element, empty when the step has none.
    """

    test: str
    section: str
    name: str
    folder: Path
    element: etree._Element
    kind: str

    @property
    def transaction(self) -> etree._Element:
        """The transaction element."""
        found = self.element.find(self.kind)
        assert found is not None
        return found

    @property
    def label(self) -> str:
        """Test, section and step."""
        return "/".join(part for part in (self.test, self.section, self.name) if part)


def read_steps(plan: Path, tests: Path) -> Iterator[Step]:
    """The steps of a ``testplan.xml``."""
    relative = plan.parent.relative_to(tests)
    test, section = relative.parts[0], "/".join(relative.parts[1:])
    for element in etree.parse(plan).getroot().iter("TestStep"):
        kinds = [child.tag for child in element if isinstance(child.tag, str) and "Transaction" in child.tag]
        yield Step(test, section, element.get("id", ""), plan.parent, element, kinds[0] if kinds else "")


def substitute(text: str, values: dict[str, str]) -> str:
    """The text with each name replaced, longest names first, values escaped for XML."""
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, values[name].replace("&", "&amp;"))
    return text


def prepare(step: Step, text: str, patient_id: str | None, record: StepRecord) -> etree._Element:
    """Fill a submission: patient identifier, fresh uniqueIds, fresh UUIDs; note them in the record.

    Args:
        patient_id: to inject everywhere, or ``None`` to leave what the template says.
    """
    root = etree.fromstring(text.encode())
    kept = {each.get("id") for each in step.transaction.findall("NoAssignUids")}
    unique_ids: dict[str, str] = {}
    for identifier in root.iter(f"{RIM}ExternalIdentifier"):
        scheme, owner = identifier.get("identificationScheme"), identifier.get("registryObject", "")
        if scheme in _PATIENT_ID_SCHEMES and patient_id is not None:
            identifier.set("value", patient_id)
        if scheme in _PATIENT_ID_SCHEMES:
            record.assigned.setdefault("AssignedPatientId", {})[owner] = identifier.get("value", "")
        literal = not identifier.get("value", "").startswith(("1.", "2."))
        if scheme in _UNIQUE_ID_SCHEMES and owner not in kept and (None not in kept or literal):
            identifier.set("value", fresh_oid())
        if scheme in _UNIQUE_ID_SCHEMES:
            unique_ids[owner] = identifier.get("value", "")
    record.assigned["AssignedUids"] = unique_ids
    if step.transaction.find("AssignUuids") is not None:
        root = _assign_uuids(root, record)
    for name, value in unique_ids.items():
        record.reports[f"{name}_uid"] = value
    for name, value in record.assigned.get("AssignedUuids", {}).items():
        record.reports[f"{name}_uuid"] = value
    record.sent = root
    return root


def _assign_uuids(root: etree._Element, record: StepRecord) -> etree._Element:
    objects = list(root.iter(f"{RIM}ExtrinsicObject", f"{RIM}RegistryPackage", f"{RIM}Association"))
    given = {each.get("id", ""): uuid.uuid4().urn for each in objects if not each.get("id", "").startswith("urn:")}
    for element in root.iter():
        for name in ("id", "classifiedObject", "registryObject", "sourceObject", "targetObject"):
            value = element.get(name)
            if value in given:
                element.set(name, given[value])
    record.assigned["AssignedUuids"] = given | {
        each.get("id", ""): each.get("id", "") for each in objects if each.get("id", "") not in given.values()
    }
    return root


_ERROR = re.compile(r"errorCode=\"([^\"]*)\"")


def errors_of(answer: etree._Element) -> list[tuple[str, str]]:
    """Code and context of each error of an answer."""
    return [
        (each.get("errorCode", ""), each.get("codeContext", ""))
        for each in answer.iter("{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}RegistryError")
    ]


def status_of(answer: etree._Element) -> str:
    """``Success``, ``Failure`` or ``PartialSuccess``."""
    return answer.get("status", "").rpartition(":")[2]


def contents_of(answer: etree._Element) -> dict[str, list[etree._Element]]:
    """The objects of a query answer by kind."""
    listing = answer.find(f"{RIM}RegistryObjectList")
    kinds: dict[str, list[etree._Element]] = {
        name: [] for name in ("ObjectRefs", "Documents", "SubmissionSets", "Folders", "Associations")
    }
    for each in listing if listing is not None else ():
        name = etree.QName(each).localname
        if name == "ExtrinsicObject":
            kinds["Documents"].append(each)
        elif name == "ObjectRef":
            kinds["ObjectRefs"].append(each)
        elif name == "Association":
            kinds["Associations"].append(each)
        elif name == "RegistryPackage":
            nodes = {part.get("classificationNode") for part in each.iterchildren(f"{RIM}Classification")}
            is_set = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd" in nodes
            kinds["SubmissionSets" if is_set else "Folders"].append(each)
    return kinds


def differences(expected: etree._Element, answer: etree._Element) -> Iterator[str]:
    """What an ``ExpectedContents`` asks for and the answer does not hold."""
    kinds = contents_of(answer)
    numbers = {name: len(found) for name, found in kinds.items()}
    for each in expected.iterchildren("*"):
        name = {"DocumentEntries": "Documents"}.get(str(each.tag), str(each.tag))
        if name in numbers:
            wanted = each.get("count")
            if wanted is not None and numbers[name] != int(wanted.strip()):
                yield f"{name}: {numbers[name]}, expected {wanted}"
        elif name in _SHAPES:
            sets, documents, folders = _SHAPES[name]
            found = (numbers["SubmissionSets"], numbers["Documents"], numbers["Folders"])
            if found != (sets, documents, folders):
                yield f"{name}: sets, documents, folders are {found}"
        elif name in _STATUSES:
            kind, status = _STATUSES[name]
            if any(not item.get("status", "").endswith(status) for item in kinds[kind]):
                yield f"{name}: another status"
        elif name == "None":
            if any(numbers.values()):
                yield f"None: {numbers}"
        elif name in ("NoSubmissionSet", "NoDocument"):
            if numbers["SubmissionSets" if name == "NoSubmissionSet" else "Documents"]:
                yield f"{name}: there is one"
        elif name == "HasXFRM_RPLC":
            types = [item.get("associationType", "") for item in kinds["Associations"]]
            if not any(type_.endswith("XFRM_RPLC") for type_ in types):
                yield "HasXFRM_RPLC: there is none"
        else:
            yield f"{name}: not known to this runner"


_SHAPES = {
    "SSwithOneDoc": (1, 1, 0),
    "SSwithTwoDoc": (1, 2, 0),
    "SSwithOneFol": (1, 0, 1),
    "SSwithOneDocOneFol": (1, 1, 1),
    "SSwithTwoDocOneFol": (1, 2, 1),
}
_STATUSES = {
    "DocApp": ("Documents", "Approved"),
    "DocDep": ("Documents", "Deprecated"),
    "FolApp": ("Folders", "Approved"),
    "FolDep": ("Folders", "Deprecated"),
    "SSApproved": ("SubmissionSets", "Approved"),
}

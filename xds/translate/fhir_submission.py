"""A transaction Bundle of MHD ⇄ a submission with its documents.

Source: MHD 4.2 (ITI TF-2: 3.65.4.1.2).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import orjson

from ihe.errors import Finding, MalformedRequest, Refused
from ihe.values import PatientId
from xds.domain.model import (
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    Submission,
    SubmissionSet,
)
from xds.translate.fhir_document import RELATIONS, resource_id
from xds.translate.fhir_document_reader import METADATA_ERROR, ResourceReader, Surroundings, list_kind
from xds.translate.fhir_list import SOURCE_ID
from xds.translate.fhir_terms import Json, instant, is_text, unique_id_of

_TYPE_OF: Final = {frozenset(codes): str(kind) for kind, codes in RELATIONS}
_CARRIED: Final = frozenset({"Patient", "Practitioner", "PractitionerRole", "Organization", "Device", "Encounter"})
"""Resources of a Bundle that become part of the metadata of what refers to them."""

LARGEST_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Of a message that carries documents as base64; larger documents are provided by ITI-41, which streams."""

ORIGINAL: Final = {"SubmissionSetStatus": ("Original",)}
REFERENCE: Final = {"SubmissionSetStatus": ("Reference",)}


@dataclass(frozen=True, slots=True)
class Server:
    """What reading a message asks of this service.

    Attributes:
        patient: the patient of a Patient resource, by logical id.
        knows: whether an identifier's authority is a domain of the region.
        document: the entryUUID of the document with a uniqueId, or ``None``.
        members: entryUUIDs of what an existing folder holds.
        new_id: makes a fresh ``urn:uuid:``.
    """

    patient: Callable[[str], PatientId | None]
    knows: Callable[[PatientId], bool]
    document: Callable[[str], str | None]
    members: Callable[[str], frozenset[str]]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Received:
    """A message as a submission.

    Attributes:
        documents: bytes by the ``id`` of their entry.
        locations: of each entry of the Bundle what it became, such as ``DocumentReference/<id>``; ``None`` when it
            became part of another.
    """

    submission: Submission
    documents: Mapping[str, bytes]
    locations: tuple[str | None, ...] = ()


def is_minimal(profiles: Iterable[str]) -> bool:
    """Whether the declared profiles allow limited metadata."""
    return any("Minimal" in profile or "SimplifiedPublish" in profile for profile in profiles)


def read_bundle(bundle: Json, server: Server) -> Received:
    """Read a transaction Bundle.

    Raises:
        MalformedRequest: a text holds control characters or lone surrogates.
        Refused: it holds not exactly one submission set; carries every finding made on the way.
    """
    if not is_text(bundle):
        raise MalformedRequest("a text holds characters that metadata cannot hold (controls, lone surrogates)")
    return _BundleReader(bundle, server).read()


def read_document(resource: Json, server: Server, source_id: str, moment: datetime) -> Received:
    """Read one DocumentReference that carries its document, in a submission set made for it (ITI-105, ITI-106).

    Args:
        source_id: OID of who submits.
        moment: of the submission.
    """
    set_address = "urn:uuid:set"
    item = {"fullUrl": "urn:uuid:document", "resource": resource, "request": {"method": "POST"}}
    made = {
        "resourceType": "List",
        "contained": resource.get("contained", []),
        "code": {"coding": [{"code": "submissionset"}]},
        "extension": [{"url": SOURCE_ID, "valueIdentifier": {"value": f"urn:oid:{source_id}"}}],
        "subject": resource.get("subject"),
        "date": instant(moment),
        "source": next(iter(resource.get("author", ())), None),
        "entry": [{"item": {"reference": item["fullUrl"]}}],
    }
    bundle = {
        "meta": {"profile": ["SimplifiedPublish"]},
        "entry": [{"fullUrl": set_address, "resource": made, "request": {"method": "POST"}}, item],
    }
    return read_bundle(bundle, server)


@dataclass(slots=True)
class _BundleReader:
    bundle: Json
    server: Server
    reader: ResourceReader = field(init=False)
    ids: dict[str, str] = field(default_factory=dict)
    """The registry's id of each document and list of the Bundle, by fullUrl."""
    associations: list[Association] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limited = is_minimal(self.bundle.get("meta", {}).get("profile", ()))
        server = self.server
        self.reader = ResourceReader(
            Surroundings(self._resolve, server.patient, server.knows, server.new_id, limited=limited)
        )

    def read(self) -> Received:
        items = list(enumerate(self.bundle.get("entry", ())))
        sets: list[tuple[SubmissionSet, Json, str]] = []
        folders: list[tuple[Folder, Json, str]] = []
        updated: list[tuple[str, Json, str]] = []
        entries: list[tuple[DocumentEntry, Json, str]] = []
        for index, item in items:
            resource, path = item.get("resource", {}), f"Bundle.entry[{index}].resource"
            kind, method = resource.get("resourceType"), item.get("request", {}).get("method", "POST")
            if kind == "DocumentReference" and method == "POST":
                entry = self.reader.entry(resource, path)
                entries.append((self._with_content(entry, resource, path), resource, path))
                self._name(item, entry.id)
            elif kind == "List" and list_kind(resource) == "submissionset" and method == "POST":
                found = self.reader.submission_set(resource, path)
                sets.append((found, resource, path))
                self._name(item, found.id)
            elif kind == "List" and list_kind(resource) == "folder" and method == "POST":
                folder = self.reader.folder(resource, path)
                folders.append((folder, resource, path))
                self._name(item, folder.id)
            elif kind == "List" and list_kind(resource) == "folder" and method == "PUT":
                folder_id = self._existing(str(item["request"].get("url", "")), resource)
                updated.append((folder_id, resource, path))
                self._name(item, folder_id)
            elif kind == "Parameters" and method == "PATCH":
                continue
            elif kind != "Binary" and kind not in _CARRIED and resource.get("type") != "document":
                problem = f"{kind} with {method} is no part of a provided bundle"
                self._note(METADATA_ERROR, path, problem)
        if len(sets) != 1:
            problem = f"a provided bundle holds exactly one List of code submissionset; found {len(sets)}"
            raise Refused([Finding(METADATA_ERROR, problem, "Bundle"), *self.reader.findings])
        ((submission_set, resource, path),) = sets
        self._set_members(submission_set.id, resource, path)
        for folder, resource, path in folders:
            self._folder_members(folder.id, resource, path)
        for folder_id, resource, path in updated:
            self._added_members(submission_set.id, folder_id, resource, path)
        for entry, resource, path in entries:
            self._relations(entry.id, resource, path)
        self._check_patches(items)
        submission = Submission(
            submission_set=submission_set,
            entries=tuple(entry for entry, _, _ in entries),
            folders=tuple(folder for folder, _, _ in folders),
            associations=tuple(self.associations),
            findings=tuple(self.reader.findings),
        )
        return Received(submission, self.documents, tuple(self._location(item, entries) for _, item in items))

    def _resolve(self, reference: Mapping[str, Any], holder: Mapping[str, Any]) -> Json | None:
        address = str(reference.get("reference", ""))
        if address.startswith("#"):
            return next((each for each in holder.get("contained", ()) if f"#{each.get('id')}" == address), None)
        return next((item["resource"] for item in self._addressed(address)), None) if address else None

    def _addressed(self, address: str) -> Iterator[Json]:
        for item in self.bundle.get("entry", ()):
            resource = item.get("resource", {})
            relative = f"{resource.get('resourceType')}/{resource.get('id')}"
            if item.get("fullUrl") == address or (resource.get("id") and relative == address):
                yield item

    def _name(self, item: Json, object_id: str) -> None:
        resource = item["resource"]
        if item.get("fullUrl"):
            self.ids[item["fullUrl"]] = object_id
        if resource.get("id"):
            self.ids.setdefault(f"{resource['resourceType']}/{resource['id']}", object_id)

    def _with_content(self, entry: DocumentEntry, resource: Json, path: str) -> DocumentEntry:
        """Take the document out of its Binary, or out of the attachment itself."""
        attachment = resource["content"][0].get("attachment", {})
        address = str(attachment.get("url", ""))
        binary = self._resolve({"reference": address}, resource) if address else None
        if binary is not None and binary.get("resourceType") == "Bundle":
            return self._with_fhir_document(entry, binary)
        data = binary.get("data", "") if binary is not None else attachment.get("data")
        if data is None:
            return entry
        self.documents[entry.id] = decoded(data, f"{path}.content[0].attachment", self.reader.findings)
        if entry.mime_type is None and binary is not None:
            return replace(entry, mime_type=binary.get("contentType"))
        return entry

    def _with_fhir_document(self, entry: DocumentEntry, document: Json) -> DocumentEntry:
        """Keep a FHIR document as JSON; its bytes are written here, so hash and size are those of these bytes."""
        self.documents[entry.id] = orjson.dumps(document)
        return replace(entry, mime_type="application/fhir+json", hash=None, size=None)

    def _target(self, reference: Json, path: str) -> str | None:
        """The registry's id of a document or list that a Reference means; a finding when it means none."""
        address = str(reference.get("reference", ""))
        found = self.ids.get(address)
        if found is None and "?identifier=" in address:
            found = self._by_identifier(address.rpartition("?identifier=")[2])
        elif found is None and address:
            *parts, last = address.split("/")
            if parts and parts[-1] in ("DocumentReference", "List"):
                found = f"urn:uuid:{last.lower()}"
        elif found is None and reference.get("identifier"):
            unique_id = unique_id_of(reference["identifier"])
            found = self.server.document(unique_id) if unique_id else None
        if found is None:
            self._note("UnresolvedReferenceException", path, "refers to no document or list here")
        return found

    def _by_identifier(self, token: str) -> str | None:
        system, separator, value = token.partition("|")
        unique_id = unique_id_of({"system": system, "value": value} if separator else {"value": system})
        return self.server.document(unique_id) if unique_id else None

    def _existing(self, url: str, resource: Json) -> str:
        """The folder that a PUT addresses; by the UUID among its identifiers when the address names none."""
        own = next((i["value"] for i in resource.get("identifier", ()) if i.get("use") == "official"), "")
        last = url.partition("/")[2]
        return f"urn:uuid:{last.lower()}" if last else str(own).lower()

    def _items(self, resource: Json, path: str) -> Iterator[str]:
        for index, each in enumerate(resource.get("entry", ())):
            found = self._target(each.get("item", {}), f"{path}.entry[{index}].item")
            if found is not None:
                yield found

    def _set_members(self, set_id: str, resource: Json, path: str) -> None:
        present, folders = set(self.ids.values()), self._folders()
        for target in self._items(resource, path):
            if target.startswith("urn:uuid:") and target in self._existing_folders():
                continue
            of_document = ORIGINAL if target in present else REFERENCE
            self._member(set_id, target, None if target in folders else of_document)

    def _folders(self) -> set[str]:
        """Ids of the folders that the Bundle brings."""
        lists = (
            (item.get("fullUrl", ""), f"List/{item['resource'].get('id')}")
            for item in self.bundle.get("entry", ())
            if item.get("resource", {}).get("resourceType") == "List"
        )
        return {found for names in lists for name in names if (found := self.ids.get(name)) is not None}

    def _existing_folders(self) -> set[str]:
        return {
            self.ids.get(item.get("fullUrl", ""), "")
            for item in self.bundle.get("entry", ())
            if item.get("request", {}).get("method") == "PUT"
        }

    def _folder_members(self, folder_id: str, resource: Json, path: str) -> None:
        for target in self._items(resource, path):
            self._member(folder_id, target)

    def _added_members(self, set_id: str, folder_id: str, resource: Json, path: str) -> None:
        """What a folder gains; what it holds already stays, also where the List leaves it out."""
        held = self.server.members(folder_id)
        for target in self._items(resource, path):
            if target not in held:
                added = self._member(folder_id, target)
                self._member(set_id, added.id)

    def _member(self, source: str, target: str, slots: Mapping[str, tuple[str, ...]] | None = None) -> Association:
        found = Association(
            id=self.server.new_id(),
            type=AssociationType.HAS_MEMBER,
            source=source,
            target=target,
            slots=slots or {},
        )
        self.associations.append(found)
        return found

    def _relations(self, entry_id: str, resource: Json, path: str) -> None:
        codes: dict[str, set[str]] = {}
        for index, each in enumerate(resource.get("relatesTo", ())):
            target = self._target(each.get("target", {}), f"{path}.relatesTo[{index}].target")
            if target is not None:
                codes.setdefault(target, set()).add(each["code"])
        for target, found in codes.items():
            joined = _TYPE_OF.get(frozenset(found))
            for kind in [joined] if joined else [_TYPE_OF[frozenset({code})] for code in sorted(found)]:
                self.associations.append(
                    Association(id=self.server.new_id(), type=kind, source=entry_id, target=target)
                )

    def _check_patches(self, items: Iterable[tuple[int, Json]]) -> None:
        """A PATCH may only say what a replacement does anyway: that its target is superseded."""
        replaced = {each.target for each in self.associations if "RPLC" in each.type}
        for index, item in items:
            if item.get("request", {}).get("method") != "PATCH":
                continue
            path = f"Bundle.entry[{index}]"
            target = self._target({"reference": item["request"].get("url", "")}, f"{path}.request.url")
            parts = [
                {part.get("name"): next((v for k, v in part.items() if k.startswith("value")), None) for part in p}
                for parameter in item.get("resource", {}).get("parameter", ())
                if (p := parameter.get("part"))
            ]
            wanted = {"type": "replace", "path": "DocumentReference.status", "value": "superseded"}
            if target not in replaced or parts != [wanted]:
                self._note(METADATA_ERROR, path, "only the status of a document that the bundle replaces is patched")

    def _location(self, item: Json, entries: list[tuple[DocumentEntry, Json, str]]) -> str | None:
        resource = item.get("resource", {})
        kind = resource.get("resourceType")
        if kind in ("Binary", "Bundle"):
            for entry, reference, _ in entries:
                if self._resolve({"reference": str(reference["content"][0]["attachment"].get("url", ""))}, {}) is (
                    resource
                ):
                    return f"Binary/{resource_id(entry.id)}"
        found = self.ids.get(item.get("fullUrl", "")) or self.ids.get(f"{kind}/{resource.get('id')}")
        return f"{kind}/{resource_id(found)}" if found and kind in ("DocumentReference", "List") else None

    def _note(self, code: str, path: str, problem: str) -> None:
        self.reader.findings.append(Finding(code, f"{path}: {problem}", path))


def decoded(data: str, path: str, findings: list[Finding]) -> bytes:
    """Bytes of a base64 text; a finding when it is none."""
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        findings.append(Finding(METADATA_ERROR, f"{path}: the data is no base64", path))
        return b""


def response_bundle(
    locations: Iterable[str | None], warnings: Iterable[Finding], moment: datetime, base_url: str
) -> Json:
    """The transaction-response: one entry for each of the request, in order; warnings with the first."""
    found: list[Json] = []
    for location in locations:
        if location is None:
            found.append({"response": {"status": "200 OK"}})
            continue
        response = {"status": "201 Created", "location": f"{base_url}/{location}", "lastModified": instant(moment)}
        found.append({"response": response})
    issues = [
        {
            "severity": "warning",
            "code": "business-rule",
            "details": {"coding": [{"code": each.code}]},
            "diagnostics": f"{each.code}: {each.context}",
        }
        for each in warnings
    ]
    if issues and found:
        found[0]["response"]["outcome"] = {"resourceType": "OperationOutcome", "issue": issues}
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": found}

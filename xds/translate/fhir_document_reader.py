"""FHIR DocumentReference and List → DocumentEntry, SubmissionSet, Folder (MHD 4.2, PDSm).

Reads what can be represented; whether it is complete and allowed is decided by the registry's own checks. What cannot
be read becomes a finding with its FHIRPath.

Source: MHD 4.2 (ITI TF-3: 4.5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from ihe.errors import Finding
from ihe.values import Code, PatientId
from xds.domain.checks import lacks_full_metadata
from xds.domain.model import Author, DocumentEntry, Folder, LocalizedText, SubmissionSet, Texts
from xds.translate import fhir_people
from xds.translate.fhir_list import AUTHOR_ORGANIZATION, DESIGNATION_TYPE, INTENDED_RECIPIENT, SOURCE_ID
from xds.translate.fhir_people import Resolve
from xds.translate.fhir_terms import (
    Json,
    code_of,
    code_of_coding,
    codes_of,
    dtm_of,
    hash_of_base64,
    patient_id_of,
    reference_id_of,
    unique_id_of,
)

METADATA_ERROR: Final = "XDSRegistryMetadataError"
ENCOUNTER_TYPE: Final = "urn:ihe:iti:xds:2015:encounterId"
_EXTENSION_NAMES: Final = {
    SOURCE_ID: ("ihe-sourceId", "sourceId"),
    DESIGNATION_TYPE: ("ihe-designationType", "designationType"),
    INTENDED_RECIPIENT: (
        "ihe-intendedRecipient",
        "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-intended-recipient",
    ),
    AUTHOR_ORGANIZATION: ("ihe-authorOrg", "authorOrg"),
}
"""Other addresses under which the extensions are met: PDSm's own, and the bare names of its examples."""

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the references of a resource lead.

    Attributes:
        resolve: the resource in the same message, by reference and the resource that holds it.
        patient: the patient of a Patient of this server, by logical id.
        knows: whether an identifier's authority is a domain of the region.
        new_id: makes a fresh ``urn:uuid:``.
        limited: whether metadata may be limited (Minimal Metadata, Simplified Publish).
    """

    resolve: Callable[[Mapping[str, Any], Mapping[str, Any]], Json | None]
    patient: Callable[[str], PatientId | None]
    knows: Callable[[PatientId], bool]
    new_id: Callable[[], str]
    limited: bool


@dataclass(slots=True)
class ResourceReader:
    """Reads the resources of one message and collects what is wrong with them."""

    around: Surroundings
    findings: list[Finding] = field(default_factory=list)

    def entry(self, resource: Json, path: str) -> DocumentEntry:
        """The document entry of a DocumentReference; without repository, hash and size where they are absent."""
        content = resource["content"][0]
        attachment, context = content.get("attachment", {}), resource.get("context", {})
        resolve = self._resolve_in(resource)
        patient = self.patient(resource.get("subject"), resource, f"{path}.subject")
        source = self._source_patient(context.get("sourcePatientInfo"), resource)
        source_id = self._patient_of(source) if source else None
        if source_id is None:
            source_id = self._own_patient(context.get("sourcePatientInfo")) or patient
        facts = self._when(attachment.get("creation"), f"{path}.content[0].attachment.creation")
        period = context.get("period", {})
        entry = DocumentEntry(
            id=self._entry_uuid(resource),
            unique_id=self._unique_id(resource, as_oid=False),
            patient_id=patient,
            source_patient_id=source_id,
            source_patient_info=fhir_people.source_patient_info(source) if source else (),
            title=_texts(attachment.get("title")),
            comments=_texts(resource.get("description")),
            authors=self._authors(resource.get("author", ()), resolve),
            legal_authenticator=self._person(resource.get("authenticator"), resolve),
            class_code=next(iter(codes_of(resource.get("category", ()))), None),
            type_code=code_of(resource.get("type")),
            format_code=code_of_coding(content.get("format", {})),
            healthcare_facility_type_code=code_of(context.get("facilityType")),
            practice_setting_code=code_of(context.get("practiceSetting")),
            confidentiality_codes=codes_of(resource.get("securityLabel", ())),
            event_code_list=codes_of(context.get("event", ())),
            creation_time=facts,
            service_start_time=self._when(period.get("start"), f"{path}.context.period.start"),
            service_stop_time=self._when(period.get("end"), f"{path}.context.period.end"),
            language_code=attachment.get("language"),
            mime_type=attachment.get("contentType"),
            hash=self._hash(attachment.get("hash"), f"{path}.content[0].attachment.hash"),
            size=attachment.get("size"),
            reference_id_list=tuple(self._references(context)),
        )
        if len(resource["content"]) > 1:
            self._wrong(f"{path}.content", "a document has one content; send another DocumentReference for the other")
        return self._limited(entry)

    def submission_set(self, resource: Json, path: str) -> SubmissionSet:
        """The submission set of a List."""
        source_id = next(_extensions(resource, SOURCE_ID, "valueIdentifier"), None)
        resolve = self._resolve_in(resource)
        return self._limited(
            SubmissionSet(
                id=self._entry_uuid(resource),
                unique_id=self._unique_id(resource, as_oid=True),
                source_id=_source_id(source_id) if source_id else None,
                patient_id=self.patient(resource.get("subject"), resource, f"{path}.subject"),
                submission_time=self._when(resource.get("date"), f"{path}.date"),
                title=_texts(resource.get("title")),
                comments=_texts(*(note.get("text") for note in resource.get("note", ())[:1])),
                authors=self._list_source(resource.get("source"), resolve),
                content_type_code=next(iter(_designations(resource)), None),
                intended_recipients=tuple(
                    found
                    for each in _extensions(resource, INTENDED_RECIPIENT, "valueReference")
                    if (found := fhir_people.recipient_of(each, resolve)) is not None
                ),
            )
        )

    def folder(self, resource: Json, path: str) -> Folder:
        """The folder of a List."""
        return self._limited(
            Folder(
                id=self._entry_uuid(resource),
                unique_id=self._unique_id(resource, as_oid=True),
                patient_id=self.patient(resource.get("subject"), resource, f"{path}.subject"),
                title=_texts(resource.get("title")),
                comments=_texts(*(note.get("text") for note in resource.get("note", ())[:1])),
                codes=tuple(_designations(resource)),
            )
        )

    def patient(self, reference: Json | None, holder: Json, path: str) -> PatientId | None:
        """The patient identifier that a subject names; a finding when it names none."""
        if reference is None:
            return None
        resource = self.around.resolve(reference, holder)
        found = self._patient_of(resource) if resource else None
        found = found or self._own_patient(reference) or patient_id_of(reference.get("identifier", {}))
        if found is None:
            problem = "refers to no Patient of this service and has no identifier with an OID as system"
            self.findings.append(Finding("XDSUnknownPatientId", f"{path} {problem}", path))
        return found

    def _source_patient(self, reference: Json | None, holder: Json) -> Json | None:
        return self.around.resolve(reference, holder) if reference else None

    def _patient_of(self, resource: Mapping[str, Any]) -> PatientId | None:
        """The first identifier that the region knows, else the first with an OID."""
        found = [each for item in resource.get("identifier", ()) if (each := patient_id_of(item)) is not None]
        return next(filter(self.around.knows, found), next(iter(found), None))

    def _own_patient(self, reference: Json | None) -> PatientId | None:
        *path, resource_id = str((reference or {}).get("reference", "")).partition("?")[0].split("/")
        return self.around.patient(resource_id) if path and path[-1] == "Patient" else None

    def _resolve_in(self, holder: Json) -> Resolve:
        return lambda reference: self.around.resolve(reference, holder)

    def _entry_uuid(self, resource: Json) -> str:
        """The UUID that the source chose, in ``identifier`` beside the uniqueId, else a fresh one."""
        unique = resource.get("masterIdentifier", {}).get("value")
        identifiers = [
            each
            for each in resource.get("identifier", ())
            if str(each.get("value", "")).startswith("urn:uuid:") and each.get("value") != unique
        ]
        if resource["resourceType"] == "List":
            identifiers = [each for each in identifiers if each.get("use") == "official"]
        return str(identifiers[0]["value"]).lower() if identifiers else self.around.new_id()

    def _unique_id(self, resource: Json, *, as_oid: bool) -> str | None:
        """The uniqueId stated, else an OID made from a fresh UUID."""
        items = [resource.get("masterIdentifier", {})]
        if resource["resourceType"] == "List":
            items = [each for each in resource.get("identifier", ()) if each.get("use") != "official"]
        found = next((each for item in items if (each := unique_id_of(item, as_oid=as_oid)) is not None), None)
        return found or unique_id_of({"value": self.around.new_id()}, as_oid=True)

    def _authors(self, references: Iterable[Json], resolve: Resolve) -> tuple[Author, ...]:
        found = [fhir_people.author_of(reference, resolve) for reference in references]
        self._note_unresolved(found.count(None))
        return tuple(author for author in found if author is not None)

    def _person(self, reference: Json | None, resolve: Resolve) -> str | None:
        return fhir_people.person_of(reference, resolve) if reference else None

    def _list_source(self, reference: Json | None, resolve: Resolve) -> tuple[Author, ...]:
        if reference is None:
            return ()
        author = fhir_people.author_of(reference, resolve) or Author()
        for each in _extensions(reference, AUTHOR_ORGANIZATION, "valueReference"):
            organization = fhir_people.author_of(each, resolve)
            if organization is not None:
                author = replace(author, institutions=(*author.institutions, *organization.institutions))
        return (author,) if author != Author() else ()

    def _note_unresolved(self, count: int) -> None:
        if count:
            context = f"{count} author(s) are references to other servers; contain them to have them kept"
            self.findings.append(Finding("XDSExtraMetadataNotSaved", context, None, "Warning"))

    def _references(self, context: Json) -> Iterable[str]:
        for each in context.get("related", ()):
            found = reference_id_of(each.get("identifier", {}))
            if found is not None:
                yield found
        for each in context.get("encounter", ()):
            identifier = {**each.get("identifier", {}), "type": {"coding": [{"code": ENCOUNTER_TYPE}]}}
            found = reference_id_of(identifier)
            if found is not None:
                yield found

    def _when(self, text: str | None, path: str) -> str | None:
        if not text:
            return None
        try:
            return dtm_of(str(text))
        except ValueError as error:
            self._wrong(path, str(error))
            return None

    def _hash(self, text: str | None, path: str) -> str | None:
        if not text:
            return None
        try:
            return hash_of_base64(text)
        except ValueError as error:
            self._wrong(path, str(error))
            return None

    def _limited(self, item: T) -> T:
        limited = self.around.limited and lacks_full_metadata(item)
        return replace(item, limited_metadata=True) if limited else item

    def _wrong(self, path: str, problem: str) -> None:
        self.findings.append(Finding(METADATA_ERROR, f"{path}: {problem}", path))


def list_kind(resource: Mapping[str, Any]) -> str | None:
    """``submissionset``, ``folder``, or what else the List says it is."""
    code = code_of(resource.get("code"))
    return code.code if code else None


def _texts(*values: str | None) -> Texts:
    return tuple(LocalizedText(value) for value in values if value)


def _extensions(item: Mapping[str, Any], url: str, value: str) -> Iterator[Json]:
    urls = (url, *_EXTENSION_NAMES[url])
    return iter([e[value] for e in item.get("extension", ()) if e.get("url") in urls and value in e])


def _designations(resource: Json) -> list[Code]:
    return [
        code
        for each in _extensions(resource, DESIGNATION_TYPE, "valueCodeableConcept")
        if (code := code_of(each)) is not None
    ]


def _source_id(identifier: Json) -> str | None:
    """An OID in the value; where the value is no OID but the system is one, the system."""
    found = unique_id_of({"value": identifier.get("value")}, as_oid=True)
    system = str(identifier.get("system", ""))
    if system.startswith("urn:oid:") and not str(identifier.get("value", "")).startswith("urn:oid:"):
        return system.removeprefix("urn:oid:")
    return found

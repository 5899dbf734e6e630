"""Search parameters of DocumentReference → what is looked for (ITI-67).

What the registry's own criteria can express narrows the search in the database; the rest is decided by the metadata
of what was found.

Source: MHD 4.2 (ITI TF-2: 3.67.4.1.2.1); MADO for the parameters of imaging.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from ihe.errors import MissingElement
from ihe.http import HttpRequest
from ihe.values import Code, format_dtm
from xds.domain.criteria import DocumentCriteria, Period
from xds.domain.model import Author, DocumentEntry
from xds.domain.registered import RegisteredEntry
from xds.translate.fhir_search import (
    ANY_TIME,
    FIRST_PAGE,
    Page,
    PatientQuestion,
    Token,
    alternatives,
    narrower,
    overlaps,
    patient_question,
    period_of,
    read_parameters,
    reference_identifier_of,
    token_of,
    unique_ids_of,
    within,
)
from xds.translate.fhir_terms import reference_identifier

DOCUMENT_PARAMETERS: Final[tuple[tuple[str, str, str], ...]] = (
    ("_id", "token", "entryUUID without its prefix"),
    ("_lastUpdated", "date", "moment of registration"),
    ("author.family", "string", "author: family name"),
    ("author.given", "string", "author: given name"),
    ("category", "token", "classCode"),
    ("creation", "date", "creationTime"),
    ("date", "date", "moment of registration"),
    ("event", "token", "eventCodeList"),
    ("facility", "token", "healthcareFacilityTypeCode"),
    ("format", "token", "formatCode"),
    ("identifier", "token", "uniqueId or entryUUID"),
    ("patient", "reference", "patientId, by the Patient of this server"),
    ("patient.identifier", "token", "patientId: regional, local of any site, or INS"),
    ("period", "date", "serviceStartTime to serviceStopTime, overlapping"),
    ("related", "reference", "referenceIdList (`related:identifier` and `related.identifier` too)"),
    ("security-label", "token", "confidentialityCode"),
    ("setting", "token", "practiceSettingCode"),
    ("status", "token", "availabilityStatus: current or superseded"),
    ("type", "token", "typeCode"),
    ("study-instance-uid", "token", "referenceIdList of type studyInstanceUID"),
    ("accession-number", "token", "referenceIdList of type accession"),
    ("modality", "token", "eventCodeList"),
)
"""Name, FHIR type and the attribute searched."""

_ONE_CODE: Final = {
    "category": ("class_codes", "class_code"),
    "type": ("type_codes", "type_code"),
    "format": ("format_codes", "format_code"),
    "facility": ("healthcare_facility_type_codes", "healthcare_facility_type_code"),
    "setting": ("practice_setting_codes", "practice_setting_code"),
}
_MANY_CODES: Final = {
    "event": ("event_codes", "event_code_list"),
    "modality": ("event_codes", "event_code_list"),
    "security-label": ("confidentiality_codes", "confidentiality_codes"),
}
_STATUSES: Final = {"current": "Approved", "superseded": "Deprecated"}
_RELATED_TYPE: Final = {
    "study-instance-uid": "urn:ihe:iti:xds:2016:studyInstanceUID",
    "accession-number": "urn:ihe:iti:xds:2013:accession",
}

_EVERYTHING: Final = DocumentCriteria(statuses=("Approved", "Deprecated"), on_demand=None)

Test = Callable[[DocumentEntry], bool]


@dataclass(frozen=True, slots=True)
class DocumentSearch:
    """One search for documents.

    Attributes:
        patient: whose; ``None`` when ``ids`` or ``identifiers`` name the documents.
        criteria: what the database decides.
        ids: entryUUIDs of which one must be the document's; ``None`` any.
        identifiers: uniqueIds or entryUUIDs likewise, for each parameter.
        registered: when it was registered.
        tests: what its metadata must pass.
    """

    patient: PatientQuestion | None = None
    criteria: DocumentCriteria = _EVERYTHING
    ids: frozenset[str] | None = None
    identifiers: tuple[frozenset[str], ...] = ()
    registered: Period = ANY_TIME
    tests: tuple[Test, ...] = ()
    page: Page = FIRST_PAGE

    def admits(self, entry: RegisteredEntry) -> bool:
        """Whether identity, status and moment of registration are as asked."""
        return (
            (self.ids is None or entry.id in self.ids)
            and all(entry.unique_id in each or entry.id in each for each in self.identifiers)
            and entry.status.rpartition(":")[2] in self.criteria.statuses
            and within(self.registered, int(format_dtm(entry.registered_at)))
        )


def read_document_search(request: HttpRequest) -> DocumentSearch:
    """Read the parameters of a search.

    Raises:
        InvalidElement: a parameter is unknown or its value malformed.
        MissingElement: neither a patient nor the documents themselves are named.
    """
    reader = _Reader()
    names = [name for name, _, _ in DOCUMENT_PARAMETERS]
    readers = dict.fromkeys([*names, "related:identifier", "related.identifier", "_lastupdated"], reader.read)
    page = read_parameters(request, readers)
    found = replace(reader.search, page=page)
    if found.patient is None:
        if found.ids is None and not found.identifiers:
            raise MissingElement("a search for documents names a patient by patient or patient.identifier", "patient")
        if reader.narrows:
            raise MissingElement("other parameters than _id, identifier and status need a patient", "patient")
    return found


class _Reader:
    """Collects one parameter after the other."""

    def __init__(self) -> None:
        self.search = DocumentSearch()
        self.narrows = False

    def read(self, name: str, value: str) -> None:
        search = self.search
        if name in ("patient", "patient:Patient", "patient.identifier", "patient:Patient.identifier"):
            plain = name.replace(":Patient", "")
            self.search = replace(search, patient=patient_question(plain, value))
        elif name == "_id":
            ids = frozenset(f"urn:uuid:{each.lower()}" for each in alternatives(value, name))
            self.search = replace(search, ids=ids if search.ids is None else ids & search.ids)
        elif name == "identifier":
            self.search = replace(search, identifiers=(*search.identifiers, unique_ids_of(value, name)))
        elif name == "status":
            wanted = {_STATUSES.get(each.rpartition("|")[2]) for each in alternatives(value, name)}
            kept = tuple(each for each in search.criteria.statuses if each in wanted)
            self._criteria(statuses=kept)
        else:
            self.narrows = True
            self._narrow(name, value)

    def _narrow(self, name: str, value: str) -> None:
        search = self.search
        if name in ("date", "_lastUpdated", "_lastupdated"):
            self.search = replace(search, registered=narrower(search.registered, period_of(value, name)))
        elif name == "creation":
            period = narrower(search.criteria.creation_time, period_of(value, name))
            self._criteria(creation_time=period)
            self._test(lambda entry: entry.creation_time is not None)
        elif name == "period":
            period = period_of(value, name)
            self._test(lambda entry: overlaps(period, entry.service_start_time, entry.service_stop_time))
        elif name in ("author.family", "author.given"):
            self._author(name, [fold(each) for each in alternatives(value, name)])
        elif name in _ONE_CODE:
            self._one_code(*_ONE_CODE[name], [token_of(each) for each in alternatives(value, name)])
        elif name in _MANY_CODES:
            self._many_codes(*_MANY_CODES[name], [token_of(each) for each in alternatives(value, name)])
        else:
            self._related(value, name)

    def _one_code(self, criterion: str, field: str, tokens: list[Token]) -> None:
        keys = [token.key for token in tokens]
        if all(keys) and not getattr(self.search.criteria, criterion):
            self._criteria(**{criterion: tuple(keys)})
        else:
            self._test(lambda entry: has_code(_codes(getattr(entry, field)), tokens))

    def _many_codes(self, criterion: str, field: str, tokens: list[Token]) -> None:
        keys = [token.key for token in tokens]
        if all(keys):
            self._criteria(**{criterion: (*getattr(self.search.criteria, criterion), tuple(keys))})
        else:
            self._test(lambda entry: has_code(getattr(entry, field), tokens))

    def _related(self, value: str, name: str) -> None:
        wanted = reference_identifier_of(value, name)
        kind = _RELATED_TYPE.get(name)
        self._test(lambda entry: any(_is_related(each, wanted, kind) for each in entry.reference_id_list))

    def _author(self, name: str, wanted: list[str]) -> None:
        part = family_names if name == "author.family" else given_names
        self._test(
            lambda entry: any(
                found.startswith(each) for author in entry.authors for found in part(author) for each in wanted
            )
        )

    def _criteria(self, **changes: Any) -> None:
        self.search = replace(self.search, criteria=replace(self.search.criteria, **changes))

    def _test(self, test: Test) -> None:
        self.search = replace(self.search, tests=(*self.search.tests, test))


def fold(text: str) -> str:
    """Text as strings are searched: without case and accents."""
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))


def family_names(author: Author) -> Iterable[str]:
    """The family name of an author, folded."""
    return [fold((author.person or "").split("^")[1])] if (author.person or "").count("^") >= 1 else []


def given_names(author: Author) -> Iterable[str]:
    """The given names of an author, folded."""
    parts = (author.person or "").split("^")[2:4]
    return [fold(word) for part in parts for word in part.split() if word]


def _codes(code: Code | None) -> tuple[Code, ...]:
    return () if code is None else (code,)


def has_code(codes: Iterable[Code], tokens: list[Token]) -> bool:
    """Whether one of the codes is one of those asked for."""
    return any(
        token.scheme in (None, code.scheme) and token.code in (None, code.code) for code in codes for token in tokens
    )


def _is_related(cxi: str, wanted: frozenset[tuple[str, str]], kind: str | None) -> bool:
    found = reference_identifier(cxi)
    types = {each["code"] for each in found.get("type", {}).get("coding", ())}
    if kind is not None and kind not in types:
        return False
    system, value = found.get("system", ""), found["value"]
    plain = value.removeprefix("urn:oid:")
    return any(
        (value == other_value and (system == other_system))
        or (other_value.removeprefix("urn:oid:") == plain and (other_system, system) in _SAME)
        or (kind is not None and other_value.removeprefix("urn:oid:") == plain and other_system.startswith("urn:ietf"))
        for other_system, other_value in wanted
    )


_SAME: Final = frozenset({("urn:ietf:rfc:3986", "urn:ietf:rfc:3986"), ("urn:ietf:rfc:3986", ""), ("", "")})

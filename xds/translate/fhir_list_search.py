"""Search parameters of List → which submission sets and folders are looked for (ITI-66).

Source: MHD 4.2 (ITI TF-2: 3.66.4.1.2.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ihe.errors import MissingElement
from ihe.http import HttpRequest
from ihe.values import Code, format_dtm
from xds.domain.criteria import FolderCriteria, Period, SetCriteria
from xds.domain.datatypes import dtm_start
from xds.domain.model import Author, Folder, SubmissionSet
from xds.domain.registered import RegisteredFolder, RegisteredSet
from xds.translate.fhir_document_search import family_names, fold, given_names, has_code
from xds.translate.fhir_search import (
    ANY_TIME,
    FIRST_PAGE,
    Page,
    PatientQuestion,
    alternatives,
    narrower,
    patient_question,
    period_of,
    read_parameters,
    token_of,
    unique_ids_of,
    within,
)

LIST_PARAMETERS: Final[tuple[tuple[str, str, str], ...]] = (
    ("_id", "token", "entryUUID without its prefix"),
    ("_lastUpdated", "date", "moment of registration"),
    ("code", "token", "submissionset or folder"),
    ("date", "date", "SubmissionSet.submissionTime, Folder.lastUpdateTime"),
    ("designationType", "token", "SubmissionSet.contentTypeCode, Folder.codeList"),
    ("identifier", "token", "uniqueId or entryUUID"),
    ("patient", "reference", "patientId, by the Patient of this server"),
    ("patient.identifier", "token", "patientId: regional, local of any site, or INS"),
    ("source.family", "string", "SubmissionSet.author: family name"),
    ("source.given", "string", "SubmissionSet.author: given name"),
    ("sourceId", "token", "SubmissionSet.sourceId"),
    ("status", "token", "availabilityStatus: current or retired"),
)
"""Name, FHIR type and the attribute searched."""

_STATUSES: Final = {"current": "Approved", "retired": "Deprecated"}
_ALL: Final = ("Approved", "Deprecated")
Listed = SubmissionSet | Folder
Test = Callable[[Listed], bool]


@dataclass(frozen=True, slots=True)
class ListSearch:
    """One search for submission sets and folders.

    Attributes:
        patient: whose; ``None`` when ``ids`` or ``identifiers`` name the lists.
        kinds: ``submissionset``, ``folder`` or both.
        statuses: ``Approved``, ``Deprecated``.
        ids: entryUUIDs of which one must be the list's; ``None`` any.
        identifiers: uniqueIds or entryUUIDs likewise, for each parameter.
        registered: when it was registered.
        tests: what its metadata must pass.
    """

    patient: PatientQuestion | None = None
    kinds: frozenset[str] = frozenset({"submissionset", "folder"})
    statuses: tuple[str, ...] = _ALL
    ids: frozenset[str] | None = None
    identifiers: tuple[frozenset[str], ...] = ()
    registered: Period = ANY_TIME
    tests: tuple[Test, ...] = ()
    page: Page = FIRST_PAGE

    @property
    def set_criteria(self) -> SetCriteria:
        """What the database decides of submission sets."""
        return SetCriteria(statuses=self.statuses)

    @property
    def folder_criteria(self) -> FolderCriteria:
        """What the database decides of folders."""
        return FolderCriteria(statuses=self.statuses)

    def admits(self, item: RegisteredSet | RegisteredFolder) -> bool:
        """Whether kind, identity, status and moment of registration are as asked."""
        kind = "submissionset" if isinstance(item, RegisteredSet) else "folder"
        return (
            kind in self.kinds
            and (self.ids is None or item.id in self.ids)
            and all(item.unique_id in each or item.id in each for each in self.identifiers)
            and item.status.rpartition(":")[2] in self.statuses
            and within(self.registered, int(format_dtm(item.registered_at)))
        )


def read_list_search(request: HttpRequest) -> ListSearch:
    """Read the parameters of a search.

    Raises:
        InvalidElement: a parameter is unknown or its value malformed.
        MissingElement: neither a patient nor the lists themselves are named.
    """
    reader = _Reader()
    readers = dict.fromkeys([*(name for name, _, _ in LIST_PARAMETERS), "_lastupdated"], reader.read)
    page = read_parameters(request, readers)
    found = replace(reader.search, page=page)
    if found.patient is None and found.ids is None and not found.identifiers:
        raise MissingElement("a search for lists names a patient by patient or patient.identifier", "patient")
    return found


class _Reader:
    """Collects one parameter after the other."""

    def __init__(self) -> None:
        self.search = ListSearch()

    def read(self, name: str, value: str) -> None:
        search = self.search
        match name:
            case "patient" | "patient.identifier":
                self.search = replace(search, patient=patient_question(name, value))
            case "_id":
                ids = frozenset(f"urn:uuid:{each.lower()}" for each in alternatives(value, name))
                self.search = replace(search, ids=ids if search.ids is None else ids & search.ids)
            case "identifier":
                self.search = replace(search, identifiers=(*search.identifiers, unique_ids_of(value, name)))
            case "status":
                wanted = {_STATUSES.get(each.rpartition("|")[2]) for each in alternatives(value, name)}
                self.search = replace(search, statuses=tuple(each for each in search.statuses if each in wanted))
            case "code":
                wanted_kinds = {each.rpartition("|")[2] for each in alternatives(value, name)}
                self.search = replace(search, kinds=search.kinds & wanted_kinds)
            case "_lastUpdated" | "_lastupdated":
                self.search = replace(search, registered=narrower(search.registered, period_of(value, name)))
            case "date":
                period = period_of(value, name)
                self._test(lambda item: (moment := _moment(item)) is not None and within(period, moment))
            case "designationType":
                tokens = [token_of(each) for each in alternatives(value, name)]
                self._test(lambda item: has_code(_designation(item), tokens))
            case "sourceId":
                ids = unique_ids_of(value, name)
                self._sets_only()
                self._test(lambda item: isinstance(item, SubmissionSet) and item.source_id in ids)
            case _:
                wanted_names = [fold(each) for each in alternatives(value, name)]
                part = family_names if name == "source.family" else given_names
                self._sets_only()
                self._test(
                    lambda item: any(
                        found.startswith(each)
                        for author in _authors(item)
                        for found in part(author)
                        for each in wanted_names
                    )
                )

    def _sets_only(self) -> None:
        self.search = replace(self.search, kinds=self.search.kinds & {"submissionset"})

    def _test(self, test: Test) -> None:
        self.search = replace(self.search, tests=(*self.search.tests, test))


def _moment(item: Listed) -> int | None:
    dtm = item.submission_time if isinstance(item, SubmissionSet) else item.last_update_time
    return dtm_start(dtm) if dtm else None


def _designation(item: Listed) -> tuple[Code, ...]:
    if isinstance(item, Folder):
        return item.codes
    return (item.content_type_code,) if item.content_type_code else ()


def _authors(item: Listed) -> tuple[Author, ...]:
    return item.authors if isinstance(item, SubmissionSet) else ()

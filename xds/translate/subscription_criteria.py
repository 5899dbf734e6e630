"""What a subscription wants: its criteria, as its subscriber wrote them → conditions.

Source: ITI TF-2: 3.52.5.2 (filters); MHD 4.2 (search parameters).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from ihe.errors import Finding, MissingElement, Refused
from ihe.http import HttpRequest
from ihe.values import PatientId
from ihe.xml import parse_xml
from xds.domain.criteria import DocumentCriteria, SetCriteria
from xds.domain.document_subscription import SUBSCRIPTION_QUERIES, Channel, DocumentSubscription, is_of_sets
from xds.domain.registered import RegisteredEntry, RegisteredSet
from xds.domain.stored_query import StoredQuery
from xds.translate.ebxml_query import read_query
from xds.translate.ebxml_stored import entry_of, set_of
from xds.translate.fhir_document_search import DocumentSearch, read_document_search
from xds.translate.fhir_list_search import ListSearch, read_list_search
from xds.translate.fhir_search import PatientQuestion

Test = Callable[[RegisteredEntry | RegisteredSet], bool]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscription wants.

    Attributes:
        patient: whose; ``None`` when the criteria name no patient.
        criteria: what the database decides, of entries or of submission sets.
        admits: what the rest decides.
    """

    patient: PatientQuestion | None
    criteria: DocumentCriteria | SetCriteria
    admits: Test = lambda _: True


def read_criteria(wish: DocumentSubscription) -> Wanted:
    """Read the criteria of a subscription.

    Raises:
        Refused, InvalidElement, MissingElement: they are not ones that are offered.
    """
    if wish.channel is Channel.WSN:
        holder = parse_xml(f"<Filter>{wish.criteria}</Filter>".encode())
        return wanted_by_query(read_query(holder, SUBSCRIPTION_QUERIES))
    return wanted_by_search(wish.criteria)


def wanted_by_query(query: StoredQuery) -> Wanted:
    """What a filter of ITI-52 wants."""
    patient = next((PatientQuestion(identifier=PatientId.from_xds_cx(each)) for each in query.patients), None)
    if not is_of_sets(query.definition):
        return Wanted(patient, _document_criteria(query))
    criteria = SetCriteria(
        source_ids=query.many("$XDSSubmissionSetSourceId"),
        author_person=query.one("$XDSSubmissionSetAuthorPerson"),
    )
    recipients = frozenset(query.many("$XDSSubmissionSetIntendedRecipient"))
    return Wanted(patient, criteria, lambda found: not recipients or _is_for(found, recipients))


def wanted_by_search(criteria: str) -> Wanted:
    """What FHIR search criteria want.

    Raises:
        Refused: they are not about DocumentReference or List.
        InvalidElement: a parameter is unknown or its value malformed.
        MissingElement: they name no patient.
    """
    kind, _, query = criteria.partition("?")
    request = HttpRequest("GET", f"/fhir/{kind}", query=tuple(parse_qsl(query, keep_blank_values=True)))
    if kind == "DocumentReference":
        return _wanted_documents(read_document_search(request))
    if kind == "List":
        return _wanted_sets(read_list_search(request))
    message = "subscriptions to DocumentReference and List are offered"
    raise Refused([Finding("not-supported", message, "Subscription.criteria")])


def _document_criteria(query: StoredQuery) -> DocumentCriteria:
    name = "$XDSDocumentEntry"
    return DocumentCriteria(
        on_demand=None,
        class_codes=query.many(f"{name}ClassCode"),
        type_codes=query.many(f"{name}TypeCode"),
        format_codes=query.many(f"{name}FormatCode"),
        practice_setting_codes=query.many(f"{name}PracticeSettingCode"),
        healthcare_facility_type_codes=query.many(f"{name}HealthcareFacilityTypeCode"),
        event_codes=query.groups(f"{name}EventCodeList"),
        confidentiality_codes=query.groups(f"{name}ConfidentialityCode"),
        reference_ids=query.groups(f"{name}ReferenceIdList"),
        author_persons=query.many(f"{name}AuthorPerson"),
    )


def _wanted_documents(search: DocumentSearch) -> Wanted:
    if search.patient is None:
        raise MissingElement("a subscription names a patient by patient or patient.identifier", "Subscription.criteria")
    tests = search.tests

    def admits(found: RegisteredEntry | RegisteredSet) -> bool:
        assert isinstance(found, RegisteredEntry)
        return search.admits(found) and (not tests or all(test(entry_of(found)) for test in tests))

    return Wanted(search.patient, replace(search.criteria, statuses=("Approved",)), admits)


def _wanted_sets(search: ListSearch) -> Wanted:
    if search.patient is None:
        raise MissingElement("a subscription names a patient by patient or patient.identifier", "Subscription.criteria")
    if "submissionset" not in search.kinds:
        message = "of Lists, submission sets can be subscribed to"
        raise Refused([Finding("not-supported", message, "Subscription.criteria")])

    def admits(found: RegisteredEntry | RegisteredSet) -> bool:
        assert isinstance(found, RegisteredSet)
        return search.admits(found) and all(test(set_of(found)) for test in search.tests)

    return Wanted(search.patient, replace(search.set_criteria, statuses=("Approved",)), admits)


def _is_for(found: RegisteredEntry | RegisteredSet, recipients: frozenset[str]) -> bool:
    assert isinstance(found, RegisteredSet)
    return bool(recipients.intersection(set_of(found).intended_recipients))

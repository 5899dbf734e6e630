"""Answer a stored query: its parameters → criteria → objects.

Source: ITI TF-2: 3.18.4.1.2.3.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from xds.domain.answers import QueryAnswer, Reference, Returned
from xds.domain.criteria import DocumentCriteria, FolderCriteria, Period, SetCriteria
from xds.domain.datatypes import dtm_start, is_uuid
from xds.domain.imaging import DICOM_UID_REGISTRY, UID_REGISTRY_DESIGNATOR
from xds.domain.model import DocumentKind
from xds.domain.registered import Registered
from xds.domain.stored_query import StoredQuery
from xds.services import find, get
from xds.services.get import Named
from xds.services.registry import Registry
from xds.services.visibility import readable_ids, visible

_ANY_STATUS = ("Approved", "Deprecated")
_ENTRY = "$XDSDocumentEntry"
_SET = "$XDSSubmissionSet"
_FOLDER = "$XDSFolder"


def answer(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    """Answer one of the queries of ITI-18.

    Raises:
        Refused: whole objects of more than one person would be returned.
        TooMany: the answer would exceed the bound on results.
    """
    return _ANSWERS[query.definition.name](uow, registry, query)


def document_criteria(query: StoredQuery, statuses: tuple[str, ...] | None = None) -> DocumentCriteria:
    """The conditions on entries of a query.

    Args:
        statuses: instead of the status parameter of the query.
    """
    return DocumentCriteria(
        statuses=statuses or query.many(f"{_ENTRY}Status") or _ANY_STATUS,
        on_demand=_on_demand(query.many(f"{_ENTRY}Type")),
        class_codes=query.many(f"{_ENTRY}ClassCode"),
        type_codes=query.many(f"{_ENTRY}TypeCode"),
        format_codes=tuple(map(_canonical_format, query.many(f"{_ENTRY}FormatCode"))),
        practice_setting_codes=query.many(f"{_ENTRY}PracticeSettingCode"),
        healthcare_facility_type_codes=query.many(f"{_ENTRY}HealthcareFacilityTypeCode"),
        event_codes=query.groups(f"{_ENTRY}EventCodeList"),
        confidentiality_codes=query.groups(f"{_ENTRY}ConfidentialityCode"),
        reference_ids=query.groups(f"{_ENTRY}ReferenceIdList"),
        author_persons=query.many(f"{_ENTRY}AuthorPerson"),
        document_availabilities=query.many(f"{_ENTRY}DocumentAvailability"),
        creation_time=_period(query, f"{_ENTRY}CreationTime"),
        service_start_time=_period(query, f"{_ENTRY}ServiceStartTime"),
        service_stop_time=_period(query, f"{_ENTRY}ServiceStopTime"),
    )


def folder_criteria(query: StoredQuery) -> FolderCriteria:
    """The conditions on folders of a query."""
    return FolderCriteria(
        statuses=query.many(f"{_FOLDER}Status"),
        last_update_time=_period(query, f"{_FOLDER}LastUpdateTime"),
        codes=query.groups(f"{_FOLDER}CodeList"),
    )


def _find_documents(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    patient_id = _patient(query, f"{_ENTRY}PatientId")
    criteria = document_criteria(query)
    if query.leaf_class:
        return QueryAnswer(True, tuple(find.find_documents(uow, registry, patient_id, criteria)))
    references = find.find_document_references(uow, registry, patient_id, criteria)
    return QueryAnswer(False, references=tuple(references))


def _find_submission_sets(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    criteria = SetCriteria(
        statuses=query.many(f"{_SET}Status"),
        source_ids=query.many(f"{_SET}SourceId"),
        submission_time=_period(query, f"{_SET}SubmissionTime"),
        author_person=query.one(f"{_SET}AuthorPerson"),
        content_types=query.many(f"{_SET}ContentType"),
    )
    found = find.find_submission_sets(uow, registry, _patient(query, f"{_SET}PatientId"), criteria)
    return _packed(query, found)


def _find_folders(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    patient_id = _patient(query, f"{_FOLDER}PatientId")
    return _packed(query, find.find_folders(uow, registry, patient_id, folder_criteria(query)))


def _get_all(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    patient_id = _patient(query, "$patientId")
    described = [
        *find.find_submission_sets(uow, registry, patient_id, SetCriteria(statuses=query.many(f"{_SET}Status"))),
        *find.find_documents(uow, registry, patient_id, document_criteria(query)),
        *find.find_folders(uow, registry, patient_id, FolderCriteria(statuses=query.many(f"{_FOLDER}Status"))),
    ]
    links = get.associations(uow, [each.object.id for each in described], _association_statuses(query))
    links = visible(uow, registry, links)
    return _packed(query, [*described, *(Returned(each) for each in links)])


def _get_documents(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    return _returned(uow, registry, query, get.entries(uow, _named(query, _ENTRY)))


def _get_folders(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    return _returned(uow, registry, query, get.folders(uow, _named(query, _FOLDER)))


def _get_associations(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    ids = readable_ids(uow, registry, _uuids(query.many("$uuid")))
    found = get.associations(uow, ids, _association_statuses(query))
    return _returned(uow, registry, query, found)


def _get_documents_and_associations(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    found = get.entries_and_associations(uow, _named(query, _ENTRY), _association_statuses(query))
    return _returned(uow, registry, query, found)


def _get_submission_sets(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    ids = readable_ids(uow, registry, _uuids(query.many("$uuid")))
    return _returned(uow, registry, query, get.submission_sets(uow, ids))


def _get_submission_set_and_contents(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    found = get.submission_set_and_contents(
        uow, _named(query, _SET), document_criteria(query), _association_statuses(query)
    )
    return _returned(uow, registry, query, found)


def _get_folder_and_contents(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    found = get.folder_and_contents(uow, _named(query, _FOLDER), document_criteria(query), _association_statuses(query))
    return _returned(uow, registry, query, found)


def _get_folders_for_document(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    entries = visible(uow, registry, get.entries(uow, _named(query, _ENTRY)))
    found = get.folders_for_document(uow, [each.id for each in entries], _association_statuses(query))
    return _returned(uow, registry, query, found)


def _get_related_documents(uow: UnitOfWork, registry: Registry, query: StoredQuery) -> QueryAnswer:
    found = get.related_documents(
        uow,
        _named(query, _ENTRY),
        query.many("$AssociationTypes"),
        document_criteria(query),
        _association_statuses(query),
    )
    return _returned(uow, registry, query, found)


_ANSWERS: Mapping[str, Callable[[UnitOfWork, Registry, StoredQuery], QueryAnswer]] = {
    "FindDocuments": _find_documents,
    "FindDocumentsByReferenceId": _find_documents,
    "FindSubmissionSets": _find_submission_sets,
    "FindFolders": _find_folders,
    "GetAll": _get_all,
    "GetDocuments": _get_documents,
    "GetFolders": _get_folders,
    "GetAssociations": _get_associations,
    "GetDocumentsAndAssociations": _get_documents_and_associations,
    "GetSubmissionSets": _get_submission_sets,
    "GetSubmissionSetAndContents": _get_submission_set_and_contents,
    "GetFolderAndContents": _get_folder_and_contents,
    "GetFoldersForDocument": _get_folders_for_document,
    "GetRelatedDocuments": _get_related_documents,
}


def _returned(uow: UnitOfWork, registry: Registry, query: StoredQuery, found: Sequence[Registered]) -> QueryAnswer:
    return _packed(query, get.returned(uow, registry, found, leaf_class=query.leaf_class))


def _packed(query: StoredQuery, found: Sequence[Returned]) -> QueryAnswer:
    if query.leaf_class:
        return QueryAnswer(True, tuple(found))
    return QueryAnswer(
        False,
        references=tuple(Reference(each.object.id, getattr(each.object, "home", None)) for each in found),
    )


def _patient(query: StoredQuery, name: str) -> PatientId:
    return PatientId.from_xds_cx(query.one(name) or "")


def _named(query: StoredQuery, prefix: str) -> Named:
    return Named(
        _uuids(query.many(f"{prefix}EntryUUID")),
        query.many(f"{prefix}UniqueId"),
        _uuids(query.many(f"{prefix}LogicalID")),
    )


def _uuids(values: Sequence[str]) -> tuple[str, ...]:
    """The values that are UUIDs; anything else can be the id of no object."""
    return tuple(lower for value in values if is_uuid(lower := value.lower()))


def _association_statuses(query: StoredQuery) -> tuple[str, ...]:
    return query.many("$XDSAssociationStatus") or ("Approved",)


def _canonical_format(key: str) -> str:
    """``code^^scheme`` as entries are kept, see :func:`xds.domain.imaging.with_canonical_format`."""
    code, _, scheme = key.partition("^^")
    return f"{code}^^{DICOM_UID_REGISTRY}" if scheme == UID_REGISTRY_DESIGNATOR else key


def _on_demand(types: Sequence[str]) -> bool | None:
    """Stable entries only, unless the query names other kinds (ITI TF-2: 3.18.4.1.2.3.7.1)."""
    if not types:
        return False
    wanted = {value.lower() for value in types}
    if DocumentKind.ON_DEMAND in wanted:
        return None if DocumentKind.STABLE in wanted else True
    return False


def _period(query: StoredQuery, name: str) -> Period:
    start, stop = query.one(f"{name}From"), query.one(f"{name}To")
    return Period(
        dtm_start(start) if start is not None else None,
        dtm_start(stop) if stop is not None else None,
    )

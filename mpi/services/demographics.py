"""Answer a query by demographics: who meets the criteria, in pages, with all identifiers of each (PDQ)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ihe.errors import TooMany
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.query import Criteria, Page, QueryTag
from mpi.domain.record import Record
from mpi.domain.search import PatientSearch
from mpi.services.find_patients import find_patient_ids
from mpi.services.find_visits import find_visit_ids, patients_of_visits
from mpi.services.identifiers import find, ins_ids, patient_id_of, regional_patient_id
from mpi.services.page_answer import first_page
from mpi.store import records


def search_patients(uow: UnitOfWork, app: MpiApplication, criteria: Criteria, query: QueryTag) -> Page:
    """The first page of the patients (internal ids of records) that meet the criteria.

    Raises:
        MissingElement: no criterion bounds the search.
        TooMany: more than one answer may hold, or than one search may find.
    """
    search = _with_identifiers(uow, app, criteria)
    if search is not None and not criteria.visits.is_empty:
        search = _among(search, patients_of_visits(uow, criteria.visits, app.search_limit))
    ids = find_patient_ids(uow, app, search) if search is not None else []
    return _first_page(uow, app, criteria, query, ids)


def search_visits(uow: UnitOfWork, app: MpiApplication, criteria: Criteria, query: QueryTag) -> Page:
    """The first page of the visits (internal ids) that meet the criteria, with those about their patients.

    Raises:
        MissingElement: no criterion bounds the search.
        TooMany: more than one answer may hold, or than one search may find.
    """
    search = _with_identifiers(uow, app, criteria)
    ids = find_visit_ids(uow, app, search, criteria.visits) if search is not None else []
    return _first_page(uow, app, criteria, query, ids)


def all_identifiers(
    uow: UnitOfWork, app: MpiApplication, patients: Sequence[Record], domains: Sequence[str] = ()
) -> list[tuple[PatientId, ...]]:
    """For each record all identifiers of its patient that the caller may be answered with, the record's own first.

    Args:
        domains: only identifiers of these domains; empty means all.
    """
    grades = app.grades_for(uow.caller.site)
    members: dict[int, list[Record]] = {}
    for member in records.by_persons(uow.connection, {r.person_id for r in patients}):
        if member.is_active:
            members.setdefault(member.person_id, []).append(member)
    return [_identifiers(app, r, members.get(r.person_id, ()), grades, set(domains)) for r in patients]


def _identifiers(
    app: MpiApplication, record: Record, members: Sequence[Record], grades: frozenset[str], domains: set[str]
) -> tuple[PatientId, ...]:
    def is_answered(other: Record) -> bool:
        return other.id == record.id or all(r.grade is None or r.grade in grades for r in (record, other))

    answered = sorted((r for r in members if is_answered(r)), key=lambda r: (r.id != record.id, r.key))
    found = [patient_id_of(app, r.key) for r in answered]
    found += ins_ids(app, answered)
    found.append(regional_patient_id(app, record.person_id))
    if domains:
        found = [i for i in found if (d := app.domains.by_authority(i.authority)) is not None and d.code in domains]
    return tuple(found)


def _with_identifiers(uow: UnitOfWork, app: MpiApplication, criteria: Criteria) -> PatientSearch | None:
    """The criteria with the records that the identifiers designate; ``None`` when they designate none."""
    search = replace(criteria.patients, domains=tuple(criteria.domains), limit=app.search_limit)
    if not criteria.identifiers:
        return search
    found: set[int] = set()
    for each in criteria.identifiers:
        authorities = [each.authority] if each.authority else [domain.authority for domain in app.domains]
        for authority in authorities:
            if app.domains.by_authority(authority) is not None:
                found |= {r.id for r in find(uow, app, PatientId(each.value, authority))}
    return _among(search, tuple(sorted(found)))


def _among(search: PatientSearch, record_ids: Sequence[int]) -> PatientSearch | None:
    wanted = set(record_ids) & set(search.record_ids) if search.record_ids else set(record_ids)
    return replace(search, record_ids=tuple(sorted(wanted))) if wanted else None


def _first_page(uow: UnitOfWork, app: MpiApplication, criteria: Criteria, query: QueryTag, ids: Sequence[int]) -> Page:
    if len(ids) > app.search_limit:
        raise TooMany(f"more than {app.search_limit} meet the criteria; ask more closely", "QPD-3")
    if criteria.quantity is None and len(ids) > app.answer_limit:
        raise TooMany(f"more than {app.answer_limit} meet the criteria; ask for them in increments", "RCP-2")
    return first_page(uow, query, ids, criteria.quantity)

"""Answer a query by demographics: who meets the criteria, in pages, with all identifiers of each (PDQ)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ihe.confidentiality import Sight, sight_of
from ihe.errors import TooMany
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.query import Criteria, Page, QueryTag
from mpi.domain.record import Record
from mpi.domain.search import PatientSearch
from mpi.services.find_patients import find_page, read_page
from mpi.services.find_visits import find_visit_ids, patients_of_visits
from mpi.services.identifiers import find, local_patient_id, qualified_ins_ids, regional_patient_id
from mpi.services.page_answer import first_page
from mpi.store.members import Member, of_persons
from mpi.store.search import FoundRecord


@dataclass(frozen=True, slots=True)
class PatientPage:
    """A page of patients, as far as the caller may see them now.

    Attributes:
        patients: each with all identifiers that the caller may be answered with, the record's own first.
    """

    patients: tuple[tuple[Record, tuple[PatientId, ...]], ...]
    page: Page


def search_patients(uow: UnitOfWork, app: MpiApplication, criteria: Criteria, query: QueryTag) -> PatientPage:
    """The first page of the patients that meet the criteria.

    Raises:
        MissingElement: no criterion bounds the search.
        TooMany: more than one answer may hold, or than one search may find.
    """
    search = _with_identifiers(uow, app, criteria)
    if search is not None and not criteria.visits.is_empty:
        search = _among(search, patients_of_visits(uow, criteria.visits, app.search_limit))
    if search is None:
        return PatientPage((), Page((), 0, None, 0))
    ids, found = find_page(uow, app, search, criteria.quantity or app.answer_limit)
    page = _first_page(uow, app, criteria, query, ids)
    return PatientPage(_shown(uow, app, found, criteria.domains), page)


def show_page(uow: UnitOfWork, app: MpiApplication, page: Page, domains: Sequence[str] = ()) -> PatientPage:
    """The patients of a page whose ids are known.

    Args:
        domains: only identifiers of these domains; empty means all.
    """
    return PatientPage(_shown(uow, app, read_page(uow, page.ids), domains), page)


def search_page(
    uow: UnitOfWork, app: MpiApplication, search: PatientSearch, query: QueryTag, size: int, domains: Sequence[str]
) -> PatientPage:
    """The first page of a search that has any number of pages.

    Args:
        domains: only identifiers of these domains; empty means all.

    Raises:
        MissingElement: no criterion bounds the search.
        TooMany: more than one search may find.
    """
    ids, found = find_page(uow, app, search, size)
    if len(ids) > search.limit:
        raise TooMany(f"more than {search.limit} Patients meet the criteria; ask more closely")
    page = first_page(uow, query, ids, size)
    return PatientPage(_shown(uow, app, found, domains), page)


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
    uow: UnitOfWork,
    app: MpiApplication,
    patients: Sequence[Record],
    domains: Sequence[str] = (),
    sight: Sight | None = None,
) -> list[tuple[PatientId, ...]]:
    """For each record all identifiers of its patient that the caller may be answered with, the record's own first.

    Args:
        domains: only identifiers of these domains; empty means all.
        sight: what is shown; by default what the caller may see.
    """
    grades, wanted = app.grades_for(uow.caller.site), set(domains)
    members: dict[int, list[Member]] = {}
    for member in of_persons(uow, list({r.person_id for r in patients}), sight or sight_of(uow.caller)):
        members.setdefault(member.person_id, []).append(member)
    return [_identifiers(app, r, members.get(r.person_id, ()), grades, wanted) for r in patients]


def _shown(
    uow: UnitOfWork, app: MpiApplication, found: Sequence[FoundRecord], domains: Sequence[str]
) -> tuple[tuple[Record, tuple[PatientId, ...]], ...]:
    grades, wanted, sight = app.grades_for(uow.caller.site), set(domains), sight_of(uow.caller)

    shown = []
    for record, members in found:
        seen = [m for m in members if sight.sees(m.domain, is_hidden=m.is_hidden)]
        shown.append((record, _identifiers(app, record, seen, grades, wanted)))
    return tuple(shown)


def _identifiers(
    app: MpiApplication, record: Record, members: Sequence[Member], grades: frozenset[str], domains: set[str]
) -> tuple[PatientId, ...]:
    own, is_sure = record.id, record.grade is None or record.grade in grades
    answered = [m for m in members if m.record_id == own or (is_sure and (m.grade is None or m.grade in grades))]
    answered.sort(key=lambda m: (m.record_id != own, m.domain, m.local_id))
    found = [(m.domain, local_patient_id(app, m.domain, m.local_id)) for m in answered]
    if stated := [(m.ins, m.ins_oid) for m in answered if m.ins is not None]:
        found += qualified_ins_ids(app, stated)
    found.append((app.regional_domain, regional_patient_id(app, record.person_id)))
    return tuple([identifier for code, identifier in found if not domains or code in domains])


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

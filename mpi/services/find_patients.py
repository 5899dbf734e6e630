"""Find patients by demographic traits (PDQ)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ihe import fibers
from ihe.confidentiality import sight_of
from ihe.errors import MissingElement
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.match_quality import is_match, match_quality
from mpi.domain.record import Record
from mpi.domain.search import PatientSearch
from mpi.store import search as search_store
from mpi.store.search import FoundRecord


@dataclass(frozen=True, slots=True)
class FoundPatients:
    """One page of a search.

    Attributes:
        records: in the order birth date, domain, local id.
        more: whether further ones follow this page.
    """

    records: tuple[Record, ...]
    more: bool


def find_patients(uow: UnitOfWork, app: MpiApplication, search: PatientSearch) -> FoundPatients:
    """Active records that meet the criteria.

    Hidden and anonymous identities are left out unless the caller has the role.

    Raises:
        MissingElement: no criterion that bounds the search.
    """
    wanted, national = _bounded(app, search)
    if _is_ranked(search):
        ids = _ranked(uow, wanted, national)
        return FoundPatients(tuple(read_patients(uow, ids[: search.limit])), len(ids) > search.limit)
    ids, page = search_store.find(
        uow,
        wanted,
        search.limit,
        sees_hidden=sight_of(uow.caller).sees_hidden,
        ins_authorities=national,
        first_of_many=True,
    )
    return FoundPatients(tuple(each.record for each in page), len(ids) > search.limit)


def find_page(
    uow: UnitOfWork, app: MpiApplication, search: PatientSearch, size: int
) -> tuple[list[int], list[FoundRecord]]:
    """Internal ids of the active records that meet the criteria, in the order birth date, domain, local id (in a search
    by likeness behind how like they are, the likest first); and the first ones whole, with the records of their
    persons. Where more than the limit meet them, one more than the limit, and not the first ones.

    Args:
        size: how many are wanted whole.

    Raises:
        MissingElement: no criterion that bounds the search.
    """
    wanted, national = _bounded(app, search)
    if _is_ranked(search):
        ids = _ranked(uow, wanted, national)
        return ids, read_page(uow, ids[:size]) if len(ids) <= search.limit else []
    return search_store.find(uow, wanted, size, sees_hidden=sight_of(uow.caller).sees_hidden, ins_authorities=national)


def find_patient_ids(uow: UnitOfWork, app: MpiApplication, search: PatientSearch) -> list[int]:
    """The ids alone of :func:`find_page`.

    Raises:
        MissingElement: no criterion that bounds the search.
    """
    wanted, national = _bounded(app, search)
    if _is_ranked(search):
        return _ranked(uow, wanted, national)
    return search_store.find_ids(uow, wanted, sees_hidden=sight_of(uow.caller).sees_hidden, ins_authorities=national)


def _is_ranked(search: PatientSearch) -> bool:
    return search.is_by_likeness or search.least_quality > 0


def _ranked(uow: UnitOfWork, search: PatientSearch, national: Sequence[str]) -> list[int]:
    """Who bears names like those asked for, the likest first; more than the limit when too many might."""
    fibers.keep_out()  # many are compared
    found = search_store.find_candidates(
        uow, search, sees_hidden=sight_of(uow.caller).sees_hidden, ins_authorities=national
    )
    if len(found) > search.limit:
        return [each.record_id for each in found]
    fitting = [(match_quality(search, c.traits), c) for c in found if is_match(search, c.traits)]
    fitting.sort(key=lambda each: (-each[0] if search.is_by_likeness else 0, each[1].order))
    return [candidate.record_id for _, candidate in fitting]


def _bounded(app: MpiApplication, search: PatientSearch) -> tuple[PatientSearch, list[str]]:
    """The search with local domains only, and the OIDs of the national ones that it is restricted to."""
    if not search.is_bounded:
        raise MissingElement("a search needs an identifier, a name, a birth date or a telephone number")
    if not search.domains:
        return search, []
    if app.regional_domain in search.domains:
        return replace(search, domains=()), []
    national = [code for code in search.domains if code in app.ins_domains]
    local = tuple(code for code in search.domains if code not in app.ins_domains)
    return replace(search, domains=local), [str(app.domains.by_code(code).authority.oid) for code in national]


def read_patients(uow: UnitOfWork, record_ids: Sequence[int]) -> list[Record]:
    """Records by internal id in the order given, without those that the caller may not see or that answer no more."""
    return [each.record for each in read_page(uow, record_ids)]


def read_page(uow: UnitOfWork, record_ids: Sequence[int]) -> list[FoundRecord]:
    """The same with the records of their persons."""
    return search_store.read(uow, record_ids, sight_of(uow.caller)) if record_ids else []


def read_patient(uow: UnitOfWork, app: MpiApplication, record_id: int) -> Record | None:
    """One active record, or ``None`` when there is none or the caller may not see it."""
    return next(iter(read_patients(uow, [record_id])), None)

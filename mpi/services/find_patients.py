"""Find patients by demographic traits (PDQ)."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import MissingElement
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.record import Record
from mpi.domain.search import PatientSearch
from mpi.store import records
from mpi.store import search as search_store

HIDDEN = frozenset({"ANOM", "CACH"})
"""Attributes of identities that a search shows to named roles only."""

SEES_HIDDEN = "identity.hidden"
"""The role that sees them."""


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
    if not search.is_bounded:
        raise MissingElement("a search needs an identifier, a name or a birth date")
    hidden = frozenset() if SEES_HIDDEN in uow.caller.roles else HIDDEN
    ids = search_store.find_ids(uow.connection, search, hidden_attributes=hidden)
    page = ids[: search.limit]
    by_id = {r.id: r for r in records.by_ids(uow.connection, page)}
    return FoundPatients(tuple(by_id[i] for i in page), len(ids) > search.limit)


def read_patient(uow: UnitOfWork, app: MpiApplication, record_id: int) -> Record | None:
    """One active record, or ``None`` when there is none or the caller may not see it."""
    found = next(iter(records.by_ids(uow.connection, [record_id])), None)
    if found is None or not found.is_active:
        return None
    if found.traits.identity_attributes & HIDDEN and SEES_HIDDEN not in uow.caller.roles:
        return None
    return found

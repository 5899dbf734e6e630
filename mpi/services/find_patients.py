"""Find patients by demographic traits (PDQ)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    ids = find_patient_ids(uow, app, search)
    page = ids[: search.limit]
    by_id = {r.id: r for r in records.by_ids(uow.connection, page)}
    return FoundPatients(tuple(by_id[i] for i in page), len(ids) > search.limit)


def find_patient_ids(uow: UnitOfWork, app: MpiApplication, search: PatientSearch) -> list[int]:
    """Internal ids of the records that :func:`find_patients` would find, one more than the limit when there are more.

    Raises:
        MissingElement: no criterion that bounds the search.
    """
    if not search.is_bounded:
        raise MissingElement("a search needs an identifier, a name, a birth date or a telephone number")
    national = [code for code in search.domains if code in app.ins_domains]
    local = tuple(code for code in search.domains if code not in app.ins_domains)
    if app.regional_domain in local:
        local, national = (), []
    return search_store.find_ids(
        uow.connection,
        replace(search, domains=local),
        hidden_attributes=_hidden_from(uow),
        ins_authorities=[str(app.domains.by_code(code).authority.oid) for code in national],
    )


def read_patients(uow: UnitOfWork, record_ids: Sequence[int]) -> list[Record]:
    """Records by internal id in the order given, without those that the caller may not see or that answer no more."""
    hidden = _hidden_from(uow)
    found = {r.id: r for r in records.by_ids(uow.connection, record_ids)}
    present = [found[i] for i in record_ids if i in found]
    return [r for r in present if r.is_active and not r.traits.identity_attributes & hidden]


def _hidden_from(uow: UnitOfWork) -> frozenset[str]:
    return frozenset() if SEES_HIDDEN in uow.caller.roles else HIDDEN


def read_patient(uow: UnitOfWork, app: MpiApplication, record_id: int) -> Record | None:
    """One active record, or ``None`` when there is none or the caller may not see it."""
    return next(iter(read_patients(uow, [record_id])), None)

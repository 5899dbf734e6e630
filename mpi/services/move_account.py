"""Give an account, with its visits, to the patient whose it is (A44)."""

from __future__ import annotations

from ihe.errors import InvalidElement, UnknownPatient
from ihe.unit_of_work import UnitOfWork
from mpi.domain.identity import RecordKey
from mpi.domain.visit import VisitId
from mpi.store import locks, records, visits


def move_account(uow: UnitOfWork, key: RecordKey, wrong_key: RecordKey, account: VisitId) -> None:
    """Move the visits of an account between two patients of one domain; an account without visits moves nothing.

    Raises:
        InvalidElement: both ids are the same.
        UnknownPatient: the patient it is moved from is not known.
    """
    if key == wrong_key:
        raise InvalidElement("an account is moved from one patient to another", "MRG-1")
    locks.lock_records(uow.connection, [key, wrong_key])
    owner, wrong = records.by_key(uow.connection, key), records.by_key(uow.connection, wrong_key)
    if owner is None or wrong is None:
        raise UnknownPatient("the patient from whom the account is moved is not known", "MRG-1")
    visits.move(uow.connection, wrong.id, owner.id, account)

"""Find patients and their visits by what is known of either (PDVQ), and patients by an account number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ihe.errors import TooMany
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.record import Record
from mpi.domain.search import PatientSearch
from mpi.domain.visit import Visit, VisitSearch
from mpi.services.find_patients import find_patient_ids, read_patients
from mpi.store import records, visits
from mpi.store.visits import StoredVisit


def find_visit_ids(uow: UnitOfWork, app: MpiApplication, patients: PatientSearch, search: VisitSearch) -> list[int]:
    """Internal ids of the visits that meet the criteria about patient and visit, in the order of the patients.

    Visits of a merged record are the survivor's.

    Raises:
        MissingElement: no criterion that bounds the search.
        TooMany: more than ``patients.limit`` patients or visits.
    """
    limit = patients.limit
    if search.is_bounded:
        found = visits.find(uow.connection, search, limit + 1)
        survivor = _survivors(uow, {each.record_id for each in found})
        wanted = replace(patients, record_ids=tuple(sorted(set(survivor.values()))))
        order = find_patient_ids(uow, app, wanted) if wanted.record_ids else []
    else:
        order = find_patient_ids(uow, app, patients)
        survivor = _standing_for(uow, order[: limit + 1])
        found = visits.find(uow.connection, search, limit + 1, survivor)
    if len(order) > limit or len(found) > limit:
        raise TooMany(f"more than {limit} patients or visits meet the criteria")
    rank = {record_id: position for position, record_id in enumerate(order)}
    kept = [each for each in found if survivor.get(each.record_id) in rank]
    kept.sort(key=lambda each: (rank[survivor[each.record_id]], each.visit.number.value, each.id))
    return [each.id for each in kept]


def read_visits(uow: UnitOfWork, visit_ids: Sequence[int]) -> list[tuple[Record, Visit]]:
    """Visits with their patients in the order given, without those that the caller may not see any more."""
    found = visits.by_ids(uow.connection, visit_ids)
    survivor = _survivors(uow, {each.record_id for each in found})
    shown = {r.id: r for r in read_patients(uow, sorted(set(survivor.values())))}
    return [(shown[survivor[each.record_id]], each.visit) for each in found if survivor.get(each.record_id) in shown]


def patients_of_visits(uow: UnitOfWork, search: VisitSearch, limit: int) -> tuple[int, ...]:
    """Internal ids of the active records that have such visits.

    Raises:
        TooMany: more than ``limit`` visits.
    """
    found: list[StoredVisit] = visits.find(uow.connection, search, limit + 1)
    if len(found) > limit:
        raise TooMany(f"more than {limit} visits meet the criteria")
    return tuple(sorted(set(_survivors(uow, {each.record_id for each in found}).values())))


def _survivors(uow: UnitOfWork, record_ids: Iterable[int]) -> dict[int, int]:
    """For each record the active one that stands for it now: itself, or the survivor of its merges."""
    standing = {record_id: record_id for record_id in record_ids}
    found: dict[int, int] = {}
    while standing:
        known = {r.id: r for r in records.by_ids(uow.connection, sorted(set(standing.values())))}
        following: dict[int, int] = {}
        for origin, present in standing.items():
            record = known.get(present)
            if record is None:
                continue
            if record.is_active:
                found[origin] = present
            elif record.merged_into is not None:
                following[origin] = record.merged_into
        standing = following
    return found


def _standing_for(uow: UnitOfWork, record_ids: Iterable[int]) -> dict[int, int]:
    """Every record that some active records stand for, with the one that does."""
    wanted = set(record_ids)
    persons = {r.person_id for r in records.by_ids(uow.connection, sorted(wanted))}
    members = [r.id for r in records.by_persons(uow.connection, sorted(persons))]
    return {origin: standing for origin, standing in _survivors(uow, members).items() if standing in wanted}

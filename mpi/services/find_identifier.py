"""Find who carries an identifier of whatever kind: regional, INS, or a local number of any establishment."""

from __future__ import annotations

from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.domain.record import Record, person_of_regional_id
from mpi.services.find_patients import read_patients
from mpi.store import records


def find_identifier(uow: UnitOfWork, app: MpiApplication, text: str) -> list[Record]:
    """Active records that carry it, as far as the caller may see them.

    Args:
        text: as somebody types it; spaces do not count. ``SITE/number`` names one establishment's number.
    """
    wanted = "".join(text.split())
    person_id = person_of_regional_id(wanted.upper())
    if person_id is not None:
        named = records.by_ids(uow.connection, [person_id])
        found = records.by_persons(uow.connection, [r.person_id for r in named])
        return read_patients(uow, [r.id for r in found])
    site, slash, number = wanted.partition("/")
    if slash:
        record = records.by_key(uow.connection, RecordKey(site.upper(), number))
        return read_patients(uow, [record.id]) if record else []
    ids = {r.id for r in _by_ins(uow, app, wanted)}
    for domain in app.domains:
        record = records.by_key(uow.connection, RecordKey(domain.code, wanted))
        if record is not None:
            ids.add(record.id)
    return read_patients(uow, sorted(ids))


def _by_ins(uow: UnitOfWork, app: MpiApplication, wanted: str) -> list[Record]:
    if len(wanted) not in (13, 15):
        return []
    authorities = [app.domains.by_code(code).authority.oid for code in app.ins_domains]
    return [r for oid in authorities if oid for r in records.by_ins(uow.connection, wanted.upper(), str(oid))]

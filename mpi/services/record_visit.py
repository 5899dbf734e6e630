"""Keep what a site tells of a visit, so that it can be asked for (PDVQ)."""

from __future__ import annotations

from ihe.unit_of_work import UnitOfWork
from mpi.domain.identity import RecordKey
from mpi.domain.visit import VisitNews
from mpi.store import records, visits


def record_visit(uow: UnitOfWork, key: RecordKey, news: VisitNews) -> None:
    """Write a visit of a known record, or delete it when the site cancels it; an older state than the known one is left
    out.
    """
    record = records.by_key(uow.connection, key)
    if record is None:
        return
    if news.is_cancelled:
        visits.remove(uow.connection, record.id, news.visit.number)
    else:
        visits.put(uow.connection, record.id, news.visit, news.at)

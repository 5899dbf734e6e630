"""What a subscriber to patients does not know yet: their state now, against what it accepted last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import HIDDEN, RecordKey
from mpi.domain.record import Record
from mpi.domain.subscription import StoredSubscription
from mpi.services.demographics import all_identifiers
from mpi.services.identifiers import patient_id_of
from mpi.services.notify_references import EVENT_KINDS
from mpi.store import notified, records

__all__ = ["EVENT_KINDS", "PatientNews", "patient_news", "remember_news"]


@dataclass(frozen=True, slots=True)
class PatientNews:
    """A patient of whom a subscriber does not know the present state.

    Attributes:
        identifiers: to show, the record's own first.
        survivor: the record into which it was merged, and its identifier; ``None`` when it was not.
        is_new: the subscriber was never told of it.
        at: the moment of that state.
    """

    record: Record
    identifiers: tuple[PatientId, ...]
    survivor: tuple[Record, PatientId] | None
    is_new: bool
    at: datetime

    @property
    def state(self) -> tuple[str, ...]:
        """What tells this state from others."""
        merged = f"into {self.survivor[0].id}" if self.survivor else ""
        head = f"{self.record.state} {merged} version {self.record.version} person {self.record.person_id}"
        return (head, *(i.xds_cx for i in self.identifiers))


def patient_news(
    uow: UnitOfWork, app: MpiApplication, stored: StoredSubscription, payload: Mapping[str, Any]
) -> list[PatientNews]:
    """What an identity event has changed for a subscriber, by internal id.

    Records that answer no more are told of only when they were told of before; hidden identities never are.
    """
    named = [records.by_key(uow.connection, RecordKey(*key)) for key in payload["records"]]
    concerned = {r.id: r for r in named if r is not None}
    concerned |= {r.id: r for r in records.by_persons(uow.connection, [payload["person_id"]])}
    wanted = [
        concerned[record_id]
        for record_id in sorted(concerned)
        if stored.wish.wants(concerned[record_id].key.domain, concerned[record_id].key.local_id)
        and not concerned[record_id].traits.identity_attributes & HIDDEN
    ]
    told = notified.last_told(uow.connection, stored.name, [r.id for r in wanted])
    found = []
    for record in wanted:
        if not record.is_active and record.id not in told:
            continue
        news = _news(uow, app, record, _told_domains(app, stored.owner, record), is_new=record.id not in told)
        if told.get(record.id) != news.state:
            found.append(news)
    return found


def _told_domains(app: MpiApplication, owner: str, record: Record) -> tuple[str, ...]:
    """The domains whose identifiers the owner of a subscription is told, that of the record always; empty for all."""
    wanted = next((tuple(each.notified_of) for each in app.domains if each.code == owner), ())
    return (*wanted, record.key.domain) if wanted else ()


def _news(
    uow: UnitOfWork, app: MpiApplication, record: Record, domains: tuple[str, ...], *, is_new: bool
) -> PatientNews:
    if record.is_active:
        return PatientNews(record, all_identifiers(uow, app, [record], domains)[0], None, is_new, uow.now)
    own = patient_id_of(app, record.key)
    survivor = None
    if record.merged_into is not None:
        (into,) = records.by_ids(uow.connection, [record.merged_into])
        survivor = (into, patient_id_of(app, into.key))
    return PatientNews(record, (own,), survivor, is_new, uow.now)


def remember_news(uow: UnitOfWork, stored: StoredSubscription, news: PatientNews) -> None:
    """Write down that a subscriber accepted a state."""
    notified.remember(uow.connection, stored.name, news.record.id, news.state, uow.now)

"""Tell a registry that a patient of a site belongs to another person than it believes (ITI-64).

As with :mod:`mpi.services.notify_references`, what is told is the state at the moment of telling, and only what differs
from what the registry acknowledged last. A record that it never heard of is believed under the regional identifier
that it had first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.domain.record import Record
from mpi.services.identifiers import patient_id_of, regional_patient_id
from mpi.store import events, links, notified, records


@dataclass(frozen=True, slots=True)
class LinkChange:
    """A site's patient whose regional identifier is another one, or who took in another local id.

    Attributes:
        record_id: the record that the registry's belief is about, internal id: the patient's, or the subsumed one's.
        local: the patient's identifier at its site.
        current, previous: regional identifiers; equal when only local ids were merged.
        subsumed: the local id that was merged into ``local``, or ``None``.
    """

    record_id: int
    local: PatientId
    current: PatientId
    previous: PatientId
    subsumed: PatientId | None = None


def changed_links(
    uow: UnitOfWork, app: MpiApplication, subscriber: str, payload: Mapping[str, Any]
) -> list[LinkChange]:
    """What a registry does not know yet of the records of an identity event."""
    keys = [RecordKey(code, local_id) for code, local_id in payload["records"]]
    present = [record for key in keys if (record := records.by_key(uow.connection, key)) and record.is_active]
    merged = _merged_by(uow, payload["event_id"], present)
    concerned = [(record, record) for record in present] + ([merged] if merged is not None else [])
    told = notified.last_told(uow.connection, subscriber, [about.id for about, _ in concerned])
    changes = []
    for about, standing in concerned:
        current = regional_patient_id(app, standing.person_id)
        local = patient_id_of(app, standing.key)
        subsumed = None if about is standing else patient_id_of(app, about.key)
        believed = told.get(about.id)
        previous = believed[0] if believed else regional_patient_id(app, _first_person(uow, about)).value
        if previous != current.value or (subsumed is not None and (believed or ("",))[-1] != local.value):
            before = PatientId(previous, current.authority, current.type_code)
            changes.append(LinkChange(about.id, local, current, before, subsumed))
        elif believed is None:
            notified.remember(uow.connection, subscriber, about.id, (current.value, local.value), uow.now)
    return changes


def remember_link(uow: UnitOfWork, subscriber: str, change: LinkChange) -> None:
    """Write down that a registry has acknowledged a change."""
    notified.remember(uow.connection, subscriber, change.record_id, (change.current.value, change.local.value), uow.now)


def _merged_by(uow: UnitOfWork, event_id: int, present: list[Record]) -> tuple[Record, Record] | None:
    """The record that an event subsumed, with the survivor, when the event was a merge that still stands."""
    event = events.get(uow.connection, event_id)
    if event is None or event.kind != "record.merged" or event.payload["subsumed"] is None:
        return None
    survivor = next((r for r in present if r.id == event.payload["survivor"]), None)
    subsumed = next(iter(records.by_ids(uow.connection, [event.payload["subsumed"]])), None)
    if survivor is None or subsumed is None or subsumed.merged_into != survivor.id:
        return None
    return subsumed, survivor


def _first_person(uow: UnitOfWork, record: Record) -> int:
    history = links.history(uow.connection, record.id)
    return history[0].person_id if history else record.person_id

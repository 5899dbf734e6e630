"""Tell a consumer what identifiers its patients have now (PIX update notification), whatever the wire.

An identity event says only whose identifiers may have changed. What is told is the state at the moment of telling, so
that late, repeated and reordered events never bring an old state back; and it is told only when it differs from what
the consumer acknowledged last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ihe.confidentiality import Sight
from ihe.unit_of_work import UnitOfWork
from ihe.values import PatientId
from mpi.application import MpiApplication
from mpi.domain.identity import RecordKey
from mpi.services.cross_reference import cross_reference
from mpi.services.identifiers import patient_id_of
from mpi.store import notified, records

EVENT_KINDS = frozenset({"person.changed", "person.updated", "record.renamed"})
"""Events after which a patient's identifiers may be others."""


@dataclass(frozen=True, slots=True)
class ReferenceChange:
    """A patient of a consumer whose identifiers are others than it was told.

    Attributes:
        record_id: the consumer's record, internal id.
        identifiers: all its identifiers now, the consumer's own first; at least one.
    """

    record_id: int
    identifiers: tuple[PatientId, ...]

    @property
    def local(self) -> PatientId:
        """The consumer's own identifier."""
        return self.identifiers[0]


def concerned_keys(payload: Mapping[str, Any], domains: Collection[str]) -> list[RecordKey]:
    """The records of some domains that an identity event is about."""
    return [RecordKey(code, local_id) for code, local_id in payload["records"] if code in domains]


def changed_references(
    uow: UnitOfWork,
    app: MpiApplication,
    subscriber: str,
    domain: str,
    keys: Sequence[RecordKey],
) -> list[ReferenceChange]:
    """What a consumer does not know yet of some of its records; inactive ones are left out.

    Args:
        subscriber: name of the consumer.
        domain: code of the domain that it is notified for.
    """
    targets = app.domains.by_code(domain).notified_of
    found = [record for key in keys if (record := records.by_key(uow.connection, key)) and record.is_active]
    told = notified.last_told(uow.connection, subscriber, [record.id for record in found])
    sight = Sight(sees_hidden=False, site=domain)
    changes = []
    for record in found:
        own = patient_id_of(app, record.key)
        found_now = cross_reference(uow, app, own, targets, sight=sight)
        change = ReferenceChange(record.id, (own, *found_now.identifiers))
        if told.get(record.id) != _told(change):
            changes.append(change)
    return changes


def remember_told(uow: UnitOfWork, subscriber: str, change: ReferenceChange) -> None:
    """Write down that a consumer has acknowledged a change."""
    notified.remember(uow.connection, subscriber, change.record_id, _told(change), uow.now)


def _told(change: ReferenceChange) -> tuple[str, ...]:
    return tuple(identifier.xds_cx for identifier in change.identifiers)

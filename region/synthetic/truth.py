"""What is true of the records when all messages are in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mpi.domain.identity import RecordKey, Traits
from region.synthetic.adt import Event


@dataclass(frozen=True, slots=True)
class RecordTruth:
    """What is true of one record.

    Attributes:
        person: number of the person it really belongs to.
        merged_into: the record that replaced it (A40, A47), or ``None`` when it is active.
        traits: what its site said last; for a replaced record, before that.
    """

    person: int
    merged_into: RecordKey | None
    traits: Traits


def replay(events: Iterable[Event], owners: Mapping[RecordKey, int]) -> Mapping[RecordKey, RecordTruth]:
    """The records after all events: the newest identity of each stands, not the one that arrived last.

    Args:
        events: in the order of their sending.
        owners: number of the person behind every record.
    """
    records: dict[RecordKey, RecordTruth] = {}
    newest: dict[RecordKey, Event] = {}
    for event in events:
        key = RecordKey(event.site, event.local_id)
        if key not in newest or event.updated_at >= newest[key].updated_at:
            newest[key] = event
            records[key] = RecordTruth(owners[key], None, event.traits)
        if event.prior_local_id is not None:
            prior = RecordKey(event.site, event.prior_local_id)
            records[prior] = RecordTruth(records[prior].person, key, records[prior].traits)
    return records

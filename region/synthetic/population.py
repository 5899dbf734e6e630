"""The invented region: its people, the messages of its ten sites in time order, and what is true of them.

``build(seed)`` gives the same scenario for the same seed, byte for byte.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import BinaryIO, TextIO

from mpi.domain.identity import RecordKey, Traits
from region.region_table import RegionTable, load_region
from region.synthetic.adt import Event, write_message
from region.synthetic.cast import Cast, play
from region.synthetic.chronicle import Chronicle
from region.synthetic.civil_status import Person, Registrar
from region.synthetic.lives import live_as_residents, live_through_hard_cases
from region.synthetic.writing import HANDS

DEFAULT_SEED = 42
DEFAULT_PERSONS = 600


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """One HL7 v2 message of the feed.

    Attributes:
        site: domain code of the sender.
        trigger: MSH-9.2.
        control_id: MSH-10, unique in the feed.
        local_id: the patient's number at the site after the message.
        data: the message, not framed.
    """

    site: str
    trigger: str
    control_id: str
    local_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RecordTruth:
    """What is true of one record when all messages are in.

    Attributes:
        person: number of the person it really belongs to.
        merged_into: the record that replaced it (A40, A47), or ``None`` when it is active.
        traits: what its site said last; for a replaced record, before that.
    """

    person: int
    merged_into: RecordKey | None
    traits: Traits


@dataclass(frozen=True)
class Scenario:
    """An invented region.

    Attributes:
        persons: by number, those that have at least one record.
        messages: of all sites, in time order.
        records: every record that was ever created, in order of creation.
        cast: the people the demonstration tells about.
    """

    seed: int
    region: RegionTable
    persons: Mapping[int, Person]
    messages: tuple[FeedMessage, ...]
    records: Mapping[RecordKey, RecordTruth]
    cast: Cast

    @property
    def truth(self) -> Mapping[RecordKey, int]:
        """Person number of every active record."""
        return {key: record.person for key, record in self.records.items() if record.merged_into is None}

    @cached_property
    def messages_by_site(self) -> Mapping[str, tuple[FeedMessage, ...]]:
        """The messages of each site, in time order."""
        by_site: dict[str, list[FeedMessage]] = defaultdict(list)
        for message in self.messages:
            by_site[message.site].append(message)
        return {site: tuple(messages) for site, messages in by_site.items()}

    def true_pairs(self) -> Iterator[tuple[RecordKey, RecordKey]]:
        """Every pair of active records of one person, each pair in sorted order."""
        records: dict[int, list[RecordKey]] = defaultdict(list)
        for key, person in self.truth.items():
            records[person].append(key)
        for keys in records.values():
            yield from combinations(sorted(keys), 2)

    @property
    def hard_cases(self) -> Scenario:
        """The same region without its ordinary residents."""
        persons = {number: person for number, person in self.persons.items() if person.role != "resident"}
        records = {key: record for key, record in self.records.items() if record.person in persons}
        messages = tuple(m for m in self.messages if RecordKey(m.site, m.local_id) in records)
        return replace(self, persons=persons, messages=messages, records=records)

    def write_feed(self, target: BinaryIO) -> None:
        """All messages, each as it is sent and ended by a line feed of its own."""
        for message in self.messages:
            target.write(message.data + b"\n")

    def write_truth(self, target: TextIO) -> None:
        """The ground truth as CSV: ``domain,local_id,person,merged_into``."""
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(("domain", "local_id", "person", "merged_into"))
        for key, record in self.records.items():
            merged = record.merged_into.local_id if record.merged_into else ""
            writer.writerow((key.domain, key.local_id, record.person, merged))


def build(seed: int = DEFAULT_SEED, persons: int = DEFAULT_PERSONS, *, region: RegionTable | None = None) -> Scenario:
    """Invent a region.

    Args:
        seed: any integer; the same gives the same bytes.
        persons: how many people, the hard cases and the cast among them; at least 100. They have more than two
            records each on average.
        region: whose sites; default the table of ``fixtures/region.toml``.
    """
    if persons < 100:
        raise ValueError("an invented region has at least 100 persons")
    table = region or load_region(Path(__file__).parents[2] / "fixtures" / "region.toml")
    rng = random.Random(seed)  # noqa: S311 - nothing secret is drawn
    registrar = Registrar(rng)
    chronicle = Chronicle(rng)
    cast = play(registrar, chronicle)
    live_through_hard_cases(registrar, chronicle, rng, count=persons // 100)
    live_as_residents(registrar, chronicle, rng, until=persons)
    events = chronicle.events()
    return Scenario(
        seed=seed,
        region=table,
        persons=dict(sorted(chronicle.persons.items())),
        messages=_messages(events, table),
        records=_truth(events, chronicle.owners),
        cast=cast,
    )


def _messages(events: tuple[Event, ...], table: RegionTable) -> tuple[FeedMessage, ...]:
    sent: dict[str, int] = defaultdict(int)
    messages = []
    for event in events:
        sent[event.site] += 1
        control_id = f"{event.site}-{sent[event.site]:06d}"
        data = write_message(event, HANDS[event.site], table.by_code(event.site), control_id)
        messages.append(FeedMessage(event.site, event.trigger, control_id, event.local_id, data))
    return tuple(messages)


def _truth(events: tuple[Event, ...], owners: Mapping[RecordKey, int]) -> Mapping[RecordKey, RecordTruth]:
    """Replay the events: the newest identity of a record stands, a replaced record stays with its last one."""
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

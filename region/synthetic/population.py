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

from mpi.domain.identity import RecordKey
from region.region_table import RegionTable, load_region
from region.synthetic.adt import Event, write_message
from region.synthetic.cast import Cast, play
from region.synthetic.chronicle import Chronicle
from region.synthetic.civil_status import Person, Registrar
from region.synthetic.imaging import Study, make_studies
from region.synthetic.lives import live_as_residents, live_through_hard_cases
from region.synthetic.submissions import StudySubmission, make_submissions
from region.synthetic.truth import RecordTruth, replay
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

    @cached_property
    def studies(self) -> tuple[Study, ...]:
        """Imaging studies of the active records, one for every two persons and some more, in time order."""
        cast = [key for character in self.cast.everyone for key in character.records.values()]
        return make_studies(
            self.records,
            self.persons,
            {site.code: site for site in self.region.establishments},
            random.Random(f"studies of {self.seed}"),  # noqa: S311 - nothing secret is drawn
            count=len(self.persons) * 11 // 20,
            always={key: 2 if key.domain in ("CHUSE", "ICL") else 1 for key in cast},
        )

    @property
    def submissions(self) -> tuple[StudySubmission, ...]:
        """What the sites send when the studies are done."""
        return make_submissions(self.studies, self.region)

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
        records=replay(events, chronicle.owners),
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

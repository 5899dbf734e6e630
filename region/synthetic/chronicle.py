"""What happens to the records of the invented region, written down as it happens and put in time order at the end.

Each record has a clock of its own that only moves forward, so that its messages arrive in the order they are made;
what arrives late on purpose says so by its times.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, time, timedelta

from mpi.domain.identity import RecordKey, Traits
from region.synthetic.adt import Event
from region.synthetic.civil_status import TODAY, Person
from region.synthetic.writing import HANDS

_START = datetime.combine(TODAY, time(6, 30))
_FEED_MINUTES = 20 * 24 * 60


class Chronicle:
    """Collects events; the truth behind them stays beside."""

    def __init__(self, rng: random.Random) -> None:
        self.persons: dict[int, Person] = {}
        self.owners: dict[RecordKey, int] = {}
        self._rng = rng
        self._events: list[Event] = []
        self._latest: dict[RecordKey, Event] = {}
        self._given: dict[str, int] = defaultdict(int)
        self._visits: dict[str, int] = defaultdict(int)

    def events(self) -> tuple[Event, ...]:
        """All events in the order of their sending."""
        return tuple(sorted(self._events, key=lambda event: event.at))

    def create(
        self,
        person: Person,
        site: str,
        traits: Traits,
        *,
        trigger: str = "A28",
        after_days: float | None = None,
        opposed: bool = False,
    ) -> RecordKey:
        """A site meets a person for the first time, or does not recognise them and makes a second record.

        Args:
            trigger: the event that brings the record: A28, or a movement.
            after_days: days after the start of the feed; drawn when ``None``.
            opposed: the patient is opposed to consultation of shared data.
        """
        hand = HANDS[site]
        local_id = hand.local_id.format(hand.first_number + self._given[site])
        self._given[site] += self._rng.randint(1, 9)
        key = RecordKey(site, local_id)
        self.persons[person.number] = person
        self.owners[key] = person.number
        minutes = self._rng.randrange(_FEED_MINUTES) if after_days is None else int(after_days * 24 * 60)
        at = _START + timedelta(minutes=minutes, seconds=self._rng.randrange(60))
        visit = None if trigger == "A28" else self._visit(site)
        self._add(
            Event(
                site=site, trigger=trigger, at=at, occurred_at=at, updated_at=at, local_id=local_id, traits=traits,
                visit=visit, opposed=opposed,
            )
        )  # fmt: skip
        return key

    def traits(self, key: RecordKey) -> Traits:
        """What the site says of the record so far."""
        return self._latest[key].traits

    def update(self, key: RecordKey, traits: Traits) -> None:
        """The site corrects or completes the identity (A31)."""
        at = self._later(key)
        self._add(
            replace(self._latest[key], trigger="A31", at=at, occurred_at=at, updated_at=at, traits=traits, visit=None)
        )

    def stay(self, key: RecordKey, *triggers: str) -> None:
        """One visit: movements of one visit number, for example ``A01``, ``A03``."""
        visit = self._visit(key.domain)
        for trigger in triggers:
            at = self._later(key)
            self._add(replace(self._latest[key], trigger=trigger, at=at, occurred_at=at, visit=visit))

    def report_late(self, key: RecordKey, trigger: str, old: Traits) -> None:
        """A movement of the past that arrives behind newer news, with the identity as it was then."""
        latest = self._latest[key]
        at = self._later(key)
        then = latest.updated_at - timedelta(days=3)
        visit = self._visit(key.domain)
        self._events.append(
            replace(latest, trigger=trigger, at=at, occurred_at=then, updated_at=then, traits=old, visit=visit)
        )
        self._latest[key] = replace(latest, at=at)

    def merge(self, surviving: RecordKey, subsumed: RecordKey) -> None:
        """The site finds that two of its records are one patient (A40); nothing happens to the second any more."""
        at = max(self._later(surviving), self._later(subsumed))
        self._add(
            replace(
                self._latest[surviving], trigger="A40", at=at, occurred_at=at, updated_at=at,
                prior_local_id=subsumed.local_id, visit=None,
            )
        )  # fmt: skip

    def renumber(self, key: RecordKey) -> RecordKey:
        """The site gives the patient another number (A47); the old one is never used again."""
        hand = HANDS[key.domain]
        local_id = hand.local_id.format(hand.first_number + self._given[key.domain])
        self._given[key.domain] += 1
        new = RecordKey(key.domain, local_id)
        self.owners[new] = self.owners[key]
        at = self._later(key)
        self._add(
            replace(
                self._latest[key], trigger="A47", at=at, occurred_at=at, updated_at=at, local_id=local_id,
                prior_local_id=key.local_id, visit=None,
            )
        )  # fmt: skip
        return new

    def _add(self, event: Event) -> None:
        self._events.append(event)
        self._latest[RecordKey(event.site, event.local_id)] = replace(event, prior_local_id=None)

    def _later(self, key: RecordKey) -> datetime:
        return self._latest[key].at + timedelta(
            minutes=self._rng.randint(30, 3 * 24 * 60), seconds=self._rng.randrange(60)
        )

    def _visit(self, site: str) -> str:
        self._visits[site] += 1
        return f"26{self._visits[site]:06d}"

"""RecordLinker's algorithm, written anew from its published description, because it is a service and no package.

Records arrive one by one. Each pass blocks on several keys at once, weighs the record against every patient of
the persons found, takes the median of a person's points, and grades it by the share of the points that could be
reached: below the window "certainly not", inside "possible" (no link, a human looks), above "certain" (linked to
the best person). A missing field earns half of its points; too much missing rules a pair out.

Source: CDCgov/RecordLinker, ``linking/link.py`` and its default algorithm "dibbs-default".
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from rapidfuzz.distance import JaroWinkler

from bench.population.tables import fold

Row = Mapping[str, str]

DEFAULT_LOG_ODDS: Mapping[str, float] = {
    "address": 8.438,
    "birthdate": 10.127,
    "city": 2.439,
    "first_name": 6.849,
    "last_name": 6.351,
    "identifier": 0.305,
    "sex": 0.751,
    "zip": 4.975,
}
"""Points of each field as the project ships them, from a population of the United States."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: blocking keys, compared fields with their least similarity, and the window of possible matches."""

    blocking: tuple[str, ...]
    evaluated: Mapping[str, float]
    window: tuple[float, float]


DEFAULT_PASSES = (
    Pass(("birthdate", "identifier", "sex"), {"first_name": 0.9, "last_name": 0.9}, (0.8, 0.925)),
    Pass(("zip", "first_name", "last_name", "sex"), {"address": 0.9, "birthdate": 0.95}, (0.815, 0.915)),
)
EXPERT_PASSES = (
    Pass(("birthdate", "sex"), {"first_name": 0.85, "last_name": 0.85}, (0.8, 0.88)),
    Pass(
        ("first_name", "last_name", "sex"),
        {"birthdate": 0.95, "first_name": 0.92, "last_name": 0.92, "address": 0.9, "zip": 1.0},
        (0.6, 0.72),
    ),
    Pass(("identifier",), {"first_name": 0.88, "last_name": 0.88, "birthdate": 0.95}, (0.6, 0.7)),
)
"""What someone who knows the data would set: no blocking on the matricule, which most records lack."""

MAX_MISSING = 0.5
MISSING_POINTS = 0.5


@dataclass(slots=True)
class _Patient:
    key: str
    values: dict[str, str]


@dataclass(slots=True)
class _Person:
    number: int
    patients: list[_Patient] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecordLinkerResult:
    """Persons and questions.

    Attributes:
        clusters: number of the person of each record.
        tasks: a record graded "possible" and the first record of its best person.
        seconds: wall time.
    """

    clusters: dict[str, int]
    tasks: list[tuple[str, str]]
    seconds: float


class RecordLinker:
    """An index in memory; feed it records in order of arrival."""

    def __init__(
        self, passes: Sequence[Pass] = DEFAULT_PASSES, log_odds: Mapping[str, float] = DEFAULT_LOG_ODDS
    ) -> None:
        self.passes, self.log_odds = passes, log_odds
        self.clusters: dict[str, int] = {}
        self.tasks: list[tuple[str, str]] = []
        self._people: list[_Person] = []
        self._blocks: defaultdict[tuple[int, tuple[tuple[str, str], ...]], set[int]] = defaultdict(set)

    def add(self, key: str, row: Row) -> None:
        """Link one record: to the best certain person, else to a new one, with a task if one was possible."""
        patient = _Patient(key, features(row))
        best: dict[int, tuple[bool, float]] = {}
        for at, step in enumerate(self.passes):
            for number, members in self._candidates(at, step, patient).items():
                grade = self._grade(step, patient, members)
                if grade is not None and grade > best.get(number, (False, 0.0)):
                    best[number] = grade
        chosen = max(best.items(), key=lambda item: item[1], default=None)
        if chosen is not None and chosen[1][0]:
            person = self._people[chosen[0]]
        else:
            if chosen is not None:
                self.tasks.append((self._people[chosen[0]].patients[0].key, key))
            person = _Person(len(self._people))
            self._people.append(person)
        person.patients.append(patient)
        self.clusters[key] = person.number
        for at, step in enumerate(self.passes):
            present = [k for k in step.blocking if blocking_value(k, patient.values)]
            for size in range(1, len(present) + 1):
                for names in combinations(present, size):
                    self._blocks[at, self._block(names, patient.values)].add(person.number)

    @staticmethod
    def _block(names: Iterable[str], values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple((name, blocking_value(name, values)) for name in names)

    def _candidates(self, at: int, step: Pass, patient: _Patient) -> dict[int, list[_Patient]]:
        """Patients of the persons that share every present key, without those whose keys contradict."""
        present = [name for name in step.blocking if blocking_value(name, patient.values)]
        total = sum(self.log_odds[name] for name in step.blocking)
        missing = total - sum(self.log_odds[name] for name in present)
        if not present or missing / total > MAX_MISSING:
            return {}
        found: dict[int, list[_Patient]] = {}
        for number in self._blocks.get((at, self._block(present, patient.values)), ()):
            members = [
                other
                for other in self._people[number].patients
                if all(
                    blocking_value(name, other.values) in ("", blocking_value(name, patient.values)) for name in present
                )
            ]
            if members:
                found[number] = members
        return found

    def _grade(self, step: Pass, patient: _Patient, members: Sequence[_Patient]) -> tuple[bool, float] | None:
        """Whether certain, and the share of reachable points; ``None`` below the window."""
        reachable = sum(self.log_odds[name] for name in step.evaluated)
        share = statistics.median(self._points(step, patient, other, reachable) for other in members) / reachable
        low, high = step.window
        return None if share < low else (share >= high, share)

    def _points(self, step: Pass, a: _Patient, b: _Patient, reachable: float) -> float:
        points = missing = 0.0
        for name, least in step.evaluated.items():
            odds, x, y = self.log_odds[name], a.values[name], b.values[name]
            if not x or not y:
                missing += odds
                points += odds * MISSING_POINTS
            elif (similarity := JaroWinkler.normalized_similarity(x, y)) >= least:
                points += odds * similarity
        return 0.0 if missing > MAX_MISSING * reachable else points


def features(row: Row) -> dict[str, str]:
    """The fields that RecordLinker reads, in its normal form: lower case letters and digits."""
    sex = row["sex"]
    return {
        "first_name": _plain(row["first_birth_given_name"]),
        "last_name": _plain(row["birth_family_name"]),
        "birthdate": row["birth_date"] if len(row["birth_date"]) == 10 else "",
        "sex": sex if sex in ("M", "F") else "",
        "zip": row["postal_code"],
        "city": _plain(row["city"]),
        "address": _plain(row["address"]),
        "identifier": row["ins"],
    }


def _plain(text: str) -> str:
    return "".join(c for c in fold(text).lower() if c.isalnum())


def blocking_value(name: str, values: Mapping[str, str]) -> str:
    """The value that a blocking key holds: four letters of a name, four digits of an identifier."""
    value = values[name]
    if name in ("first_name", "last_name", "address"):
        return value[:4]
    return value[-4:] if name == "identifier" else value


def link(rows: Iterable[tuple[str, Row]], passes: Sequence[Pass] = DEFAULT_PASSES) -> RecordLinkerResult:
    """Feed all rows in their order."""
    linker = RecordLinker(passes)
    began = time.perf_counter()
    for key, row in rows:
        linker.add(key, row)
    return RecordLinkerResult(linker.clusters, linker.tasks, time.perf_counter() - began)

"""A seeded, made-up population of the Loire and its neighbours, with ground truth, of any size.

Everything here is synthetic: names are drawn by their public frequencies, nobody is described.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from bench.population.people import lineages
from bench.population.profiles import PROFILES
from bench.population.records import CSV_COLUMNS, Scribe

TRUTH_COLUMNS = ("person", "family", "delivery", "homonym_of", "parents", "kinds")
"""Columns of ground truth: the person's number; lineage; multiple birth; the person whose name and birth date
were copied; father's and mother's numbers; what was done to the record, separated by ``|``."""

BLOCK_ROWS = 20_000
"""Rows are shuffled within blocks of this size, so that memory does not grow with the population."""


def generate(records: int, seed: int, profile: str = "realistic") -> Iterator[dict[str, str]]:
    """Rows of a population: the columns of the bulk CSV and ``TRUTH_COLUMNS``.

    Args:
        records: number of rows, at least 1.
        seed: equal seeds give equal rows; a shorter run is not a prefix of a longer one.
        profile: ``easy``, ``realistic`` or ``hard``.

    Raises:
        KeyError: no such profile.
    """
    chosen = PROFILES[profile]
    rng = random.Random(f"{profile}/{seed}")
    scribe = Scribe(rng, chosen)
    rows = itertools.islice(_rows(rng, scribe, chosen.overlay), records)
    while block := list(itertools.islice(rows, BLOCK_ROWS)):
        rng.shuffle(block)
        yield from block


def _rows(rng: random.Random, scribe: Scribe, overlay: float) -> Iterator[dict[str, str]]:
    for patients in lineages(rng, scribe.profile):
        for person in patients:
            for row in scribe.records(person):
                if rng.random() < overlay:
                    other = patients[int(rng.random() * len(patients))]
                    yield scribe.overlay(row, other)
                else:
                    yield row


__all__ = ["CSV_COLUMNS", "TRUTH_COLUMNS", "generate"]

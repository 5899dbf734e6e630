"""How large the index is and what waits in it."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from mpi.store import records, tasks


@dataclass(frozen=True, slots=True)
class Population:
    """Sizes at one moment.

    Attributes:
        records: active records of all domains.
        persons: humans they are believed to be.
        tasks: questions that wait for a person to decide.
    """

    records: int
    persons: int
    tasks: int


def count_population(uow: UnitOfWork) -> Population:
    """Count them."""
    active, persons = records.count_active(uow.connection)
    return Population(active, persons, sum(tasks.count_open(uow.connection).values()))

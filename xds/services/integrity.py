"""Is the registry whole? Finds what no transaction should ever have left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ihe.unit_of_work import UnitOfWork
from xds.store import integrity


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is not as it should be.

    Attributes:
        kind: what is wrong.
        object_id: UUID of the object concerned.
    """

    kind: str
    object_id: str


def check(uow: UnitOfWork) -> Iterator[Flaw]:
    """The flaws of the registry: ends that do not exist, objects without association, versions that contradict."""
    for kind in integrity.KINDS:
        for object_id in integrity.flaws(uow.connection, kind):
            yield Flaw(kind, object_id)

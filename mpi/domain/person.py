"""A person as the index believes in it: the records it holds together, and the traits they are shown with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mpi.domain.record import Record
from mpi.domain.survivorship import Displayed


@dataclass(frozen=True, slots=True)
class Person:
    """One human at this moment.

    Attributes:
        id: the one asked for.
        current_id: the person to whom the founder of that one belongs now; another than ``id`` after a link.
        records: active ones that the caller may see, by id; at least one.
        displayed: traits derived from those records.
    """

    id: int
    current_id: int
    records: tuple[Record, ...]
    displayed: Displayed

    @property
    def is_current(self) -> bool:
        """Whether the id still names a person of its own."""
        return self.id == self.current_id

    @property
    def version(self) -> str:
        """Changes whenever what is shown does."""
        state = ";".join(f"{r.id}:{r.key.local_id}:{r.version}:{r.grade}" for r in self.records)
        return hashlib.blake2b(f"{self.current_id};{state}".encode(), digest_size=8).hexdigest()

"""A record of the index with its place in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mpi.domain.identity import RecordKey, Traits


class RecordState(StrEnum):
    """``active``: answers queries; ``subsumed``: merged into another of its domain; ``withdrawn``: deleted."""

    ACTIVE = "active"
    SUBSUMED = "subsumed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Record:
    """What one domain says of one local id.

    Attributes:
        id: internal, increasing by first arrival.
        person_id: id of the founder: the earliest record among those believed to be one human. A record alone is
            its own founder, so that leaving a person always leads back to an identity of its own.
        grade: grade of the link to the person; ``None`` for a founder or a record alone.
        merged_into: the surviving record when subsumed.
        created_at: when it first arrived.
        source_updated_at: when the source says the traits were last changed, or ``None``.
    """

    id: int
    key: RecordKey
    state: RecordState
    person_id: int
    grade: str | None
    merged_into: int | None
    version: int
    traits: Traits
    created_at: datetime
    source_updated_at: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether the record answers queries."""
        return self.state is RecordState.ACTIVE

    @property
    def is_trace(self) -> bool:
        """Whether it is only what a change of identifier that was taken back has left: nobody ever spoke of it."""
        return self.state is RecordState.WITHDRAWN and self.traits == Traits()


_RID_PREFIX = "TDU"


def regional_id(person_id: int) -> str:
    """The regional identifier (RID) of a person: prefix and ten digits."""
    return f"{_RID_PREFIX}{person_id:010d}"


def person_of_regional_id(value: str) -> int | None:
    """The founder named by a regional identifier, or ``None`` when the text is none."""
    digits = value.removeprefix(_RID_PREFIX)
    return int(digits) if digits != value and digits.isascii() and digits.isdigit() and len(digits) == 10 else None

"""A record of the index with its place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ihe.confidentiality import Sight
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
        is_hidden: the identity is hidden or anonymous, or its patient opposes to standing in the index: it is shown to
            those alone who may see such ones.
        opposes_indexing: the latter.
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
    is_hidden: bool = False
    opposes_indexing: bool = False

    @property
    def is_active(self) -> bool:
        """Whether the record answers queries."""
        return self.state is RecordState.ACTIVE

    @property
    def is_trace(self) -> bool:
        """Whether it is only what a change of identifier that was taken back has left: nobody ever spoke of it."""
        return self.state is RecordState.WITHDRAWN and self.traits == Traits()


def shown(members: Sequence[Record], sight: Sight) -> list[Record]:
    """The records of a person that may be shown; one that was merged is as visible as what it was merged into."""
    by_id = {record.id: record for record in members}

    def is_seen(record: Record) -> bool:
        standing: Record | None = record
        while standing is not None and sight.sees(standing.key.domain, is_hidden=standing.is_hidden):
            if standing.merged_into is None:
                return True
            standing = by_id.get(standing.merged_into)
        return False

    return [record for record in members if is_seen(record)]


_RID_PREFIX = "TDU"


def regional_id(person_id: int) -> str:
    """The regional identifier (RID) of a person: prefix and ten digits."""
    return f"{_RID_PREFIX}{person_id:010d}"


def person_of_regional_id(value: str) -> int | None:
    """The founder named by a regional identifier, or ``None`` when the text is none."""
    digits = value.removeprefix(_RID_PREFIX)
    return int(digits) if digits != value and digits.isascii() and digits.isdigit() and len(digits) == 10 else None

"""What patients say about the sharing of their data: information, opposition, consent.

Source: PAM France 2.11, ZFA-9 to ZFA-12; Code de la santé publique, L1110-4, L1111-15, L1111-17.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Subject(StrEnum):
    """What is stated about.

    ``INDEXING``: that a record of one domain stands in the regional index; ``FEEDING``: that documents are shared;
    ``CONSULTATION``: that they are read; ``PROFESSIONAL``: that one professional reads them.
    """

    INDEXING = "indexing"
    FEEDING = "feeding"
    CONSULTATION = "consultation"
    PROFESSIONAL = "professional"


class Stance(StrEnum):
    """What the patient says; ``UNKNOWN`` where nobody asked yet (NA)."""

    AGREES = "agrees"
    OPPOSES = "opposes"
    UNKNOWN = "unknown"


class Way(StrEnum):
    """How it was told."""

    FEED = "feed"
    STEWARD = "steward"
    FHIR = "fhir"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing a patient says.

    Attributes:
        professional: whom it is about, as tokens name them (8 and the RPPS); empty for other subjects.
        since: when it was said, or ``None`` where the message gives no date.
    """

    subject: Subject
    stance: Stance
    since: datetime | None = None
    professional: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """A statement as it is kept.

    Attributes:
        patient_id: CX of the identifier for which it was made; it follows identity as documents do.
        is_dated: whether ``since`` is the patient's date, not that of the message.
        stated_for: code of the domain for which it was written down; ``None`` for the region.
        ended_at: when it was withdrawn or replaced; ``None`` while it is in force.
        first_id: of the first statement about the same; it names all of them together.
    """

    id: int
    patient_id: str
    subject: Subject
    professional: str
    stance: Stance
    since: datetime
    is_dated: bool
    how: Way
    stated_at: datetime
    stated_by: str
    stated_for: str | None
    ended_at: datetime | None
    ended_by: str | None
    first_id: int


def is_news(statement: Statement, told: Sequence[Consent]) -> bool:
    """Whether a feed says something that it, or somebody after it, has not said before.

    Every message repeats what a site knows; a steward's or the patient's later word must outlive that.

    Args:
        told: what was stated before about the same subject for the same identifier, oldest first.
    """
    if not told:
        return statement.stance is not Stance.UNKNOWN
    last = told[-1]
    if statement.since is not None:
        return statement.since > last.since
    fed = [each for each in told if each.how is Way.FEED]
    return (fed[-1].stance if fed else Stance.UNKNOWN) is not statement.stance

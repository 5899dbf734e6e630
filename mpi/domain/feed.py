"""What a source tells the index about its patients, whatever the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ihe.values import PatientId
from mpi.domain.consent import Statement
from mpi.domain.identity import Traits
from mpi.domain.visit import VisitId, VisitNews


class FeedKind(StrEnum):
    """What happened at the source.

    ``IDENTITY``: created or changed; ``ENCOUNTER``: identity told in passing; ``MERGE``: one id subsumed into
    another; ``CHANGE_IDENTIFIER``: one id replaced by another; ``LINK``/``UNLINK``: two patients declared the same or
    not; ``WITHDRAW``: deleted; ``MOVE_ACCOUNT``: an account that stood under the wrong patient.
    """

    IDENTITY = "identity"
    ENCOUNTER = "encounter"
    MERGE = "merge"
    CHANGE_IDENTIFIER = "change_identifier"
    LINK = "link"
    UNLINK = "unlink"
    WITHDRAW = "withdraw"
    MOVE_ACCOUNT = "move_account"


@dataclass(frozen=True, slots=True)
class Feed:
    """One message of a source.

    Attributes:
        identifiers: of the patient (the survivor of a merge, the new id of a change, the right owner of an account), as
            sent, at least one.
        others: the subsumed, former, second or wrong patient's identifiers; empty for the other kinds.
        source_updated_at: when the source last changed the patient, or ``None``.
        visit: what an encounter says of the visit, or ``None``.
        account: the account that is moved, or ``None``.
        statements: what the patient says of the sharing of data.
    """

    kind: FeedKind
    identifiers: tuple[PatientId, ...]
    others: tuple[PatientId, ...]
    traits: Traits
    source_updated_at: datetime | None
    visit: VisitNews | None = None
    account: VisitId | None = None
    statements: tuple[Statement, ...] = ()

"""A query by demographics whose answer may be too long for one message, on any wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mpi.domain.search import PatientSearch
from mpi.domain.visit import VisitId, VisitSearch


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is asked, on any wire.

    Attributes:
        patients: criteria about the patient, without identifiers.
        identifiers: of which any may match; one without authority is looked for in every domain.
        visits: criteria about visits and accounts.
        domains: codes of the domains to which the answer is restricted; empty means all.
        quantity: most on one page; ``None`` puts all on one.
    """

    patients: PatientSearch
    identifiers: Sequence[VisitId] = ()
    visits: VisitSearch = field(default_factory=VisitSearch)
    domains: Sequence[str] = ()
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an answer.

    Attributes:
        ids: of this page.
        total: how many were found in all.
        pointer: asks for the next page; ``None`` on the last one.
        remaining: how many follow this page.
        question: the question as it was kept for later pages, or ``None``.
    """

    ids: tuple[int, ...]
    total: int
    pointer: str | None
    remaining: int
    question: str | None = None


@dataclass(frozen=True, slots=True)
class QueryTag:
    """Names a query.

    Attributes:
        owner: who asks; a query is continued and cancelled by nobody else.
        tag: the asker's own name of the query.
        kind: the transaction, for example ``ITI-21``.
        question: the question as asked, kept for a wire whose continuation does not repeat it; else ``None``.
    """

    owner: str
    tag: str
    kind: str
    question: str | None = None

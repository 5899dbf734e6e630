"""Quality of identities over time, and the sampled review by which stewards judge automatic links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from ihe.errors import Conflict, InvalidElement
from ihe.store import outbox
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.record import Record
from mpi.domain.stewardship import ANSWERS, REGION_DESK
from mpi.services.explain_link import explain_pair
from mpi.services.read_worklist import desk_of
from mpi.store import quality, records
from mpi.store.quality import Measured, Review

_SHOWN: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Quality:
    """What the dashboard shows.

    Attributes:
        day: of the latest measures, or ``None`` when none was taken yet.
        latest: by measure and domain (empty: the region).
        trend: of the region, by measure: day and value, oldest first.
        dead_letters: notifications that were given up.
        model: version of the match model in force.
    """

    day: date | None
    latest: Mapping[str, Mapping[str, float]]
    trend: Mapping[str, Sequence[tuple[date, float]]]
    dead_letters: int
    model: str


def read_quality(uow: UnitOfWork, app: MpiApplication) -> Quality:
    """The measures of the last 90 days."""
    found = quality.since(uow.connection, (uow.now - _SHOWN).date())
    day = max((each.day for each in found), default=None)
    latest: dict[str, dict[str, float]] = {}
    trend: dict[str, list[tuple[date, float]]] = {}
    for each in found:
        if each.day == day:
            latest.setdefault(each.measure, {})[each.domain] = each.value
        if not each.domain:
            trend.setdefault(each.measure, []).append((each.day, each.value))
    return Quality(day, latest, trend, len(outbox.dead_letters(uow.connection, 1000)), app.model.version)


def all_measures(uow: UnitOfWork) -> list[Measured]:
    """Those of the last 90 days, one by one."""
    return quality.since(uow.connection, (uow.now - _SHOWN).date())


@dataclass(frozen=True, slots=True)
class ReviewInFull:
    """A link to judge, with its evidence, and how many wait at this desk (at most 200 are counted)."""

    review: Review
    first: Record
    second: Record
    evidence: Mapping[str, Any]
    waiting: int


def next_review(uow: UnitOfWork, app: MpiApplication) -> ReviewInFull | None:
    """The next link for the caller to judge, or ``None``."""
    waiting = quality.reviews_waiting(uow.connection, _site(uow), 200)
    for review in waiting:
        found = {r.id: r for r in records.by_ids(uow.connection, review.pair)}
        first, second = (found[i] for i in review.pair)
        if first.is_active and second.is_active:
            return ReviewInFull(review, first, second, explain_pair(uow, app, first.key, second.key), len(waiting))
    return None


def answer_review(uow: UnitOfWork, review_id: int, answer: str) -> None:
    """Say whether a link is right; it stays as it is, only the measure of precision learns from it.

    Raises:
        InvalidElement: the answer is none.
        Conflict: somebody answered already.
    """
    if answer not in ANSWERS:
        raise InvalidElement("the answer is same, different or unknown", "answer")
    if not quality.answer_review(uow.connection, review_id, _site(uow), answer, by=uow.caller.label, now=uow.now):
        raise Conflict("this link was reviewed meanwhile")


def _site(uow: UnitOfWork) -> str | None:
    desk = desk_of(uow.caller)
    return None if desk == REGION_DESK else desk

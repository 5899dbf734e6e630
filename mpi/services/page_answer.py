"""Long answers in pages over one snapshot, for every wire that continues and cancels queries (v2 DSC, v3 QUQI).

The first page keeps what was found; later pages are read from that, so that nothing is left out or shown twice
whatever is fed in between. A pointer names a place in the snapshot: the same pointer gives the same page again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ihe.errors import InvalidElement
from ihe.unit_of_work import UnitOfWork
from mpi.domain.query import Page, QueryTag
from mpi.store import snapshots

KEPT = timedelta(minutes=15)
"""How long a query can be continued."""


def first_page(uow: UnitOfWork, query: QueryTag, ids: Sequence[int], size: int | None) -> Page:
    """The first page of an answer.

    Args:
        ids: all that was found.
        size: most on one page; ``None`` puts all on one.
    """
    if size is None or len(ids) <= size:
        return Page(tuple(ids), len(ids), None, 0)
    snapshot = secrets.token_hex(12)
    snapshots.keep(
        uow.connection,
        snapshot,
        owner=query.owner,
        tag=query.tag,
        kind=query.kind,
        ids=ids,
        expires_at=uow.now + KEPT,
        question=query.question,
        delivered=size,
    )
    return _page(snapshot, ids, 0, size)


def next_page(uow: UnitOfWork, query: QueryTag, pointer: str, size: int | None, location: str) -> Page:
    """The page that a pointer asks for.

    Args:
        location: of the pointer in the request.

    Raises:
        InvalidElement: the pointer is unknown, another's, too old, or its query was cancelled.
    """
    snapshot, _, place = pointer.partition(".")
    kept = None
    if place.isascii() and place.isdigit() and len(place) < 10:
        kept = snapshots.get(uow.connection, snapshot, owner=query.owner, kind=query.kind, now=uow.now)
    if kept is None:
        raise InvalidElement("there is nothing to continue: unknown, expired or cancelled", location)
    page = _page(snapshot, kept.ids, int(place), size or len(kept.ids))
    return replace(page, question=kept.question)


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """A page asked for by number, with the question that it answers."""

    page: Page
    question: str


def numbered_page(uow: UnitOfWork, query: QueryTag, start: int | None, size: int | None, location: str) -> NumberedPage:
    """The page of a query that a wire names by the query and a number, without repeating the question.

    Args:
        start: number of the first patient, from 1; ``None`` goes on behind the page delivered last.
        size: most on the page; ``None`` puts all that follow on it.
        location: of the query's name in the request.

    Raises:
        InvalidElement: the query is unknown, too old, cancelled, or has no patient of that number.
    """
    kept = snapshots.latest(uow.connection, owner=query.owner, tag=query.tag, kind=query.kind, now=uow.now)
    first = (kept.delivered if start is None else start - 1) if kept is not None else 0
    if kept is None or kept.question is None or first >= len(kept.ids):
        raise InvalidElement("there is nothing to continue: unknown, expired, cancelled or at its end", location)
    page = _page(kept.pointer, kept.ids, first, size or len(kept.ids))
    snapshots.deliver(uow.connection, kept.pointer, first + len(page.ids))
    return NumberedPage(page, kept.question)


def cancel_pages(uow: UnitOfWork, owner: str, tag: str) -> int:
    """Forget the answer of a query; returns how many snapshots there were, none when nothing was left to fetch."""
    return snapshots.drop(uow.connection, owner=owner, tag=tag)


def _page(snapshot: str, ids: Sequence[int], start: int, size: int) -> Page:
    page = tuple(ids[start : start + size])
    following = start + len(page)
    remaining = max(0, len(ids) - following)
    return Page(page, len(ids), f"{snapshot}.{following}" if remaining else None, remaining)

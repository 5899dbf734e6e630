"""The worklist: which tasks a steward may see, a page of them with what is needed to choose, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ihe.caller import Caller
from ihe.confidentiality import sight_of
from ihe.errors import AccessDenied, NotFound
from ihe.unit_of_work import UnitOfWork
from mpi.domain.record import Record
from mpi.domain.stewardship import REGION_DESK, REGIONAL_STEWARD, SITE_STEWARD
from mpi.store import records, worklist
from mpi.store.worklist import ListedTask, TaskFilter


def desk_of(caller: Caller) -> str:
    """The desk at which a caller works: their establishment's, or the region's.

    Raises:
        AccessDenied: they are no steward, or act for nobody.
    """
    if REGIONAL_STEWARD in caller.roles:
        return REGION_DESK
    if SITE_STEWARD in caller.roles and caller.site:
        return caller.site
    raise AccessDenied("only stewards work on tasks")


@dataclass(frozen=True, slots=True)
class ListedPair:
    """A task on the list with its two records (the same one twice for a task about one record)."""

    task: ListedTask
    first: Record
    second: Record


@dataclass(frozen=True, slots=True)
class Worklist:
    """A page of the list.

    Attributes:
        more: whether further ones follow.
        total: how many tasks the caller may see.
        by_kind, by_stage, by_site: how many of them there are.
    """

    tasks: tuple[ListedPair, ...]
    more: bool
    total: int
    by_kind: Mapping[str, int]
    by_stage: Mapping[str, int]
    by_site: Mapping[str, int]


def read_worklist(uow: UnitOfWork, wanted: TaskFilter) -> Worklist:
    """The open tasks that meet a filter, as far as the caller may see them.

    Raises:
        AccessDenied: the caller is no steward.
    """
    desk = desk_of(uow.caller)
    if desk != REGION_DESK:
        with_site = wanted.site if wanted.site not in (None, desk) else wanted.with_site
        wanted = replace(wanted, site=desk, with_site=with_site)
    found = worklist.listed(uow.connection, wanted, desk=desk, now=uow.now)
    page = found[: wanted.limit]
    by_kind: Counter[str] = Counter()
    by_stage: Counter[str] = Counter()
    by_site: Counter[str] = Counter()
    for counted in worklist.counts(uow.connection, desk):
        if desk == REGION_DESK or desk in counted.domains:
            by_kind[counted.kind] += counted.count
            by_stage[counted.stage] += counted.count
            for site in set(counted.domains):
                by_site[site] += counted.count
    return Worklist(
        with_records(uow, page), len(found) > wanted.limit, sum(by_kind.values()), by_kind, by_stage, by_site
    )


def with_records(uow: UnitOfWork, tasks: Sequence[ListedTask]) -> tuple[ListedPair, ...]:
    """Tasks with their records."""
    found = {r.id: r for r in records.by_ids(uow.connection, {i for task in tasks for i in task.pair})}
    return tuple(ListedPair(task, found[task.pair[0]], found[task.pair[1]]) for task in tasks)


def visible_task(uow: UnitOfWork, task_id: int) -> ListedTask:
    """A task in any state that the caller may see.

    Raises:
        NotFound: there is none, or it concerns other establishments only: who may not see it learns nothing of it.
    """
    desk = desk_of(uow.caller)
    task = next(iter(worklist.by_ids(uow.connection, [task_id], desk=desk, now=uow.now)), None)
    if task is None or (desk != REGION_DESK and desk not in task.domains) or _hides(uow, task):
        raise NotFound("there is no such task, or it is not one of yours")
    return task


def _hides(uow: UnitOfWork, task: ListedTask) -> bool:
    sight = sight_of(uow.caller)
    both = records.by_ids(uow.connection, set(task.pair))
    return not all(sight.sees(r.key.domain, is_hidden=r.is_hidden) for r in both)

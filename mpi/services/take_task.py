"""Take tasks in hand: a claim keeps colleagues of the same desk from working on the same one; an assignment lasts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ihe.errors import Conflict
from ihe.unit_of_work import UnitOfWork
from mpi.services.read_worklist import desk_of, visible_task
from mpi.store import worklist

CLAIM: Final = timedelta(minutes=15)
"""How long a claim lasts when its holder does nothing more."""


def claim_task(uow: UnitOfWork, task_id: int) -> str:
    """Take a task in hand, unless a colleague of the same desk has it; returns who has it.

    Raises:
        NotFound: there is no such task, or the caller may not see it.
    """
    task = visible_task(uow, task_id)
    if task.state != "open":
        return uow.caller.label
    desk = desk_of(uow.caller)
    return worklist.claim(uow.connection, task.id, desk, uow.caller.label, now=uow.now, until=uow.now + CLAIM)


def assign_tasks(uow: UnitOfWork, task_ids: Sequence[int], to: str | None) -> int:
    """Put open tasks on somebody's desk (``None``: on nobody's); returns how many.

    Raises:
        NotFound: one of them does not exist, or the caller may not see it.
        Conflict: one of them is closed.
    """
    for task_id in task_ids:
        if visible_task(uow, task_id).state != "open":
            raise Conflict("a task was closed meanwhile")
    worklist.assign(uow.connection, task_ids, desk_of(uow.caller), to)
    return len(task_ids)

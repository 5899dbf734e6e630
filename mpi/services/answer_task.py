"""Answer a task: a steward's vote, and the decision that follows when it was the last one needed."""

from __future__ import annotations

from dataclasses import dataclass

from ihe.errors import AccessDenied, Conflict, InvalidElement
from ihe.unit_of_work import UnitOfWork
from mpi.application import MpiApplication
from mpi.domain.partition import TaskKind
from mpi.domain.record import Record
from mpi.domain.stewardship import ANSWERS, REGION_DESK, Outcome, Stage, Vote, outcome
from mpi.services.decide_pair import decide_pair
from mpi.services.read_worklist import desk_of, visible_task
from mpi.store import events, records, tasks, votes, worklist
from mpi.store.worklist import ListedTask


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an answer.

    Attributes:
        event_id: by which it can be taken back: the decision's where one followed, else the vote's.
    """

    event_id: int
    outcome: Outcome


def answer_task(uow: UnitOfWork, app: MpiApplication, task_id: int, answer: str, *, reason: str) -> Answered:
    """Vote, and decide when the policy asks for nothing more.

    Raises:
        NotFound: there is no such task, or the caller may not see it.
        Conflict: it is closed, or a colleague has it in hand.
        AccessDenied: the caller is no steward of an owner, nor of the region.
        InvalidElement: the answer is none, or no reason is given where one is due.
    """
    if answer not in ANSWERS:
        raise InvalidElement("the answer is same, different or unknown", "answer")
    worklist.lock(uow.connection, task_id)
    task = visible_task(uow, task_id)
    desk = desk_of(uow.caller)
    if task.state != "open":
        raise Conflict("the task was closed meanwhile")
    if task.claimed_by not in (None, uow.caller.label):
        raise Conflict("a colleague has this task in hand")
    if desk not in (REGION_DESK, *task.domains):
        raise AccessDenied("only the owners of the records and the region vote")
    event_id = events.append(
        uow.connection,
        uow.now,
        uow.caller,
        "task.answered",
        {"task_id": task.id, "records": sorted(set(task.pair)), "answer": answer, "reason": reason},
    )
    votes.add(
        uow.connection,
        task.id,
        site=desk,
        by=uow.caller.label,
        at=uow.now,
        answer=answer,
        reason=reason,
        event_id=event_id,
    )
    worklist.release(uow.connection, task.id, desk, uow.caller.label)
    counted = count_votes(uow, app, task)
    worklist.set_stage(uow.connection, task.id, str(counted.stage))
    if counted.verdict is None:
        return Answered(event_id, counted)
    return _decide(uow, app, task, counted, reason, event_id)


def count_votes(uow: UnitOfWork, app: MpiApplication, task: ListedTask) -> Outcome:
    """What follows from the answers that count now."""
    in_force = [
        Vote(vote.site, vote.by, vote.answer)
        for vote in votes.of_tasks(uow.connection, [task.id])
        if vote.withdrawn_event_id is None
    ]
    found = records.by_ids(uow.connection, set(task.pair))
    return outcome(app.ballot, task.owners, in_force, qualified=any(r.traits.has_qualified_ins for r in found))


def _decide(
    uow: UnitOfWork, app: MpiApplication, task: ListedTask, counted: Outcome, reason: str, event_id: int
) -> Answered:
    one = task.pair[0] == task.pair[1]
    corrected_at_site = task.kind == TaskKind.DOUBTFUL_IDENTITY or (
        task.kind == TaskKind.SAME_DOMAIN_DUPLICATE and counted.verdict == "same"
    )
    if (one and counted.verdict == "different") or corrected_at_site:
        # Only the establishment repairs its own system; the task closes by itself when that arrives (A40, A31).
        worklist.set_stage(uow.connection, task.id, str(Stage.CORRECTION))
        return Answered(event_id, Outcome(Stage.CORRECTION, counted.verdict, task.owners))
    if one:
        tasks.close(uow.connection, [task.id], "no overlay", event_id=event_id, now=uow.now)
        return Answered(event_id, counted)
    first, second = _both(uow, task)
    decided = decide_pair(
        uow, app, first.key, second.key, counted.verdict or "", reason=reason, answered=(task.id, event_id)
    )
    worklist.close_as_decided(uow.connection, task.id, event_id=decided, now=uow.now)
    return Answered(decided, counted)


def _both(uow: UnitOfWork, task: ListedTask) -> tuple[Record, Record]:
    found = {r.id: r for r in records.by_ids(uow.connection, task.pair)}
    return found[task.pair[0]], found[task.pair[1]]


def comment_on_task(uow: UnitOfWork, task_id: int, words: str) -> None:
    """Write to the others who work on a task.

    Raises:
        NotFound: there is no such task, or the caller may not see it.
        InvalidElement: nothing is written, or too much.
    """
    task = visible_task(uow, task_id)
    if not 0 < len(words) <= 2000:
        raise InvalidElement("a comment has 1 to 2000 characters", "words")
    votes.comment(uow.connection, task.id, at=uow.now, by=uow.caller.label, site=desk_of(uow.caller), words=words)

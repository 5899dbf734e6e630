"""The decision page: two records (or one), every reason, and the answer in two keystrokes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ihe.errors import InvalidElement
from mpi.domain.identity import Traits
from mpi.services.answer_task import answer_task, comment_on_task
from mpi.services.read_task import Side, TaskInFull, read_task
from mpi.services.read_worklist import read_worklist
from mpi.services.take_task import claim_task
from web.belongings import belongings
from web.charts import waterfall
from web.difference import segments
from web.page import Pages, Redirect, Template, View, Visit
from web.pages.worklist import filter_of
from web.rendering import environment
from web.roles import STEWARDS

PAGES = Pages()
TRAITS = (
    ("birth_family_name", "family"),
    ("first_birth_given_name", "given"),
    ("birth_given_names", "given"),
    ("used_family_name", "family"),
    ("used_given_name", "given"),
    ("birth_date", "birth"),
    ("sex", "sex"),
    ("birth_place_code", "place"),
    ("ins", "ins"),
    ("identity_status", ""),
    ("identity_attributes", ""),
    ("mother_family_name", "mother"),
    ("birth_order", "rank"),
    ("phone", "contact"),
    ("email", "contact"),
    ("address", "contact"),
    ("postal_code", "contact"),
    ("city", "contact"),
    ("death_date", "death"),
)
"""Traits in the order in which they are compared, each with the field of evidence it belongs to."""
REASONS = {
    "same": ("reason.traits", "reason.ins", "reason.papers", "reason.phone-call"),
    "different": ("reason.homonyms", "reason.relatives", "reason.twins", "reason.papers"),
    "unknown": ("reason.too-little", "reason.waiting"),
}
REASONS_ABOUT_ONE = {
    "same": ("reason.papers", "reason.phone-call", "reason.civil-status"),
    "different": ("reason.papers", "reason.usurped", "reason.wrong-folder"),
    "unknown": REASONS["unknown"],
}


@PAGES.get("/tasks/{id}", "Decision page", roles=STEWARDS, writes=True)
def task(visit: Visit) -> View:
    """Everything about a task; opening it takes it in hand."""
    holder = claim_task(visit.uow, visit.number("id"))
    found = read_task(visit.uow, visit.app.mpi, visit.number("id"))
    for side in found.sides:
        visit.trail.patient(f"{side.record.key.domain}/{side.record.key.local_id}", task=found.task.id)
    persons = dict.fromkeys(side.record.person_id for side in found.sides)
    moves = {person_id: belongings(visit, person_id) for person_id in persons}
    evidence = found.evidence
    number = environment(visit.language).filters["bits"]
    one = found.task.pair[0] == found.task.pair[1]
    done = visit.request.one("done") or ""
    values = {
        "found": found,
        "holder": holder if holder != visit.session.subject else None,
        "rows": list(_rows(found)),
        "evidence": evidence,
        "chart": waterfall(evidence, visit.t, number) if evidence else "",
        "moves": moves,
        "one": one,
        "histories": [list(_history(side)) for side in found.sides],
        "reasons": REASONS_ABOUT_ONE if one else REASONS,
        "labels": {each: f"answer.{found.task.kind}.{each}" if one else f"answer.{each}" for each in REASONS},
        "query": visit.request.one("list") or "",
        "done": done if done.isascii() and done.isdigit() else "",
    }
    return Template("task.html", values)


def _rows(found: TaskInFull) -> Iterator[dict[str, Any]]:
    """Traits side by side, each with where they differ; those that neither states are left out."""
    told = {row["field"]: row for row in found.evidence["fields"]} if found.evidence else {}
    shown: set[str] = set()
    for name, field in TRAITS:
        one, other = _text(found.first, name), _text(found.second, name)
        if not one and not other:
            continue
        # A code differs as a whole, a name letter by letter.
        left, right = segments(one, other) if field else ([(v, one == other)] if v else [] for v in (one, other))
        row = told.get(field) if field not in shown else None
        shown.add(field)
        yield {"name": name, "sides": (left, right)[: len(found.sides)], "evidence": row}


def _history(side: Side) -> Iterator[dict[str, Any]]:
    """The kept states of a record, latest first, each with what it changed: trait, before, after."""
    for version, former in zip_longest(side.history, side.history[1:]):
        texts = (
            (name, trait_text(former.traits, name), trait_text(version.traits, name)) for name, _ in TRAITS if former
        )
        yield {"version": version, "changes": [each for each in texts if each[1] != each[2]]}


def _text(side: Side, name: str) -> str:
    return trait_text(side.traits, name)


def trait_text(traits: Traits, name: str) -> str:
    """A trait as people write it; empty when not stated."""
    value = getattr(traits, name)
    if name == "birth_given_names":
        return " ".join(value)
    if name == "identity_attributes":
        return " ".join(sorted(value))
    if name in ("birth_date", "death_date"):
        return "/".join(reversed(value.iso.split("-"))) if value else ""
    return str(value) if value is not None else ""


@PAGES.post("/tasks/{id}/answer", "Task answered", roles=STEWARDS)
def answer(visit: Visit) -> View:
    """Same, different, or don't know; then the next task of the list."""
    number = visit.number("id")
    given = visit.needed("answer")
    if given not in REASONS:
        raise InvalidElement("the answer is same, different or unknown", "answer")
    chosen, more = visit.field("reason"), visit.field("more")
    reason = " — ".join(part for part in (visit.t(chosen) if chosen else "", more) if part)
    answered = answer_task(visit.uow, visit.app.mpi, number, given, reason=reason or visit.needed("reason"))
    notice = visit.t(f"answered.{answered.outcome.stage}")
    return _onward(visit, number, notice, answered.event_id)


@PAGES.post("/tasks/{id}/ask", "Other establishment asked", roles=STEWARDS)
def ask(visit: Visit) -> View:
    """Ask the other establishment: the question is written down, and the task waits for it."""
    number, words = visit.number("id"), visit.needed("words")
    comment_on_task(visit.uow, number, words)
    answered = answer_task(visit.uow, visit.app.mpi, number, "unknown", reason=words)
    return _onward(
        visit, number, visit.t("The question is asked; the task waits for the other establishment."), answered.event_id
    )


@PAGES.post("/tasks/{id}/comment", "Task commented", roles=STEWARDS)
def comment(visit: Visit) -> View:
    """Write to the others."""
    number = visit.number("id")
    comment_on_task(visit.uow, number, visit.needed("words"))
    return Redirect(f"/tasks/{number}?{urlencode({'list': visit.field('list')})}", visit.t("The comment is written."))


def _onward(visit: Visit, number: int, notice: str, event_id: int) -> Redirect:
    """To the next task of the list that this desk has not answered and nobody has in hand."""
    query = visit.field("list")
    wanted = filter_of(visit, parse_qsl(query))
    wanted = replace(wanted, unvoted_by=visit.session.site or "", limit=10, offset=0)
    mine = visit.session.subject
    for pair in read_worklist(visit.uow, wanted).tasks:
        if pair.task.id != number and pair.task.claimed_by in (None, mine):
            there = urlencode({"list": query, "done": event_id})
            return Redirect(f"/tasks/{pair.task.id}?{there}", notice)
    return Redirect(f"/worklist?{query}{'&' if query else ''}done={event_id}", notice)


@PAGES.get("/tasks/{id}/next", "Next task", roles=STEWARDS)
def following(visit: Visit) -> View:
    """Leave this one for later."""
    query, number = visit.request.one("list") or "", visit.number("id")
    found = read_worklist(visit.uow, replace(filter_of(visit, parse_qsl(query)), limit=200, offset=0)).tasks
    ids = [pair.task.id for pair in found if pair.task.claimed_by in (None, visit.session.subject)]
    back = visit.request.one("back") is not None
    if number in ids:
        at = ids.index(number) + (-1 if back else 1)
        there = ids[at] if 0 <= at < len(ids) else None
    else:
        there = ids[0] if ids else None
    listed = urlencode({"list": query})
    return Redirect(f"/tasks/{there}?{listed}" if there else f"/worklist?{query}")

"""Emergencies that people declared, for the regional officer: who, when, why, of whom; and what is said of each."""

from __future__ import annotations

from ihe.errors import Conflict, InvalidElement, NotFound
from ihe.store import emergencies
from web.page import Pages, Redirect, Template, View, Visit
from web.roles import AUDITOR, REGIONAL_STEWARD

PAGES = Pages()


@PAGES.get("/emergencies", "Emergencies", roles=frozenset({REGIONAL_STEWARD, AUDITOR}), event_code="110101")
def listed(visit: Visit) -> View:
    """Those that wait for a review, and the latest reviewed."""
    return _page(visit)


@PAGES.get("/emergencies/{id}", "Emergency", roles=frozenset({REGIONAL_STEWARD, AUDITOR}), event_code="110101")
def one(visit: Visit) -> View:
    """One of them, as the officer's message names it."""
    number = visit.number("id")
    if emergencies.by_id(visit.uow.connection, number) is None:
        raise NotFound("there is no such emergency")
    return _page(visit, number)


def _page(visit: Visit, chosen: int | None = None) -> View:
    waiting = emergencies.listed(visit.uow.connection, waiting=True)
    done = emergencies.listed(visit.uow.connection, waiting=False)
    if chosen is not None:
        waiting = [each for each in waiting if each.id == chosen]
        done = [each for each in done if each.id == chosen]
    for each in (*waiting, *done):
        if each.patient:
            visit.trail.patient(each.patient)
    may_review = visit.session.is_regional
    return Template("emergencies.html", {"waiting": waiting, "done": done, "may_review": may_review})


@PAGES.post("/emergencies/{id}/review", "Emergency reviewed", roles=frozenset({REGIONAL_STEWARD}), event_code="110101")
def review(visit: Visit) -> View:
    """Say whether it was one."""
    number, verdict = visit.number("id"), visit.needed("verdict")
    if verdict not in emergencies.VERDICTS:
        raise InvalidElement("an emergency is justified or unjustified", "verdict")
    comment = visit.field("comment")[:1000]
    if verdict == "unjustified" and not comment:
        raise InvalidElement("what is not justified needs a comment", "comment")
    found = emergencies.by_id(visit.uow.connection, number)
    if found is None:
        raise NotFound("there is no such emergency")
    if found.user_id == visit.session.subject:
        raise Conflict("nobody reviews their own emergency")
    if not emergencies.review(visit.uow, number, verdict, comment):
        raise Conflict("it was reviewed meanwhile")
    visit.trail.objects.append({"kind": "emergency", "id": str(number), "verdict": verdict})
    return Redirect("/emergencies", visit.t("Noted."))

"""Taking a step back: what rests on it, and doing it."""

from __future__ import annotations

from ihe.errors import NotFound
from mpi.services.take_back import check_may_take_back, dependants, step, take_back
from web.page import Pages, Redirect, Template, View, Visit
from web.roles import STEWARDS

PAGES = Pages()


@PAGES.get("/steps/{id}", "Step", roles=STEWARDS)
def look(visit: Visit) -> View:
    """A step, and what would have to be taken back with it."""
    event = step(visit.uow, visit.number("id"))
    check_may_take_back(visit.uow, event)
    resting = dependants(visit.uow, event)
    return Template("step.html", {"event": event, "resting": resting, "back": _back(visit.request.one("back"))})


@PAGES.post("/steps/{id}/undo", "Step taken back", roles=STEWARDS)
def undo(visit: Visit) -> View:
    """Take it back, with what rests on it where that was confirmed."""
    with_dependants = visit.field("with_dependants") == "1"
    event = step(visit.uow, visit.number("id"))
    check_may_take_back(visit.uow, event)
    if dependants(visit.uow, event) and not with_dependants:
        return Redirect(f"/steps/{event.id}?back={_back(visit.field('back'))}")
    reason = visit.field("reason") or visit.t("taken back")
    take_back(visit.uow, visit.app.mpi, event.id, reason=reason, with_dependants=with_dependants)
    return Redirect(_back(visit.field("back")), visit.t("The step is taken back."))


def _back(path: str | None) -> str:
    if not path:
        return "/worklist"
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise NotFound("there is nothing at this address")
    return path

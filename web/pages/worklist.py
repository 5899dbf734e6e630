"""The worklist: what waits for a decision, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from ihe.errors import InvalidElement
from mpi.services.answer_task import answer_task
from mpi.services.read_worklist import read_worklist, visible_task, with_records
from mpi.services.saved_views import delete_view, save_view, saved_views
from mpi.services.take_task import assign_tasks
from mpi.store.worklist import ORDERS, TaskFilter
from web.page import Pages, Redirect, Template, View, Visit
from web.people import Colleague
from web.roles import REGIONAL_STEWARD, STEWARDS
from xds.services.imaging_oddities import count_oddities

PAGES = Pages()
KINDS = (
    "possible-duplicate",
    "same-domain-duplicate",
    "suspected-overlay",
    "ins-conflict",
    "decision-conflict",
    "doubtful-identity",
)
STAGES = ("new", "voting", "second-person", "arbitration", "correction")
ACTIONS = ("assign", "same", "different", "unknown")
_NAMES = ("kind", "stage", "site", "mine", "unvoted", "bits", "order", "from")
_PAGE = 50


@PAGES.get("/worklist", "Worklist", roles=STEWARDS, event_code="110112")
def worklist(visit: Visit) -> View:
    """A page of tasks."""
    query = tuple((name, value) for name, value in visit.request.query if name in _NAMES)
    wanted = filter_of(visit, query)
    found = read_worklist(visit.uow, wanted)
    visit.trail.query("worklist", tasks=[pair.task.id for pair in found.tasks])
    done = visit.request.one("done") or ""
    values = {
        "found": found,
        "wanted": wanted,
        "kinds": KINDS,
        "stages": STAGES,
        "orders": ORDERS,
        "query": urlencode([pair for pair in query if pair[0] != "from"]),
        "asked": dict(query),
        "done": done if done.isascii() and done.isdigit() else "",
        "oddities": sum(n for site, n in count_oddities(visit.uow).items() if visit.session.site in (None, site)),
        "views": saved_views(visit.uow),
        "colleagues": [each for each in visit.app.workbench.people if _same_desk(visit, each)],
        "sites": [code for code in visit.app.workbench.site_names if found.by_site.get(code)],
    }
    return Template("worklist.html", values)


def _same_desk(visit: Visit, colleague: Colleague) -> bool:
    if visit.session.is_regional:
        return REGIONAL_STEWARD in colleague.roles
    return visit.session.site in colleague.sites


def filter_of(visit: Visit, query: Iterable[tuple[str, str]]) -> TaskFilter:
    """What a query of the worklist asks for; what makes no sense in it does not narrow."""
    asked: dict[str, list[str]] = {}
    for name, value in query:
        asked.setdefault(name, []).append(value)
    bits, offset, order = (asked.get(name, [""])[0] for name in ("bits", "from", "order"))
    return TaskFilter(
        kinds=tuple(kind for kind in asked.get("kind", ()) if kind in KINDS),
        stages=tuple(stage for stage in asked.get("stage", ()) if stage in STAGES),
        site=asked.get("site", [""])[0] or None,
        assigned_to=visit.session.subject if "mine" in asked else None,
        unvoted_by=(visit.session.site or "") if "unvoted" in asked else None,
        least_bits=float(bits) if bits.isascii() and bits.isdigit() and len(bits) < 4 else None,
        order=order if order in ORDERS else "risk",
        limit=_PAGE,
        offset=int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 7 else 0,
    )


@PAGES.post("/worklist/views", "View saved", roles=STEWARDS)
def save(visit: Visit) -> View:
    """Keep a view under a name; an existing one of that name is replaced."""
    query = urlencode([pair for pair in parse_qsl(visit.field("query")) if pair[0] in _NAMES])
    save_view(visit.uow, visit.needed("name"), query)
    return Redirect(f"/worklist?{query}", visit.t("The view is saved."))


@PAGES.post("/worklist/views/{id}/delete", "View deleted", roles=STEWARDS)
def delete(visit: Visit) -> View:
    """Forget a view."""
    delete_view(visit.uow, visit.number("id"))
    return Redirect("/worklist", visit.t("The view is deleted."))


@PAGES.post("/worklist/bulk", "Bulk action previewed", roles=STEWARDS, writes=False)
def preview(visit: Visit) -> View:
    """What a bulk action would do, before it is done."""
    tasks = with_records(visit.uow, [visible_task(visit.uow, i) for i in visit.numbers("task")[:_PAGE]])
    action = visit.needed("action")
    if action not in ACTIONS:
        raise InvalidElement("there is no such action", "action")
    values = {"tasks": tasks, "action": action, "query": visit.field("query"), "to": visit.field("to")}
    return Template("bulk.html", values)


@PAGES.post("/worklist/bulk/do", "Bulk action done", roles=STEWARDS)
def bulk(visit: Visit) -> View:
    """Assign, or answer alike, the tasks that were previewed; all or none."""
    ids, action, back = visit.numbers("task")[:_PAGE], visit.needed("action"), f"/worklist?{visit.field('query')}"
    if action == "assign":
        count = assign_tasks(visit.uow, ids, visit.field("to") or None)
        return Redirect(back, visit.t("Tasks assigned: {count}.").format(count=count))
    if action not in ACTIONS:
        raise InvalidElement("there is no such action", "action")
    for task_id in ids:
        answer_task(visit.uow, visit.app.mpi, task_id, action, reason=visit.needed("reason"))
    return Redirect(back, visit.t("Tasks answered: {count}.").format(count=len(ids)))

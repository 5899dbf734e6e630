"""The worklist: what waits for a decision, the most urgent first."""

from __future__ import annotations

from mpi.services.read_worklist import read_worklist
from mpi.store.worklist import ORDERS, TaskFilter
from web.page import Pages, Template, View, Visit
from web.roles import STEWARDS

PAGES = Pages()
KINDS = ("possible-duplicate", "same-domain-duplicate", "suspected-overlay", "ins-conflict", "decision-conflict")
STAGES = ("new", "voting", "second-person", "arbitration", "correction")
_PAGE = 50


@PAGES.get("/worklist", "Worklist", roles=STEWARDS, event_code="110112")
def worklist(visit: Visit) -> View:
    """A page of tasks."""
    wanted = _filter(visit)
    found = read_worklist(visit.uow, wanted)
    visit.trail.query("worklist", tasks=[pair.task.id for pair in found.tasks])
    values = {"found": found, "wanted": wanted, "kinds": KINDS, "stages": STAGES, "orders": ORDERS}
    return Template("worklist.html", values)


def _filter(visit: Visit) -> TaskFilter:
    asked = visit.request
    mine = asked.one("mine") == "1"
    unvoted = asked.one("unvoted") == "1"
    bits = asked.one("bits") or ""
    offset = asked.one("from") or "0"
    order = asked.one("order") or "risk"
    return TaskFilter(
        kinds=tuple(kind for kind in asked.all("kind") if kind in KINDS),
        stages=tuple(stage for stage in asked.all("stage") if stage in STAGES),
        site=asked.one("site") or None,
        assigned_to=visit.session.subject if mine else None,
        unvoted_by=(visit.session.site or "") if unvoted else None,
        least_bits=float(bits) if bits.isascii() and bits.isdigit() and len(bits) < 4 else None,
        order=order if order in ORDERS else "risk",
        limit=_PAGE,
        offset=int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 7 else 0,
    )

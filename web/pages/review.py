"""Sampled review: stewards judge automatic links drawn at random; the share they confirm is the measured precision."""

from __future__ import annotations

from mpi.services.quality_measures import answer_review, next_review
from web.charts import waterfall
from web.difference import segments
from web.page import Pages, Redirect, Template, View, Visit
from web.pages.task import TRAITS, trait_text
from web.rendering import environment
from web.roles import STEWARDS

PAGES = Pages()


@PAGES.get("/review", "Sampled review", roles=STEWARDS)
def review(visit: Visit) -> View:
    """The next link to judge."""
    found = next_review(visit.uow, visit.app.mpi)
    if found is None:
        return Template("review.html", {"found": None})
    for record in (found.first, found.second):
        visit.trail.patient(f"{record.key.domain}/{record.key.local_id}")
    rows = []
    for name, _ in TRAITS:
        one, other = trait_text(found.first.traits, name), trait_text(found.second.traits, name)
        if one or other:
            left, right = segments(one, other)
            rows.append({"name": name, "left": left, "right": right})
    chart = waterfall(found.evidence, visit.t, environment(visit.language).filters["bits"])
    return Template("review.html", {"found": found, "rows": rows, "chart": chart})


@PAGES.post("/review/{id}", "Link reviewed", roles=STEWARDS)
def judge(visit: Visit) -> View:
    """Right, wrong, or don't know."""
    answer_review(visit.uow, visit.number("id"), visit.needed("answer"))
    return Redirect("/review")

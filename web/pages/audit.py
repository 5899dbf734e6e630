"""The trails, for auditors: who did what, when, for whom and why; identifiers, no traits."""

from __future__ import annotations

from web.page import Pages, Template, View, Visit
from web.roles import AUDITOR
from web.store import traces

PAGES = Pages()


@PAGES.get("/audit", "Audit trail", roles=frozenset({AUDITOR}), event_code="110101")
def audit(visit: Visit) -> View:
    """The latest acts of people."""
    user = visit.request.one("user") or None
    broken = visit.request.one("broken") == "1"
    looks = traces.latest(visit.uow.connection, user=user, break_glass=broken)
    people = list(visit.app.workbench.people)
    return Template("audit.html", {"looks": looks, "user": user or "", "broken": broken, "people": people})


@PAGES.post("/audit/patient", "Audit trail of a patient", roles=frozenset({AUDITOR}), writes=False, event_code="110101")
def of_patient(visit: Visit) -> View:
    """Who looked at one patient, by SITE/number."""
    identifier = visit.needed("identifier")
    visit.trail.patient(identifier)
    looks = traces.looks_at(visit.uow.connection, [identifier], 200)
    people = list(visit.app.workbench.people)
    return Template(
        "audit.html", {"looks": looks, "user": "", "broken": False, "people": people, "identifier": identifier}
    )

"""The archives for operators: which answer, what is published of them, what waits, and what is odd about manifests."""

from __future__ import annotations

from web.page import Pages, Template, View, Visit
from web.roles import ADMINISTRATOR, REGIONAL_STEWARD
from xds.services.archive_state import archive_states, notices

PAGES = Pages()


@PAGES.get("/archives", "Archives", roles=frozenset({ADMINISTRATOR, REGIONAL_STEWARD}), event_code="110100")
def archives(visit: Visit) -> View:
    """All of them; no patient data."""
    states = archive_states(visit.uow, visit.app.xds.studies)
    return Template("archives.html", {"archives": states, "notices": notices(visit.uow)})

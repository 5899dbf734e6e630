"""Settings, domains and models, for the administrator: no patient data."""

from __future__ import annotations

from mpi.services.quality_measures import read_quality
from web.page import Pages, Template, View, Visit
from web.roles import ADMINISTRATOR

PAGES = Pages()


@PAGES.get("/settings", "Settings", roles=frozenset({ADMINISTRATOR}), event_code="110100")
def settings(visit: Visit) -> View:
    """What the service runs with."""
    app = visit.app
    precision = read_quality(visit.uow, app.mpi).latest.get("precision", {}).get("")
    return Template(
        "settings.html",
        {
            "settings": app.workbench.settings,
            "domains": list(app.mpi.domains),
            "model": app.mpi.model,
            "measured": None if precision is None else 1 - precision,
        },
    )

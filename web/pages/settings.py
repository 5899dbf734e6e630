"""Settings, domains and models, for the administrator: no patient data."""

from __future__ import annotations

from mpi.services.govern_models import put_in_force, read_models, take_activation_back
from mpi.services.quality_measures import read_quality
from web.page import Pages, Redirect, Template, View, Visit
from web.roles import ADMINISTRATOR

PAGES = Pages()
_ROLES = frozenset({ADMINISTRATOR})


@PAGES.get("/settings", "Settings", roles=_ROLES, event_code="110100")
def settings(visit: Visit) -> View:
    """What the service runs with."""
    app = visit.app
    precision = read_quality(visit.uow, app.mpi).latest.get("precision", {}).get("")
    values = {
        "settings": app.workbench.settings,
        "domains": list(app.mpi.domains),
        "model": app.mpi.model,
        "models": read_models(visit.uow, app.mpi),
        "measured": None if precision is None else 1 - precision,
    }
    return Template("settings.html", values)


@PAGES.post("/settings/model", "Match model put in force", roles=_ROLES, event_code="110100")
def put_model_in_force(visit: Visit) -> View:
    """From the next start of the service."""
    version = visit.needed("version")
    put_in_force(visit.uow, version, reason=visit.needed("reason"))
    visit.trail.objects.append({"kind": "model", "id": version})
    return Redirect("/settings", visit.t("The model is in force from the next start of the service."))


@PAGES.post("/settings/model/undo", "Activation of a match model taken back", roles=_ROLES, event_code="110100")
def take_model_back(visit: Visit) -> View:
    """The former model is in force again."""
    event_id = visit.numbers("event")[0] if visit.numbers("event") else 0
    take_activation_back(visit.uow, visit.app.mpi, event_id, reason=visit.t("taken back"))
    return Redirect("/settings", visit.t("The step is taken back."))

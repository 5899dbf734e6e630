"""Imaging oddities on the worklist: manifests that contradict their metadata, or patients named without an issuer."""

from __future__ import annotations

from mpi.domain.record import person_of_regional_id
from web.page import Pages, Redirect, Template, View, Visit
from web.roles import STEWARDS
from xds.services.imaging_oddities import (
    count_oddities,
    oddities,
    release_oddity,
    reopen_oddity,
    settle_oddity,
    take_oddity,
)

PAGES = Pages()
_HERE = "/worklist/imaging"


@PAGES.get(_HERE, "Imaging oddities", roles=STEWARDS, event_code="110112")
def imaging_oddities(visit: Visit) -> View:
    """Those of the site, or of one site or all for the region."""
    asked = visit.request.one("site") or None
    site = (asked if visit.session.is_regional else visit.session.site) or None
    settled = visit.request.one("settled") == "1"
    found = oddities(visit.uow, visit.app.xds.registry.directory, site, settled=settled)
    visit.trail.query("imaging oddities", notices=[each.notice.id for each in found])
    by_site = {code: n for code, n in count_oddities(visit.uow).items() if visit.session.is_regional or code == site}
    rows = [
        {"notice": each.notice, "person": person_of_regional_id(each.patient.value) if each.patient else None}
        for each in found
    ]
    values = {"rows": rows, "by_site": by_site, "site": site, "settled": settled}
    return Template("imaging_oddities.html", values)


def _desk(visit: Visit) -> str | None:
    return None if visit.session.is_regional else visit.session.site


@PAGES.post(_HERE + "/{id}/take", "Imaging oddity taken in hand", roles=STEWARDS)
def take(visit: Visit) -> View:
    """Keep colleagues from working on it."""
    take_oddity(visit.uow, visit.number("id"), _desk(visit))
    return Redirect(_HERE)


@PAGES.post(_HERE + "/{id}/release", "Imaging oddity let go", roles=STEWARDS)
def release(visit: Visit) -> View:
    """Leave it to others."""
    release_oddity(visit.uow, visit.number("id"), _desk(visit))
    return Redirect(_HERE)


@PAGES.post(_HERE + "/{id}/settle", "Imaging oddity dealt with", roles=STEWARDS)
def settle(visit: Visit) -> View:
    """Say what became of it."""
    settle_oddity(visit.uow, visit.number("id"), _desk(visit), visit.needed("words"))
    return Redirect(_HERE, visit.t("The oddity is dealt with."))


@PAGES.post(_HERE + "/{id}/reopen", "Imaging oddity reopened", roles=STEWARDS)
def reopen(visit: Visit) -> View:
    """It waits again."""
    reopen_oddity(visit.uow, visit.number("id"), _desk(visit))
    return Redirect(_HERE, visit.t("The step is taken back."))

"""The person page: everything about one human, its history, and how any step of it is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from ihe.errors import AccessDenied, InvalidElement
from mpi.services.person_file import read_person_file
from web.belongings import belongings
from web.graph import link_graph
from web.page import Pages, Redirect, Template, View, Visit
from web.pages.task import TRAITS, trait_text
from web.rendering import environment
from web.roles import STEWARDS
from web.store import sessions, traces

PAGES = Pages()
_ZONE = ZoneInfo("Europe/Paris")


@PAGES.get("/persons/{person}", "Person page", roles=STEWARDS)
def person(visit: Visit) -> View:
    """The person, now or at a past moment."""
    number = visit.number("person")
    opened = visit.session.opened.get(str(number))
    moment = _moment(visit.request.one("at"))
    try:
        found = read_person_file(visit.uow, visit.app.mpi, number, opened=opened is not None, moment=moment)
    except AccessDenied:
        return Template("break_glass.html", {"number": number}, status=403)
    for record in found.records:
        note = {"break_glass": opened} if opened else {}
        visit.trail.patient(f"{record.key.domain}/{record.key.local_id}", **note)
    shown = [record for record in found.records if record.is_active] or list(found.records)
    number_of = environment(visit.language).filters["bits"]
    identifiers = [f"{record.key.domain}/{record.key.local_id}" for record in found.records]
    values = {
        "found": found,
        "traits": [(name, trait_text(found.displayed.traits, name)) for name, _ in TRAITS] if found.displayed else [],
        "graph": link_graph(shown, found.pairs, found.decisions, number_of, visit.t("Who joins whom")),
        "things": belongings(visit, found.id),
        "sent": traces.sent_about(visit.uow.connection, [found.id, number]),
        "looks": traces.looks_at(visit.uow.connection, identifiers) if identifiers else [],
        "opened": opened,
        "at": visit.request.one("at") or "",
    }
    return Template("person.html", values)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=_ZONE)
    except ValueError as error:
        raise InvalidElement("a moment is a date and a time", "at") from error


@PAGES.post("/persons/{person}/open", "Glass broken", roles=STEWARDS)
def open_person(visit: Visit) -> View:
    """Open a person of other establishments, for a reason that the trail keeps."""
    number, reason = visit.number("person"), visit.needed("reason")
    if len(reason) < 10:
        raise InvalidElement("a reason has at least ten characters", "reason")
    visit.trail.objects.append({"kind": "break_glass", "id": str(number), "reason": reason})
    session = replace(visit.session, opened={**visit.session.opened, str(number): reason})
    sessions.change(visit.uow.connection, visit.token, session.to_json())
    return Redirect(f"/persons/{number}")

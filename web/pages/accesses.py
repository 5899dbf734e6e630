"""The access log of a person, for the person: who read or wrote what, when and why; as a page, as CSV and as FHIR."""

from __future__ import annotations

import csv
import io
from typing import Final

import orjson

from ihe.audit import AuditEvent
from ihe.errors import AccessDenied
from ihe.fhir.audit_event import audit_event
from mpi.services.access_log import access_log
from mpi.services.identifiers import regional_patient_id
from mpi.services.person_file import read_person_file
from web.page import Download, Pages, Template, View, Visit
from web.roles import STEWARDS

PAGES = Pages()
_SHOWN: Final = 200
_EXPORTED: Final = 50_000


@PAGES.get("/persons/{person}/accesses", "Access log", roles=STEWARDS, event_code="110101")
def accesses(visit: Visit) -> View:
    """The latest accesses."""
    number = visit.number("person")
    opened = visit.session.opened.get(str(number))
    try:
        found = read_person_file(visit.uow, visit.app.mpi, number, opened=opened is not None)
    except AccessDenied:
        return Template("break_glass.html", {"number": number}, status=403)
    events = _events(visit, number, _SHOWN)
    rows = [{"event": each, "name": _name(visit, each)} for _, each in events]
    return Template("accesses.html", {"found": found, "opened": opened, "rows": rows})


@PAGES.get("/persons/{person}/accesses.csv", "Access log exported", roles=STEWARDS, event_code="110101")
def as_csv(visit: Visit) -> View:
    """All accesses, a line each."""
    number = visit.number("person")
    _open(visit, number)
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(["at", "person", "site", "system", "what", "action", "purpose", "outcome"])
    for _, each in _events(visit, number, _EXPORTED):
        who = visit.app.workbench.people.name_of(each.user) if each.user else ""
        said = [who, each.site or "", each.node, _name(visit, each)]
        write([each.at.isoformat(), *map(_plain, said), each.event_action, each.purpose, each.reason or "success"])
    return Download(f"accesses-{number}.csv", "text/csv; charset=utf-8", text.getvalue().encode())


@PAGES.get("/persons/{person}/accesses.json", "Access log exported as FHIR", roles=STEWARDS, event_code="110101")
def as_fhir(visit: Visit) -> View:
    """All accesses, a Bundle of AuditEvents."""
    number = visit.number("person")
    _open(visit, number)
    source = visit.app.mpi.audit_source
    resources = [audit_event(event_id, each, source) for event_id, each in _events(visit, number, _EXPORTED)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}
    return Download(f"accesses-{number}.json", "application/fhir+json", orjson.dumps(bundle))


def _open(visit: Visit, number: int) -> None:
    read_person_file(visit.uow, visit.app.mpi, number, opened=str(number) in visit.session.opened)


def _events(visit: Visit, number: int, limit: int) -> list[tuple[int, AuditEvent]]:
    events = access_log(visit.uow, visit.app.mpi, number, limit)
    visit.trail.patient(regional_patient_id(visit.app.mpi, number).xds_cx)
    return events


def _name(visit: Visit, event: AuditEvent) -> str:
    return visit.app.mpi.audit_source.names.get(event.transaction, event.transaction)


def _plain(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text

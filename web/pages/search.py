"""Search as RNIV asks: birth date first, then first letters of a name; or any identifier. What is asked is posted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ihe.errors import MissingElement
from ihe.values import PartialDate
from mpi.domain.record import Record, person_of_regional_id
from mpi.domain.search import NameCriterion, PatientSearch, fold, search_names
from mpi.domain.stewardship import REGION_DESK
from mpi.services.find_identifier import find_identifier
from mpi.services.find_patients import find_patients
from mpi.services.read_worklist import desk_of
from web.page import Pages, Template, View, Visit
from web.roles import STEWARDS

PAGES = Pages()
_DAY = re.compile(r"(\d{1,2})[/. -]?(\d{1,2})[/. -]?(\d{4})")
_MOST = 60


@PAGES.get("/search", "Search form", roles=STEWARDS, event_code="110112")
def form(visit: Visit) -> View:
    """The empty form."""
    return Template("search.html", {"asked": {}, "found": None, "more": False})


@PAGES.post("/search", "Search", roles=STEWARDS, writes=False, event_code="110112")
def search(visit: Visit) -> View:
    """Who matches, and why."""
    asked = {name: visit.field(name) for name in ("birth", "family", "given", "identifier")}
    found, more = _found(visit, asked)
    for record in found:
        visit.trail.patient(f"{record.key.domain}/{record.key.local_id}")
    visit.trail.query("search", criteria=sorted(name for name, value in asked.items() if value))
    own = desk_of(visit.uow.caller)
    rows = [
        {"record": record, "why": list(_why(record, asked)), "own": own in (REGION_DESK, record.key.domain)}
        for record in found
    ]
    return Template("search.html", {"asked": asked, "found": rows, "more": more})


def _found(visit: Visit, asked: dict[str, str]) -> tuple[list[Record], bool]:
    if asked["identifier"]:
        return find_identifier(visit.uow, visit.app.mpi, asked["identifier"]), False
    birth = _birth(asked["birth"])
    if birth is None:
        raise MissingElement("a search begins with the birth date (day/month/year), or an identifier", "birth")
    wanted = PatientSearch(
        birth_dates=(birth,),
        families=(NameCriterion(fold(asked["family"])),) if fold(asked["family"]) else (),
        givens=(NameCriterion(fold(asked["given"])),) if fold(asked["given"]) else (),
        limit=_MOST,
    )
    answer = find_patients(visit.uow, visit.app.mpi, wanted)
    return list(answer.records), answer.more


def _birth(text: str) -> PartialDate | None:
    """A date as people type it: 17/03/1958, 17031958, 03/1958, 1958 or 1958-03-17."""
    try:
        if match := _DAY.fullmatch(text):
            return PartialDate(int(match[3]), int(match[2]), int(match[1]))
        if match := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", text):
            return PartialDate(int(match[1]), int(match[2]), int(match[3]))
        if match := re.fullmatch(r"(\d{1,2})/(\d{4})", text):
            return PartialDate(int(match[2]), int(match[1]))
        return PartialDate(int(text)) if re.fullmatch(r"\d{4}", text) else None
    except ValueError:
        return None


def _why(record: Record, asked: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Which criterion found the record, and by which of its values."""
    if asked["identifier"]:
        wanted = asked["identifier"].replace(" ", "").upper()
        ins = record.traits.ins or ""
        if wanted[:13] == ins[:13]:
            yield "ins", ins
        elif person_of_regional_id(wanted) is not None:
            yield "regional", wanted
        else:
            yield "local", record.key.local_id
        return
    if record.traits.birth_date:
        yield "birth", "/".join(reversed(record.traits.birth_date.iso.split("-")))
    for name, part in (("family", "F"), ("given", "G")):
        letters = fold(asked[name])
        if letters:
            matched = sorted(n for p, n in search_names(record.traits) if p == part and n.startswith(letters))
            if matched:
                yield name, matched[0]

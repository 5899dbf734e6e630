"""What a person wants of the sharing of their data: what holds, its history, and how a steward writes it down."""

from __future__ import annotations

import re
from typing import Final

from ihe.errors import AccessDenied, InvalidElement
from mpi.domain.consent import Stance, Statement, Subject, Way
from mpi.services.consents import consents_of, state
from mpi.services.identifiers import regional_patient_id
from mpi.services.person_file import read_person_file
from web.page import Pages, Redirect, Template, View, Visit
from web.roles import STEWARDS

PAGES = Pages()
_PROFESSIONAL: Final = re.compile(r"[0-9A-Za-z./-]{4,40}")
_WHOLE: Final = (Subject.INDEXING, Subject.FEEDING, Subject.CONSULTATION)


@PAGES.get("/persons/{person}/consents", "Consents", roles=STEWARDS)
def consents(visit: Visit) -> View:
    """What holds and what held."""
    number = visit.number("person")
    opened = visit.session.opened.get(str(number))
    try:
        found = read_person_file(visit.uow, visit.app.mpi, number, opened=opened is not None)
    except AccessDenied:
        return Template("break_glass.html", {"number": number}, status=403)
    for record in found.records:
        visit.trail.patient(f"{record.key.domain}/{record.key.local_id}")
    told = consents_of(visit.uow, visit.app.mpi, found.records)
    own = visit.session.site
    values = {
        "found": found,
        "opened": opened,
        "in_force": [each for each in told if each.ended_at is None],
        "former": [each for each in told if each.ended_at is not None],
        "subjects": [str(each) for each in _WHOLE],
        "may_state": own is None or any(record.key.domain == own for record in found.records),
    }
    return Template("consents.html", values)


@PAGES.post("/persons/{person}/consents", "Consent stated", roles=STEWARDS)
def stated(visit: Visit) -> View:
    """Write down what the person said."""
    number = visit.number("person")
    found = read_person_file(visit.uow, visit.app.mpi, number)
    try:
        subject, stance = Subject(visit.needed("subject")), Stance(visit.needed("stance"))
    except ValueError as error:
        raise InvalidElement("such a statement is not kept", "subject") from error
    professional = visit.field("professional").replace(" ", "") if subject is Subject.PROFESSIONAL else ""
    if subject is Subject.PROFESSIONAL and not _PROFESSIONAL.fullmatch(professional):
        raise InvalidElement("a professional is named by number, as tokens do (8 and the RPPS)", "professional")
    for record in found.records:
        visit.trail.patient(f"{record.key.domain}/{record.key.local_id}")
    said = Statement(subject, stance, visit.uow.now, professional)
    kept = state(visit.uow, visit.app.mpi, regional_patient_id(visit.app.mpi, found.id), said, Way.STEWARD)
    visit.trail.objects.append({"kind": "consent", "id": str(kept.id), "subject": subject, "stance": stance})
    return Redirect(f"/persons/{number}/consents", visit.t("Noted."))

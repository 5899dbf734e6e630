"""PV1 (and PID-18) ⇄ visits.

Source: HL7 v2.5: 3.4.2.18, 3.4.3, 3.3.44; PAM France 2.11; ITI TF-2: 3.22.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from ihe.errors import MissingElement
from ihe.hl7v2.building import SegmentBuilder
from ihe.hl7v2.er7 import NULL, Message, Repetition, Segment
from ihe.values import parse_dtm
from mpi.domain.visit import Practitioner, Visit, VisitId, VisitNews
from mpi.translate.hl7v2_patient import authority_of

PRACTITIONER_FIELDS: Final = {7: "attending", 8: "referring", 9: "consulting", 17: "admitting"}
_LONGEST: Final = 255
_CANCELLED: Final = frozenset({"A11", "A23", "A27", "A38"})
_DISCHARGE: Final = "A03"


def visit_news(message: Message, pid: Segment) -> VisitNews | None:
    """What an encounter message says of its visit; ``None`` without PV1 or without any number to tell it by.

    Raises:
        InvalidElement: the authority of a number is malformed.
    """
    pv1 = message.segment("PV1")
    account = _visit_id(pid.field(18).repetition(1), "PID-18")
    number = (_visit_id(pv1.field(19).repetition(1), "PV1-19") if pv1 else None) or account
    if pv1 is None or number is None or pv1.text(2) == "N":
        return None
    location = pv1.field(3).repetition(1)
    visit = Visit(
        number=number,
        account=account,
        patient_class=_text(pv1.text(2)),
        point_of_care=_text(location.text(1)),
        room=_text(location.text(2)),
        bed=_text(location.text(3)),
        facility=_text(location.text(4)),
        practitioners=tuple(
            (role, found)
            for field, role in PRACTITIONER_FIELDS.items()
            if (found := _practitioner(pv1.field(field).repetition(1))) is not None
        ),
        hospital_service=_text(pv1.text(10)),
        admitted_at=_text(pv1.text(44)),
        discharged_at=_text(pv1.text(45)),
    )
    evn = message.segment("EVN")
    stated = (evn.text(6) or evn.text(2)) if evn else ""
    if message.trigger_event == _DISCHARGE and visit.discharged_at is None:
        visit = replace(visit, discharged_at=_text(stated))
    return VisitNews(visit, message.trigger_event in _CANCELLED, _moment(stated))


def moved_account(mrg: Segment, pid: Segment) -> VisitId:
    """The account that A44 moves: MRG-3, or PID-18 where only that is sent.

    Raises:
        MissingElement: neither is.
        InvalidElement: its authority is malformed.

    Source: HL7 v2.5: 3.3.44.
    """
    account = _visit_id(mrg.field(3).repetition(1), "MRG-3") or _visit_id(pid.field(18).repetition(1), "PID-18")
    if account is None:
        raise MissingElement("the message names no account", "MRG-3")
    return account


def pv1_segment(visit: Visit, set_id: int) -> SegmentBuilder:
    """A PV1 of ours."""
    pv1 = SegmentBuilder("PV1", str(set_id), visit.patient_class or "U")
    pv1.set(3, [visit.point_of_care, visit.room, visit.bed, visit.facility])
    for field, role in PRACTITIONER_FIELDS.items():
        who = visit.practitioner(role)
        if who is not None:
            pv1.set(field, [who.id, who.family, who.given])
    pv1.set(10, visit.hospital_service)
    pv1.set(19, visit_cx(visit.number))
    pv1.set(44, visit.admitted_at)
    pv1.set(45, visit.discharged_at)
    return pv1


def visit_cx(visit_id: VisitId) -> list[str | list[str | None] | None]:
    """A visit or account number as the components of a CX."""
    authority = visit_id.authority
    parts: list[str | None] = []
    if authority is not None:
        parts = [authority.namespace, authority.oid, "ISO" if authority.oid else None]
    return [visit_id.value, None, None, parts, visit_id.type_code]


def _visit_id(repetition: Repetition, location: str) -> VisitId | None:
    value = _text(repetition.text(1))
    if value is None:
        return None
    return VisitId(value, authority_of(repetition, f"{location}.4"), _text(repetition.text(5)))


def _practitioner(repetition: Repetition) -> Practitioner | None:
    found = Practitioner(*(_text(repetition.text(component)) for component in (1, 2, 3)))
    return None if found == Practitioner() else found


def _text(value: str) -> str | None:
    """A value as one line of printable text, cut where no real one reaches."""
    value = "".join(filter(str.isprintable, value)).strip()[:_LONGEST]
    return value if value and value != NULL else None


def _moment(stated: str) -> datetime | None:
    try:
        return parse_dtm(stated) if stated else None
    except ValueError:
        return None

"""Registration messages (PRPA_IN201301, 302, 304) → what a feed tells the index.

Source: ITI TF-2: 3.44.4.1, 3.44.4.2.
"""

from __future__ import annotations

from datetime import datetime

from ihe.errors import InvalidElement, MissingElement
from ihe.values import PatientId, parse_dtm
from ihe.xml import Element, local_name
from mpi.domain.feed import Feed, FeedKind
from mpi.translate.hl7v3_elements import attribute, every, first, location, required_patient_id
from mpi.translate.hl7v3_interaction import control_act, read_interaction
from mpi.translate.hl7v3_patient import identifiers, traits

ADD = "PRPA_IN201301UV02"
REVISE = "PRPA_IN201302UV02"
MERGE = "PRPA_IN201304UV02"

_PRIOR_ROLE = "priorRegistration/subject1/priorRegisteredRole"


def decode_feed(message: Element) -> Feed:
    """Read one registration message: of one patient, in a merge with the one that it replaces.

    Raises:
        MissingElement: the patient, its identifier or the replaced identifier is missing.
        InvalidElement: more than one patient, or a part is malformed.
    """
    place = (local_name(message), "controlActProcess", "subject", "registrationEvent")
    act = control_act(read_interaction(message))
    event = _one(every(act, "subject/registrationEvent"), location(*place))
    where = location(*place, "subject1", "patient")
    patient = _one(every(event, "subject1/patient"), where)
    ids = identifiers(patient, where)
    if not ids:
        raise MissingElement("the patient has no identifier with an assigning authority", f"{where}/id")
    is_merge = local_name(message) == MERGE
    return Feed(
        kind=FeedKind.MERGE if is_merge else FeedKind.IDENTITY,
        identifiers=tuple(ids),
        others=_replaced(event, location(*place)) if is_merge else (),
        traits=traits(patient, where),
        source_updated_at=_source_updated_at(message, act),
    )


def _one(found: list[Element], where: str) -> Element:
    if not found:
        raise MissingElement("the message names no patient", where)
    if len(found) > 1:
        raise InvalidElement("a message is about one patient", f"{where}[2]")
    return found[0]


def _replaced(event: Element, where: str) -> tuple[PatientId, ...]:
    roles = every(event, f"replacementOf/{_PRIOR_ROLE}")
    where = f"{where}/replacementOf/{_PRIOR_ROLE}"
    if len(roles) > 1:
        raise InvalidElement("a message replaces one patient", f"{where}[2]")
    ids = [
        required_patient_id(element, f"{where}/id[{number}]")
        for number, element in enumerate(every(first(event, f"replacementOf/{_PRIOR_ROLE}"), "id"), 1)
    ]
    if not ids:
        raise MissingElement("a merge names the identifier that is replaced", f"{where}/id")
    return tuple(ids)


def _source_updated_at(message: Element, act: Element) -> datetime | None:
    """When it happened, else when the message was made; ``None`` when neither is a readable time."""
    for text in (
        attribute(act, "effectiveTime"),
        attribute(act, "effectiveTime/low"),
        attribute(message, "creationTime"),
    ):
        if text is not None:
            try:
                return parse_dtm(text)
            except ValueError:
                continue
    return None

"""The registration event in which HL7 v3 messages carry a patient.

Source: HL7 v3 MFMI_MT700711UV01.
"""

from __future__ import annotations

from typing import Final

from ihe.values import Oid
from ihe.xml import Element
from mpi.translate.hl7v3_elements import add, add_copied_id, first

LOCATOR: Final = "SupportsHealthDataLocator"
"""Code of a community that can be asked for patients' locations (ITI-56)."""


def add_registration(act: Element, keeper: Element | Oid, *, is_community: bool = False) -> Element:
    """Append a ``subject`` with a registration event, and return its ``subject1``, which takes the patient.

    Args:
        keeper: who keeps the patient: an id, or the receiver of a question.
        is_community: the keeper is a community that can be asked for patients' locations (ITI-56).
    """
    subject = add(act, "subject", typeCode="SUBJ", contextConductionInd="false")
    event = add(subject, "registrationEvent", classCode="REG", moodCode="EVN")
    add(event, "id", nullFlavor="NA")
    add(event, "statusCode", code="active")
    subject1 = add(event, "subject1", typeCode="SBJ")
    entity = add(add(event, "custodian", typeCode="CST"), "assignedEntity", classCode="ASSIGNED")
    if isinstance(keeper, Oid):
        add(entity, "id", root=str(keeper))
    else:
        add_copied_id(entity, first(keeper, "receiver/device/id"))
    if is_community:
        add(entity, "code", code=LOCATOR, codeSystem="1.3.6.1.4.1.19376.1.2.27.2")
    return subject1

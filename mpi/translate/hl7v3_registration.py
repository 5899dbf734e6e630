"""The registration event in which HL7 v3 messages carry a patient.

Source: HL7 v3 MFMI_MT700711UV01.
"""

from __future__ import annotations

from typing import Final

from mpi.translate.hl7v3_interaction import Interaction
from mpi.translate.hl7v3_text import repeated_id

LOCATOR: Final = "SupportsHealthDataLocator"
"""Code of a community that can be asked for patients' locations (ITI-56)."""

_LOCATOR_CODE: Final = f'<code code="{LOCATOR}" codeSystem="1.3.6.1.4.1.19376.1.2.27.2"/>'


def registration_text(patient: str, keeper: str, *, is_community: bool = False) -> str:
    """A ``subject`` with a registration event.

    Args:
        patient: the element.
        keeper: id element of who keeps the patient.
        is_community: the keeper is a community that can be asked for patients' locations (ITI-56).
    """
    return (
        '<subject typeCode="SUBJ" contextConductionInd="false"><registrationEvent classCode="REG" moodCode="EVN">'
        f'<id nullFlavor="NA"/><statusCode code="active"/><subject1 typeCode="SBJ">{patient}</subject1>'
        f'<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">{keeper}'
        f"{_LOCATOR_CODE if is_community else ''}</assignedEntity></custodian></registrationEvent></subject>"
    )


def receiver_id(interaction: Interaction) -> str:
    """The id element of a question's receiver, who keeps the patients in the answer."""
    return repeated_id(interaction.receiver.known_id)

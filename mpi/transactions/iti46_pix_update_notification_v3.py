"""ITI-46 PIXV3 Update Notification: tells a consumer which identifiers one of its patients has now.

Source: ITI TF-2: 3.46.
"""

from __future__ import annotations

from ihe.transaction import OutboundBinding, Transaction
from ihe.xml import Element
from mpi.services.notify_references import ReferenceChange
from mpi.translate.hl7v3_message import action
from mpi.translate.hl7v3_patient import patient_text
from mpi.translate.hl7v3_registration import registration_text
from mpi.translate.hl7v3_sending import Interchange, new_message, require_accepted

_NAME = "PRPA_IN201302UV02"

ACTION = action(_NAME)

TRANSACTION = Transaction(
    number="ITI-46",
    name="PIXV3 Update Notification",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIXV3",
    bindings=(OutboundBinding("SOAP", f"{_NAME} to the consumer of each domain that asks for it"),),
    writes=False,
    event_code="110110",
    event_action="R",
    options=("At least once, in order, with the state at the moment of sending", "Corrections after unlink and undo"),
    source="ITI TF-2: 3.46",
)


def encode(change: ReferenceChange, interchange: Interchange) -> Element:
    """``PRPA_IN201302UV02``: all identifiers of the patient, and a null name."""
    keeper = f'<id root="{interchange.sender}"/>'
    return new_message(_NAME, interchange, registration_text(patient_text(change.identifiers), keeper))


def decode(answer: Element) -> None:
    """Read the acknowledgement.

    Raises:
        Conflict: the consumer refused the notification.
    """
    require_accepted(answer)

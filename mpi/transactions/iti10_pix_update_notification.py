"""ITI-10 PIX Update Notification: tells a consumer which identifiers one of its patients has now.

Source: ITI TF-2: 3.10.
"""

from __future__ import annotations

from ihe.hl7v2.building import SegmentBuilder, build_message
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.sending import Envelope, require_accepted
from ihe.transaction import OutboundBinding, Transaction
from mpi.services.notify_references import ReferenceChange
from mpi.translate.hl7v2_patient import pid_segment

TRANSACTION = Transaction(
    number="ITI-10",
    name="PIX Update Notification",
    actor="Patient Identifier Cross-reference Manager",
    profile="PIX",
    bindings=(OutboundBinding("MLLP", "ADT^A31 (v2.5) to the consumer of each domain that asks for it"),),
    writes=False,
    event_code="110110",
    event_action="R",
    options=("At least once, in order, with the state at the moment of sending", "Corrections after unlink and undo"),
    source="ITI TF-2: 3.10",
)


def encode(change: ReferenceChange, envelope: Envelope) -> Message:
    """The ADT^A31: all identifiers in PID-3, a blank name, no visit."""
    segments = [
        envelope.header("ADT", "A31", "ADT_A05"),
        SegmentBuilder("EVN", None, envelope.timestamp),
        pid_segment(change.identifiers).set(5, " "),
        SegmentBuilder("PV1", None, "N"),
    ]
    return build_message(segments)


def decode(answer: Message) -> None:
    """Read the acknowledgement.

    Raises:
        Conflict: the consumer refused the notification.
    """
    require_accepted(answer)

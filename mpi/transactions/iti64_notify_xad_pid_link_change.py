"""ITI-64 Notify XAD-PID Link Change: tells a registry that a site's patient belongs to another person.

Source: ITI TF-2: 3.64 (XPID).
"""

from __future__ import annotations

from ihe.hl7v2.building import SegmentBuilder, build_message
from ihe.hl7v2.er7 import Message
from ihe.hl7v2.sending import Envelope, require_accepted
from ihe.transaction import OutboundBinding, Transaction
from mpi.services.notify_links import LinkChange
from mpi.translate.hl7v2_patient import cx, pid_segment

TRANSACTION = Transaction(
    number="ITI-64",
    name="Notify XAD-PID Link Change",
    actor="Patient Identifier Cross-reference Manager",
    profile="XPID",
    bindings=(OutboundBinding("MLLP", "ADT^A43 (v2.5) to the registries of the region's table"),),
    writes=False,
    event_code="110110",
    event_action="R",
    options=("At least once, in order", "Our own registry needs none: its documents follow identity at each query"),
    source="ITI TF-2: 3.64",
)


def encode(change: LinkChange, envelope: Envelope) -> Message:
    """The ADT^A43: new regional and local identifier in PID-3, the former ones in MRG-1."""
    mrg = SegmentBuilder("MRG").add(1, cx(change.previous))
    if change.subsumed is not None:
        mrg.add(1, cx(change.subsumed))
    segments = [
        envelope.header("ADT", "A43", "ADT_A43"),
        SegmentBuilder("EVN", None, envelope.timestamp),
        pid_segment((change.current, change.local)).set(5, " "),
        mrg,
    ]
    return build_message(segments)


def decode(answer: Message) -> None:
    """Read the acknowledgement.

    Raises:
        Conflict: the registry refused the notification.
    """
    require_accepted(answer)
